// What an edit recomputed is told in plain words, and of what is not known nothing is said.
import { expect, test } from 'vitest'
import type { Cost } from '../src/protocol/types'
import { inDetail, recomputed } from '../src/ui/cost'

const COST: Cost = { cells: 12, cells_of: 100, tiles: 2, tiles_of: 16, encoded: 0, decoded: 0.071, saved_ms: 1400 }

test('the share of the picture and the time that was saved are one line', () => {
  expect(recomputed(COST)).toBe('Recomputed 12 % of the picture · about 1.4 s saved')
  expect(recomputed({ ...COST, cells: 1, cells_of: 1000, saved_ms: 61_000 })).toBe('Recomputed less than 1 % of the picture · about 61 s saved')
  expect(recomputed({ ...COST, cells: 999, cells_of: 1000, saved_ms: 60 })).toBe('Recomputed 99 % of the picture · about 0.06 s saved')
  expect(recomputed({ ...COST, cells: 100 })).toBe('Recomputed all of the picture · about 1.4 s saved')
  expect(recomputed({ ...COST, cells: 214 })).toBe('Recomputed 2.1 times all of the picture · about 1.4 s saved')
})

test('nothing is said of time that is not known or that nobody would notice', () => {
  for (const saved_ms of [null, 0, 49]) expect(recomputed({ ...COST, saved_ms })).toBe('Recomputed 12 % of the picture')
  expect(inDetail({ ...COST, saved_ms: null }).at(-1)).toContain('not known')
})

test('tiles and what went through the coder are told in detail, where they were counted', () => {
  expect(inDetail(COST)).toEqual([
    'Changed pixels in 2 of 16 tiles at the most.',
    'Read nothing of the picture into the model, and 7 % back out of it.',
  ])
  expect(inDetail({ ...COST, encoded: null, decoded: null, tiles: 1, tiles_of: 1 })[0]).toBe('Changed pixels in 1 of 1 tile at the most.')
  expect(inDetail({ ...COST, encoded: null, decoded: null })).toHaveLength(1)
})
