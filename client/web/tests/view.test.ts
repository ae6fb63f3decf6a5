import { expect, test } from 'vitest'
import { View } from '../src/core/view'

function view(): View {
  const v = new View()
  v.resize(1000, 800, 1)
  return v
}

test('zooming keeps the point under the pointer where it is', () => {
  const v = view()
  v.fit([0, 0, 2000, 1000])
  const at = { x: 300, y: 200 }
  const before = v.toCanvas(at)
  v.zoomAt(at, 3.7)
  expect(v.toCanvas(at).x).toBeCloseTo(before.x)
  expect(v.toCanvas(at).y).toBeCloseTo(before.y)
})

test('fitting stays clear of the panels', () => {
  const v = view()
  v.insets = { top: 100, right: 200, bottom: 50, left: 60 }
  v.fit([0, 0, 4000, 4000])
  const box = v.boxToScreen([0, 0, 4000, 4000])
  expect(box.x).toBeGreaterThanOrEqual(60)
  expect(box.y).toBeGreaterThanOrEqual(100)
  expect(box.x + box.width).toBeLessThanOrEqual(800)
  expect(box.y + box.height).toBeLessThanOrEqual(750)
})

test('the mip level is never coarser than the screen', () => {
  const v = view()
  for (const [scale, level] of [[1, 0], [0.6, 0], [0.5, 1], [0.26, 1], [0.25, 2], [0.02, 5]] as const) {
    v.setScale(scale)
    expect(v.level(6)).toBe(level)
  }
  v.setScale(0.5)
  v.resize(1000, 800, 2)
  expect(v.level(6)).toBe(0)
})
