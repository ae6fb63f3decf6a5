import { expect, test, vi } from 'vitest'
import { TileStore } from '../src/core/tiles'

function bitmap(side = 256): ImageBitmap {
  return { width: side, height: side, close: vi.fn() } as unknown as ImageBitmap
}

function slow() {
  const open = new Map<string, (value: ImageBitmap) => void>()
  const fetcher = (url: string, signal: AbortSignal): Promise<ImageBitmap> =>
    new Promise((resolve, reject) => {
      open.set(url, resolve)
      signal.addEventListener('abort', () => reject(new Error('aborted')))
    })
  return { open, fetcher }
}

test('the nearest tiles are fetched first, a few at a time', async () => {
  const { open, fetcher } = slow()
  const store = new TileStore({ parallel: 2, fetcher })
  store.want([{ url: 'far', priority: 9 }, { url: 'near', priority: 1 }, { url: 'mid', priority: 5 }])
  expect([...open.keys()]).toEqual(['near', 'mid'])
  open.get('near')?.(bitmap())
  await vi.waitFor(() => expect(open.has('far')).toBe(true))
  expect(store.get('near')).toBeDefined()
})

test('what is no longer wanted is given up', async () => {
  const { open, fetcher } = slow()
  const store = new TileStore({ parallel: 1, fetcher })
  store.want([{ url: 'a', priority: 1 }])
  store.want([{ url: 'b', priority: 1 }])
  await vi.waitFor(() => expect(open.has('b')).toBe(true))
  expect(store.get('a')).toBeUndefined()
})

test('R5 after a whole manifest only tiles whose names differ are fetched', async () => {
  const fetcher = vi.fn(async () => bitmap())
  const store = new TileStore({ fetcher })
  store.want([{ url: 'sea-1', priority: 1 }, { url: 'sky-1', priority: 2 }])
  await vi.waitFor(() => expect(store.get('sky-1')).toBeDefined())
  store.want([{ url: 'sea-2', priority: 1 }, { url: 'sky-1', priority: 2 }])
  await vi.waitFor(() => expect(store.get('sea-2')).toBeDefined())
  expect(fetcher.mock.calls.map((call) => (call as unknown as [string])[0])).toEqual(['sea-1', 'sky-1', 'sea-2'])
})

test('the least recently used tiles make room, by bytes', () => {
  const store = new TileStore({ budgetBytes: 2 * 256 * 256 * 4, fetcher: async () => bitmap() })
  const [a, b, c] = [bitmap(), bitmap(), bitmap()]
  store.put('a', a)
  store.put('b', b)
  store.get('a')
  store.put('c', c)
  expect(store.peek('b')).toBeUndefined()
  expect(b.close).toHaveBeenCalled()
  expect(store.peek('a')).toBe(a)
  expect(store.bytes).toBe(2 * 256 * 256 * 4)
})

test('bytes that came with a message are not fetched', async () => {
  const made = bitmap()
  vi.stubGlobal('createImageBitmap', async () => made)
  const fetcher = vi.fn(async () => bitmap())
  const store = new TileStore({ fetcher })
  store.give('patch', new Uint8Array([1, 2, 3]))
  store.hurry(['patch'])
  await vi.waitFor(() => expect(store.get('patch')).toBe(made))
  expect(fetcher).not.toHaveBeenCalled()
  vi.unstubAllGlobals()
})

test('bytes that cannot be read are fetched after all', async () => {
  vi.stubGlobal('createImageBitmap', async () => Promise.reject(new Error('not a picture')))
  vi.useFakeTimers()
  const fetched = bitmap()
  const store = new TileStore({ fetcher: async () => fetched, now: () => Date.now() })
  store.give('patch', new Uint8Array([1]))
  store.hurry(['patch'])
  await vi.advanceTimersByTimeAsync(1000)
  expect(store.get('patch')).toBe(fetched)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})
