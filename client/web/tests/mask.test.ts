import { expect, test } from 'vitest'
import { contour, type Line } from '../src/core/contour'
import { Mask } from '../src/core/mask'
import { capsule, polygon, rectangle } from '../src/core/raster'
import { tileBox } from '../src/protocol/geometry'
import type { Box } from '../src/protocol/types'

const ALL: Box = [0, 0, 1000, 1000]

/** How many pixel edges lines have. */
const length = (lines: Line[]): number =>
  lines.reduce((sum, { points, closed }) => {
    const ends = closed ? [...points.slice(1), points[0]!] : points.slice(1)
    return sum + ends.reduce((all, to, i) => all + Math.abs(to.x - points[i]!.x) + Math.abs(to.y - points[i]!.y), 0)
  }, 0)

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
  expect(loops.map(({ points, closed }) => [points.length, closed])).toEqual([[4, true], [4, true]])
  expect(loops.flatMap(({ points }) => points)).toContainEqual({ x: 13, y: 13 })
})

test('the outline of a mask over several tiles is traced tile by tile, each edge once and none between them', () => {
  const mask = new Mask()
  mask.add(rectangle([200, 100, 600, 300]), ALL)
  mask.add(capsule({ x: 500, y: 400 }, 90, { x: 300, y: 600 }, 40), ALL)
  const parts = [...mask.tiles.values()].map(({ tx, ty, data }) => contour({ box: tileBox(tx, ty), data }, (x, y) => mask.at(x, y)))
  const whole = contour(mask.crop(mask.box()!))
  expect(length(parts.flat())).toBe(length(whole))
  expect(whole.every(({ closed }) => closed)).toBe(true)
})

test('pixels that touch at a corner have an outline each', () => {
  const lines = contour({ box: [0, 0, 2, 2], data: Uint8Array.of(255, 0, 0, 255) })
  expect(lines.map(({ points, closed }) => [points.length, closed])).toEqual([[4, true], [4, true]])
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
