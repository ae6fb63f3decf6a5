import { expect, test, vi } from 'vitest'
import { Document } from '../src/core/document'
import { Results } from '../src/core/results'
import { TileStore } from '../src/core/tiles'
import { change, job, manifest } from './support'

function open() {
  const document = new Document()
  document.load(manifest({ jobs: [job('j')] }))
  const tiles = new TileStore({ fetcher: () => new Promise(() => undefined) })
  return { document, results: new Results(document, tiles, (name) => `blobs/${name}`) }
}

test('R3 word that an edit runs redraws nothing: it has no picture', async () => {
  const { results } = open()
  const drawn = vi.fn()
  results.on('change', drawn)
  await results.receive({ t: 'preview', job: 'j', state: 'running', step: 1, of: 4 })
  expect(results.progress('j')?.step).toBe(1)
  expect(drawn).not.toHaveBeenCalled()
})

test('R3 pixels of a result that is not staged yet are made ready, and on the screen once it is', async () => {
  const { document, results } = open()
  expect(results.isAhead('blobs/patch')).toBe(false)
  await results.receive({ t: 'preview', job: 'j', state: 'running', patches: ['patch'] })
  expect(results.isAhead('blobs/patch')).toBe(true)
  expect(results.isAhead('blobs/other')).toBe(false)
  document.apply(change(11, { job: job('j', { state: 'staged' }) }))
  expect(results.isAhead('blobs/patch')).toBe(false)
})
