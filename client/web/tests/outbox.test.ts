import 'fake-indexeddb/auto'
import { expect, test, vi } from 'vitest'
import { openShelf, Outbox, type Shelf } from '../src/net/outbox'
import { Sender } from '../src/net/sender'
import { ApiError } from '../src/net/api'
import { opKey } from '../src/protocol/codec'
import type { Op } from '../src/protocol/types'

const NOWHERE: Shelf = { all: async () => [], put: async () => undefined, drop: async () => undefined }

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

function setUp(live = true) {
  const sent: Op[] = []
  const line = { live, send: (messages: readonly Op[]) => line.live && (sent.push(...messages), true) }
  const outbox = new Outbox('x', 'tab', NOWHERE, () => 1000)
  const upload = vi.fn(async () => 'f'.repeat(32))
  const sender = new Sender(outbox, line, upload)
  return { sent, line, outbox, sender, upload }
}

const undo = (sender: Sender): Op => ({ t: 'undo', op: sender.nextId() })

test('C6 op IDs rise, also when the clock stands still or goes back', () => {
  let now = 1000
  const outbox = new Outbox('x', 'tab', NOWHERE, () => now)
  const first = outbox.nextId()[1]
  now = 10
  expect(outbox.nextId()[1]).toBeGreaterThan(first)
})

test('R2 unanswered ops go again after a reconnect, in order, under the same IDs', async () => {
  const { sent, line, sender } = setUp()
  await sender.push(undo(sender))
  await sender.push(undo(sender))
  line.live = false
  sender.acked(sent[0]!.op, 7)
  expect(sender.durable).toBe(7)
  await sender.push(undo(sender))
  expect(sent).toHaveLength(2)
  line.live = true
  sender.reconnected()
  await settled()
  expect(sent.map((op) => op.op[1])).toEqual([1000, 1001, 1001, 1002])
  expect(sender.unsaved).toBe(2)
})

test('a slow preparation holds back what was drawn later, so that IDs rise on the wire', async () => {
  const { sent, sender } = setUp()
  let release: (() => void) | undefined
  const slow = { t: 'undo', op: sender.nextId() } as const
  void sender.push(() => new Promise((resolve) => (release = () => resolve({ op: slow }))))
  const later = sender.push(undo(sender))
  await settled()
  expect(sent).toHaveLength(0)
  expect(sender.unsaved).toBe(2)
  release?.()
  await later
  await settled()
  expect(sent.map((op) => op.op[1])).toEqual([1000, 1001])
})

test('C11 a patch too big to travel inside is uploaded first and named', async () => {
  const { sent, sender, upload } = setUp()
  const op: Op = { t: 'paint', op: sender.nextId(), layer: 'a', box: [0, 0, 9, 9] }
  await sender.push(async () => ({ op, upload: { bytes: new Uint8Array(9), field: 'blob' } }))
  await settled()
  expect(upload).toHaveBeenCalledOnce()
  expect(sent).toEqual([{ ...op, blob: 'f'.repeat(32) }])
})

test('R10 an op that is turned away for the moment stays unsaved and goes again under a newer ID', async () => {
  const { sent, outbox, sender } = setUp()
  const names: [string, string][] = []
  sender.on('renamed', ({ from, to }) => names.push([from, opKey(to)]))
  await sender.push(undo(sender))
  sender.rejected(sent[0]!.op, 'too_many', 'later', 20)
  expect(sender.unsaved).toBe(1)
  expect(outbox.pending()).toHaveLength(1)
  sender.reconnected()
  await sender.push(undo(sender))
  await vi.waitFor(() => expect(sent).toHaveLength(3))
  expect(sent.map((op) => op.op[1])).toEqual([1000, 1002, 1003])
  expect(names).toEqual([['tab-1000', 'tab-1001'], ['tab-1001', 'tab-1003']])
  expect(sender.unsaved).toBe(2)
})

test('R10 what has to wait for a budget is said once and goes again by itself', async () => {
  const { sent, sender, upload } = setUp()
  const held = vi.fn()
  sender.on('held', held)
  upload.mockRejectedValueOnce(new ApiError(429, 'too_many', 'You sent too much. Wait 1 s.', 1000))
  const op: Op = { t: 'paint', op: sender.nextId(), layer: 'a', box: [0, 0, 9, 9] }
  await sender.push(async () => ({ op, upload: { bytes: new Uint8Array(9), field: 'blob' } }))
  await settled()
  expect(held.mock.calls).toEqual([['You sent too much. Wait 1 s.']])
  expect(sent).toHaveLength(0)
  await vi.waitFor(() => expect(sent).toHaveLength(1), { timeout: 3000 })
})

test('an upload that is refused for good is reported and does not block the rest', async () => {
  const { sent, sender, upload } = setUp()
  upload.mockRejectedValueOnce(new ApiError(400, 'bad_image', 'this is no picture'))
  const refused = vi.fn()
  sender.on('refused', refused)
  const op: Op = { t: 'paint', op: sender.nextId(), layer: 'a', box: [0, 0, 9, 9] }
  await sender.push(async () => ({ op, upload: { bytes: new Uint8Array(9), field: 'blob' } }))
  await sender.push(undo(sender))
  await vi.waitFor(() => expect(sent).toHaveLength(1))
  await settled()
  expect(refused.mock.calls[0]?.[0]).toMatchObject({ code: 'bad_image' })
})

test('R2 an op that was turned away for the moment goes again under a new ID', async () => {
  const { sent, sender } = setUp()
  await sender.push(undo(sender))
  sender.rejected(sent[0]!.op, 'too_many', 'later', 1)
  await vi.waitFor(() => expect(sent).toHaveLength(2))
  expect(sent[1]!.op[1]).toBeGreaterThan(sent[0]!.op[1])
})

test('unsent ops survive a reload in IndexedDB, and only those of this canvas come back', async () => {
  const shelf = await openShelf('test-shelf')
  const before = new Outbox('mine', 'tab', shelf, () => 5)
  before.add({ t: 'undo', op: before.nextId() })
  const other = new Outbox('other', 'tab', shelf, () => 5)
  other.add({ t: 'undo', op: other.nextId() })
  await vi.waitFor(async () => expect(await shelf.all('mine')).toHaveLength(1))
  const after = new Outbox('mine', 'tab', shelf, () => 1)
  after.restore(await shelf.all('mine'))
  expect(after.pending().map((item) => item.op.op)).toEqual([['tab', 5]])
  expect(after.nextId()[1]).toBeGreaterThan(5)
  after.settle(['tab', 5])
  await vi.waitFor(async () => expect(await shelf.all('mine')).toHaveLength(0))
})
