import { expect, test } from 'vitest'
import { Document } from '../src/core/document'
import { mipKey } from '../src/protocol/geometry'
import { change, job, layer, manifest } from './support'

test('C4 changes move the position; one that was seen already does nothing', () => {
  const doc = new Document()
  doc.load(manifest({ tiles: [['a', 0, 0, 'n1']] }))
  expect(doc.apply(change(11, { tiles: [['a', 0, 0, 'n2']] }))).toBe(true)
  expect(doc.apply(change(11, { tiles: [['a', 0, 0, 'n3']] }))).toBe(false)
  expect(doc.tile('a', 0, 0)).toEqual({ name: 'n2', seq: 11 })
  expect(doc.position).toEqual([1, 11, ['c', 11]])
})

test('C4 a change of another epoch is never mixed in', () => {
  const doc = new Document()
  doc.load(manifest())
  expect(() => doc.apply(change(11, { epoch: 2 }))).toThrow(/epoch/)
})

test('C8 a fresh manifest replaces everything that was there', () => {
  const doc = new Document()
  doc.load(manifest({ tiles: [['a', 0, 0, 'old']], jobs: [job('j')] }))
  doc.load(manifest({ position: [2, 3, null], tiles: [['a', 1, 1, 'new']] }))
  expect(doc.tileNames()).toEqual({ 'a/1/1': 'new' })
  expect(doc.jobs.size).toBe(0)
})

test('C1 a tile that became transparent is missing again, and a deleted layer takes its tiles along', () => {
  const doc = new Document()
  doc.load(manifest({ tiles: [['a', 0, 0, 'n1'], ['a', 1, 0, 'n2']] }))
  doc.apply(change(11, { tiles: [['a', 0, 0, '']] }))
  expect(doc.tileNames()).toEqual({ 'a/1/0': 'n2' })
  doc.apply(change(12, { layers: [] }))
  expect(doc.tileNames()).toEqual({})
})

test('C2 a mip key follows its base tiles', () => {
  const doc = new Document()
  doc.load(manifest({ tiles: [['a', 0, 0, 'n1']] }))
  expect(doc.mip('a', 1, 0, 0)).toEqual({ key: mipKey(['n1', '', '', '']), seq: 10 })
  doc.apply(change(11, { tiles: [['a', 1, 1, 'n2']] }))
  expect(doc.mip('a', 1, 0, 0)).toEqual({ key: mipKey(['n1', '', '', 'n2']), seq: 11 })
  expect(doc.mip('a', 1, 1, 0)).toBeUndefined()
})

test('R9 the sum is the one that the server computes', () => {
  const doc = new Document()
  const layers = [layer('base'), layer('sky', { visible: false, locked: true, blend: 'multiply', parent: 'outside' })]
  const tiles: [string, number, number, string][] = [['sky', -1, 10, 'b'.repeat(32)], ['base', 0, 0, 'a'.repeat(32)], ['base', 2, 0, '']]
  doc.load(manifest({ layers, tiles }))
  expect(doc.sum()).toBe(1636239691) // stands in tests/unit/test_protocol_checksum.py too
})
