import { expect, test } from 'vitest'
import { dropped, stepped, whyNotMerged } from '../src/session/restack'
import { layer } from './support'

// bottom to top: a, (b, c) in g, d
const LAYERS = [layer('a'), layer('b', { parent: 'g' }), layer('c', { parent: 'g' }), layer('g', { group: true }), layer('d')]

test('C1 a layer dropped onto a group goes into it, on top', () => {
  expect(dropped(LAYERS, 'a', 'g')).toEqual({ index: 2, parent: 'g' })
  expect(dropped(LAYERS, 'g', 'b')).toBeNull()
})

test('C1 a layer dropped onto another takes its place, in its group or out of it', () => {
  expect(dropped(LAYERS, 'a', 'd')).toEqual({ index: 4, parent: '' })
  expect(dropped(LAYERS, 'd', 'b')).toEqual({ index: 1, parent: 'g' })
  expect(dropped(LAYERS, 'c', 'a')).toEqual({ index: 0, parent: '' })
})

test('C1 a step goes past a whole group, and out of one at its edge', () => {
  expect(stepped(LAYERS, 'a', 1)).toEqual({ index: 3, parent: '' })
  expect(stepped(LAYERS, 'd', -1)).toEqual({ index: 1, parent: '' })
  expect(stepped(LAYERS, 'b', -1)).toEqual({ index: 1, parent: '' })
  expect(stepped(LAYERS, 'c', 1)).toEqual({ index: 3, parent: '' })
  expect(stepped(LAYERS, 'b', 1)).toEqual({ index: 2, parent: 'g' })
  expect(stepped(LAYERS, 'd', 1)).toBeNull()
  expect(stepped(LAYERS, 'a', -1)).toBeNull()
})

test('C1 a layer is merged down only where there is one beneath it, and says why not', () => {
  const why = (id: string, layers = LAYERS): string | null => whyNotMerged(layers, layers.find((found) => found.id === id)!)
  expect(why('c')).toBeNull()
  expect(why('g')).toBeNull()
  expect(why('a')).toContain('no layer beneath')
  expect(why('b')).toContain('no layer beneath')
  expect(why('d')).toContain('group')
  expect(why('c', [LAYERS[0]!, { ...LAYERS[1]!, visible: false }, ...LAYERS.slice(2)])).toContain('show both')
  expect(why('g', [{ ...LAYERS[0]!, locked: true }, ...LAYERS.slice(1)])).toContain('locked')
})
