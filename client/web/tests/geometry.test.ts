import { expect, test } from 'vitest'
import { mipKey, tilesOf } from '../src/protocol/geometry'

test('C2 a mip key is the one that the server computes', () => {
  // from nanobana.protocol.geometry.mip_key
  expect(mipKey([''])).toBe('811c9dc5050c5d1f')
  expect(mipKey(['aa', '', 'bb', 'cc'])).toBe('fdd2d37fc98a7e8d')
})

test('tiles of a box: every one that it touches, none for an empty box', () => {
  expect(tilesOf([255, 0, 257, 1])).toEqual([[0, 0], [1, 0]])
  expect(tilesOf([0, 0, 1024, 1024], 1)).toHaveLength(4)
  expect(tilesOf([5, 5, 5, 9])).toEqual([])
  expect(tilesOf([-1, -1, 1, 1])).toHaveLength(4)
})
