import { describe, expect, it } from 'vitest'
import type { Box } from '../src/protocol/types'
import { cornersOf, isResting, matrixOf, pinched, pulled, resting, settled, sizeOf, type Placement } from '../src/core/placement'

const box: Box = [100, 50, 300, 150]
const none = { shift: false, alt: false }
const corner = { at: 'edge', across: 1, down: 1 } as const
const at = (p: Placement): number[] => cornersOf(box, p).flatMap(({ x, y }) => [x, y])

describe('placement', () => {
  it('C14: rests as the identity, and moves by whole pixels', () => {
    const still = resting(box)
    expect(isResting(box, still)).toBe(true)
    expect(matrixOf(box, still)).toEqual([1, 0, -0, 1, 0, 0])
    const moved = pulled(box, still, { at: 'inside' }, { x: 110, y: 60 }, { x: 121.4, y: 55.8 }, none)
    expect(matrixOf(box, moved)).toEqual([1, 0, -0, 1, 11, -4])
    expect(pulled(box, still, { at: 'inside' }, { x: 0, y: 0 }, { x: 30, y: 9 }, { ...none, shift: true }).y).toBe(still.y)
  })

  it('behaviour 3: a corner keeps the ratio, Shift lets it go, Alt keeps the middle', () => {
    const still = resting(box)
    const [from, to] = [{ x: 300, y: 150 }, { x: 500, y: 250 }]
    expect(at(pulled(box, still, corner, from, to, none))).toEqual([100, 50, 500, 50, 500, 250, 100, 250])
    expect(sizeOf(box, pulled(box, still, corner, from, { x: 500, y: 150 }, { ...none, shift: true }))).toEqual({ w: 400, h: 100 })
    const kept = sizeOf(box, pulled(box, still, corner, from, { x: 500, y: 150 }, none))
    expect(kept.w / kept.h).toBeCloseTo(2, 1)
    expect(at(pulled(box, still, corner, from, to, { ...none, alt: true }))).toEqual([-100, -50, 500, -50, 500, 250, -100, 250])
  })

  it('a corner pulled past the other side flips', () => {
    const flipped = pulled(box, resting(box), { at: 'edge', across: 1, down: 0 }, { x: 300, y: 100 }, { x: 0, y: 100 }, none)
    expect(flipped.sx).toBe(-0.5)
    expect(at(flipped)).toEqual([0, 50, 100, 50, 100, 150, 0, 150])
  })

  it('a turned frame is stretched along its own sides', () => {
    const turned: Placement = { ...resting(box), angle: 90 }
    const wider = pulled(box, turned, { at: 'edge', across: 1, down: 0 }, { x: 200, y: 200 }, { x: 200, y: 260 }, none)
    expect(sizeOf(box, wider)).toEqual({ w: 260, h: 100 })
    expect(wider.y).toBe(130)
  })

  it('the knob turns, with Shift by 15°', () => {
    const knob = { at: 'knob' } as const
    const turned = pulled(box, resting(box), knob, { x: 200, y: 0 }, { x: 300, y: 100 }, none)
    expect(turned.angle).toBe(90)
    expect(pulled(box, resting(box), knob, { x: 200, y: 0 }, { x: 240, y: 10 }, { ...none, shift: true }).angle).toBe(30)
    expect(matrixOf(box, turned).slice(0, 4)).toEqual([0, 1, -1, 0])
  })

  it('behaviour 9: two fingers scale and turn about their middle, and nearly upright is upright', () => {
    const still = resting(box)
    const wide = pinched(still, [{ x: 150, y: 100 }, { x: 250, y: 100 }], [{ x: 100, y: 100 }, { x: 300, y: 100 }])
    expect(at(settled(box, wide))).toEqual([0, 0, 400, 0, 400, 200, 0, 200])
    const turned = pinched(still, [{ x: 150, y: 100 }, { x: 250, y: 100 }], [{ x: 200, y: 50 }, { x: 199, y: 150 }])
    expect(settled(box, turned).angle).toBe(90)
  })
})
