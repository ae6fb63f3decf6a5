import { expect, test } from 'vitest'
import { softEdge } from '../src/core/soft-edge'

const USUAL = { strength: 1, feather: null, grow: null }

test('E1 the edge that the sliders show is the planner’s', () => {
  const edge = softEdge([0, 0, 300, 400], { width: 2000, height: 1000 }, USUAL, 1)
  expect(edge).toEqual({ feather: 50, grow: 29, end: 59.25, solid: 34.25 })
})

test('E1 a small canvas and a small model reach less far', () => {
  const edge = softEdge([0, 0, 30, 40], { width: 256, height: 900 }, { ...USUAL, strength: 0.5 }, 0.25)
  expect(edge).toEqual({ feather: 2, grow: 1.5, end: 2.625, solid: 0.125 })
})

test('E1 a feather of one’s own is the width of the fade, and none is a hard edge', () => {
  expect(softEdge([0, 0, 30, 40], { width: 900, height: 900 }, { strength: 1, feather: 40, grow: 60 }, 1)).toEqual({ feather: 40, grow: 60, end: 75, solid: 35 })
  expect(softEdge([0, 0, 30, 40], { width: 900, height: 900 }, { strength: 1, feather: 0, grow: 0 }, 1)).toMatchObject({ end: 0, solid: 0 })
})
