import { expect, test } from 'vitest'
import { contour } from '../src/core/contour'
import { Mask } from '../src/core/mask'
import { capsule, polygon, rectangle } from '../src/core/raster'
import type { Box } from '../src/protocol/types'

const ALL: Box = [0, 0, 1000, 1000]

test('a rectangle over a tile border is one mask with its exact box', () => {
  const mask = new Mask()
  mask.add(rectangle([250, 250, 260, 262]), ALL)
  expect(mask.box()).toEqual([250, 250, 260, 262])
  expect([...mask.crop([249, 250, 252, 251]).data]).toEqual([0, 255, 255])
})

test('Alt takes away: what was subtracted is gone, and an emptied mask has no box', () => {
  const mask = new Mask()
  mask.add(rectangle([10, 10, 20, 20]), ALL)
  mask.subtract(rectangle([10, 10, 15, 20]), ALL)
  expect(mask.box()).toEqual([15, 10, 20, 20])
  mask.subtract(rectangle([0, 0, 100, 100]), ALL)
  expect(mask.isEmpty).toBe(true)
})

test('undo takes back one stroke, redo brings it again', () => {
  const mask = new Mask()
  for (const x of [10, 40]) {
    mask.begin()
    mask.add(rectangle([x, 0, x + 10, 10]), ALL)
    mask.finish()
  }
  expect(mask.undo()).toBe(true)
  expect(mask.box()).toEqual([10, 0, 20, 10])
  expect(mask.redo()).toBe(true)
  expect(mask.box()).toEqual([10, 0, 50, 10])
  mask.undo()
  mask.undo()
  expect(mask.isEmpty).toBe(true)
  expect(mask.undo()).toBe(false)
})

test('inverting twice gives the mask back', () => {
  const mask = new Mask()
  mask.add(capsule({ x: 50, y: 50 }, 20, { x: 70, y: 60 }, 10), ALL)
  const before = mask.crop([0, 0, 100, 100]).data
  mask.invert(ALL)
  expect(mask.at(50, 50)).toBe(0)
  expect(mask.at(900, 900)).toBe(255)
  mask.invert(ALL)
  expect(mask.crop([0, 0, 100, 100]).data).toEqual(before)
})

test('nothing is painted outside the canvas', () => {
  const mask = new Mask()
  mask.add(capsule({ x: 0, y: 0 }, 30, { x: 0, y: 0 }, 30), [0, 0, 10, 10])
  expect(mask.box()).toEqual([0, 0, 10, 10])
})

test('a polygon covers its area, antialiased at the edge, by the non-zero rule', () => {
  const square = [{ x: 10, y: 10 }, { x: 20.5, y: 10 }, { x: 20.5, y: 20 }, { x: 10, y: 20 }]
  const cover = polygon(square, ALL)
  const sum = cover?.data.reduce((a, b) => a + b, 0) ?? 0
  expect(sum / 255).toBeCloseTo(105, 0)
  const twice = polygon([...square, ...square], ALL)
  expect(twice?.data).toEqual(cover?.data)
  expect(polygon(square, [100, 100, 200, 200])).toBeNull()
})

test('the outline of a ring is two closed loops', () => {
  const mask = new Mask()
  mask.add(rectangle([10, 10, 20, 20]), ALL)
  mask.subtract(rectangle([13, 13, 16, 16]), ALL)
  const loops = contour(mask.crop([10, 10, 20, 20]))
  expect(loops).toHaveLength(2)
  expect(loops[0]).toHaveLength(4)
  expect(loops.flat()).toContainEqual({ x: 13, y: 13 })
})

test('a stroke that was none leaves the history alone', () => {
  const mask = new Mask()
  mask.begin()
  mask.add(rectangle([10, 0, 20, 10]), ALL)
  mask.finish()
  mask.undo()
  mask.begin()
  mask.add(rectangle([500, 500, 520, 510]), ALL)
  mask.abandon()
  expect(mask.isEmpty).toBe(true)
  expect(mask.redo()).toBe(true)
  expect(mask.box()).toEqual([10, 0, 20, 10])
})
