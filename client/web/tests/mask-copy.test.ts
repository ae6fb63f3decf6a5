import { expect, test } from 'vitest'
import { Mask } from '../src/core/mask'
import { MaskCopier } from '../src/core/mask-copy'
import { decodeGray } from '../src/core/png'
import type { Box } from '../src/protocol/types'

const SHEET: Box = [0, 0, 100, 100]

function filled(box: Box): { box: Box; data: Uint8Array } {
  return { box, data: new Uint8Array((box[2] - box[0]) * (box[3] - box[1])).fill(255) }
}

test('one mask is encoded once, for the others and for the edit', async () => {
  const mask = new Mask()
  const copier = new MaskCopier(mask)
  expect(copier.copy()).toBeNull()
  mask.add(filled([10, 20, 30, 25]), SHEET)
  const copy = copier.copy()
  expect(copier.copy()).toBe(copy)
  expect(copy?.coverage.box).toEqual([10, 20, 30, 25])
  expect((await decodeGray(await copy!.png)).data).toEqual(copy?.coverage.data)
})

test('a mask that was painted on is encoded again', () => {
  const mask = new Mask()
  const copier = new MaskCopier(mask)
  mask.add(filled([10, 20, 30, 25]), SHEET)
  const before = copier.copy()
  mask.add(filled([40, 20, 50, 25]), SHEET)
  expect(copier.copy()?.coverage.box).toEqual([10, 20, 50, 25])
  expect(copier.copy()).not.toBe(before)
  mask.clear()
  expect(copier.copy()).toBeNull()
})
