// What goes out with Generate is what the room's model takes, whatever is set in the bar.
import { beforeEach, expect, test, vi } from 'vitest'
import { wish } from '../src/ui/canvas/wish.svelte'
import { job } from './support'

const SD = { name: 'sd', takes: ['negative', 'guidance', 'steps', 'detail'] as const, styles: ['Ink'], loras: ['toy'] }

beforeEach(() => {
  wish.prompt = ' a dog '
  wish.negative = 'cats'
  wish.detail = true
  wish.steps = 9
  wish.guidance = 4
  wish.style = 'Ink'
  wish.loras = [{ name: 'toy', weight: 0.5 }]
})

test('a model that takes everything is asked for everything', () => {
  const asked = wish.read('fill', null, { ...SD, takes: [...SD.takes] })
  expect(asked).toMatchObject({ prompt: 'a dog', negative: 'cats', detail: true, steps: 9, guidance: 4, style: 'Ink', loras: [{ name: 'toy', weight: 0.5 }] })
})

test('a model that takes nothing is asked for nothing, and what was set stays', () => {
  const asked = wish.read('fill', null, { name: 'nano' })
  expect(asked).toMatchObject({ prompt: 'a dog', negative: '', detail: false, steps: null, guidance: null, style: null, loras: [] })
  expect(wish.style).toBe('Ink')
  expect(wish.detail).toBe(true)
})

test('the settings of an edit are taken over whole', () => {
  wish.reuse(job('j', { prompt: 'a tree', steps: 3, guidance: null, style: null, loras: [{ name: 'toy', weight: 2 }] }), 'all')
  expect(wish.read('fill', null, { ...SD, takes: [...SD.takes] })).toMatchObject({ prompt: 'a tree', steps: 3, guidance: null, style: null, loras: [{ name: 'toy', weight: 2 }] })
})

test('the model that was picked is asked for while it is served, the usual one meanwhile, and it is remembered', () => {
  const nano = { name: 'nano' }
  const kept = new Map<string, string>()
  vi.stubGlobal('localStorage', { setItem: (key: string, value: string) => kept.set(key, value) })
  expect(wish.of([])).toBeNull()
  wish.choose('sd')
  expect(wish.of([nano, SD as never])?.name).toBe('sd')
  expect(wish.read('fill', null, wish.of([nano, SD as never])).model).toBe('sd')
  expect(wish.of([nano])?.name).toBe('nano')
  expect(wish.read('fill', null, wish.of([nano])).model).toBeNull()
  expect([...kept]).toEqual([['nanobana.model', 'sd']])
  vi.unstubAllGlobals()
})

test('taking over everything of an edit brings its model back, taking over its prompt does not', () => {
  wish.choose('nano')
  wish.reuse(job('j', { model: 'sd' }), 'prompt')
  expect(wish.model).toBe('nano')
  wish.reuse(job('j', { model: 'sd' }), 'all')
  expect(wish.model).toBe('sd')
})
