import { expect, test } from 'vitest'
import { around, block, isLocked, seen, tree } from '../src/protocol/stack'
import { layer } from './support'

// the same house as in tests/unit/test_protocol_stack.py
const HOUSE = [
  layer('floor'),
  layer('bed', { parent: 'room' }),
  layer('book', { parent: 'shelf' }),
  layer('shelf', { group: true, parent: 'room' }),
  layer('room', { group: true }),
  layer('roof', { parent: 'gone' }),
]
const ids = (layers: { id: string }[]): string[] => layers.map(({ id }) => id)
const change = (id: string, rest: object): typeof HOUSE => HOUSE.map((item) => (item.id === id ? { ...item, ...rest } : item))

test('C1 a layer whose group is gone is at the top level', () => {
  expect(tree(HOUSE).map((node) => node.layer.id)).toEqual(['floor', 'room', 'roof'])
})

test('C1 a block is a group with all that is in it', () => {
  expect(ids(block(HOUSE, 'room'))).toEqual(['bed', 'book', 'shelf', 'room'])
  expect(ids(around(HOUSE, 'book'))).toEqual(['shelf', 'room'])
})

test('C1 what is in a hidden or faded group does not show, what is in a locked one is locked', () => {
  expect(ids(seen(change('room', { visible: false })))).toEqual(['floor', 'roof'])
  expect(ids(seen(change('shelf', { opacity: 0 })))).toEqual(['floor', 'bed', 'roof'])
  const house = change('room', { locked: true })
  expect(house.map((item) => isLocked(house, item))).toEqual([false, true, true, true, true, false])
})

test('C1 groups that undo has put into each other are at the top level', () => {
  const ring = [layer('a', { group: true, parent: 'b' }), layer('b', { group: true, parent: 'a' }), layer('c', { parent: 'a' })]
  expect(tree(ring).map((node) => [node.layer.id, ids(node.inside.map((inner) => inner.layer))])).toEqual([['a', ['c']], ['b', []]])
})
