import { expect, test } from 'vitest'
import { Document } from '../src/core/document'
import { Mask } from '../src/core/mask'
import { MaskCopier, type MaskCopy } from '../src/core/mask-copy'
import { Results } from '../src/core/results'
import { TileStore } from '../src/core/tiles'
import { Outbox } from '../src/net/outbox'
import { Sender } from '../src/net/sender'
import type { Box, Op } from '../src/protocol/types'
import { Edits } from '../src/session/edits'
import { wish } from '../src/ui/canvas/wish.svelte'

const SHEET: Box = [0, 0, 100, 100]

function paint(mask: Mask, box: Box): void {
  mask.add({ box, data: new Uint8Array((box[2] - box[0]) * (box[3] - box[1])).fill(255) }, SHEET)
}

function tab(copierOf = (mask: Mask) => new MaskCopier(mask)) {
  const sent: Op[] = []
  const line = { live: true, send: (ops: readonly Op[]) => sent.push(...ops) > 0 }
  const shelf = { all: async () => [], put: async () => undefined, drop: async () => undefined }
  const sender = new Sender(new Outbox('x', 'tab', shelf), line, async () => '')
  const mask = new Mask()
  const document = new Document()
  const edits = new Edits(document, mask, copierOf(mask), new Results(document, new TileStore(), String), sender, () => null)
  return { sent, mask, edits }
}

class OutOfMemory extends MaskCopier {
  override copy(): MaskCopy | null {
    const copy = super.copy()
    return copy && { ...copy, png: Promise.reject(new Error('out of memory')) }
  }
}

test('what is masked while an edit is being sent is another mask, and stays', async () => {
  const { sent, mask, edits } = tab()
  paint(mask, [10, 20, 30, 25])
  const queued = edits.generate(wish.read('fill', null, null))
  paint(mask, [40, 20, 50, 25])
  await queued

  expect(sent.map((op) => op.t === 'edit' && op.edit.box)).toEqual([[10, 20, 30, 25]])
  expect(mask.box()).toEqual([40, 20, 50, 25])
})

test('a mask whose edit cannot be sent is back', async () => {
  const { sent, mask, edits } = tab((mask) => new OutOfMemory(mask))
  paint(mask, [10, 20, 30, 25])
  await expect(edits.generate(wish.read('fill', null, null))).rejects.toThrow('out of memory')

  expect(sent).toEqual([])
  expect(mask.box()).toEqual([10, 20, 30, 25])
})
