import { expect, test } from 'vitest'
import { outline, patches, type Brush } from '../src/core/brush'
import { Mask } from '../src/core/mask'
import { decodeGray, encodePixels } from '../src/core/png-codec'
import { decode } from 'fast-png'

const RED: Brush = { size: 20, color: '#ff8000', opacity: 0.5, pressed: false }

test('C11 a stroke becomes a straight-alpha patch of its own box, in the exact colour', () => {
  const points = outline([{ x: 50, y: 50, pressure: 0.5 }, { x: 90, y: 50, pressure: 0.5 }], RED, true)
  const [patch] = patches(points, RED, [0, 0, 200, 200])
  if (patch === undefined) throw new Error('no patch')
  const w = patch.box[2] - patch.box[0]
  const at = ((50 - patch.box[1]) * w + 70 - patch.box[0]) * 4
  expect([...patch.data.subarray(at, at + 4)]).toEqual([255, 128, 0, 128])
  const png = decode(encodePixels({ width: w, height: patch.box[3] - patch.box[1], channels: 4, data: patch.data }))
  expect(new Uint8Array(png.data)).toEqual(patch.data)
})

test('a stroke outside the canvas is nothing', () => {
  const points = outline([{ x: -80, y: -80, pressure: 0.5 }], RED, true)
  expect(patches(points, RED, [0, 0, 200, 200])).toEqual([])
})

test('C3 a stroke longer than an op may be goes out in pieces that cover it once', () => {
  const points = outline([{ x: 10, y: 10, pressure: 0.5 }, { x: 4900, y: 20, pressure: 0.5 }], RED, true)
  const found = patches(points, RED, [0, 0, 5000, 5000])
  expect(found.length).toBe(3)
  expect(found.every(({ box }) => box[2] - box[0] <= 2048 && box[3] - box[1] <= 2048)).toBe(true)
})

test('a gray mask survives its PNG byte for byte', () => {
  const data = Uint8Array.from({ length: 300 }, (_, i) => (i * 7) % 256)
  const png = encodePixels({ width: 20, height: 15, channels: 1, data })
  expect(decodeGray(png).data).toEqual(data)
})

test('behaviour 3: a stroke that stays inside the mask is as dense as the mask, and nothing outside it', () => {
  const mask = new Mask()
  mask.add({ box: [60, 40, 70, 60], data: new Uint8Array(200).fill(51) }, [0, 0, 200, 200])
  const points = outline([{ x: 50, y: 50, pressure: 0.5 }, { x: 90, y: 50, pressure: 0.5 }], RED, true)
  const [patch, ...more] = patches(points, { ...RED, opacity: 1 }, [0, 0, 200, 200], mask)
  expect(more).toEqual([])
  const [x0, y0, x1, y1] = patch!.box
  expect([x0 >= 60, y0 >= 40, x1 <= 70, y1 <= 60]).toEqual([true, true, true, true])
  const at = ((50 - y0) * (x1 - x0) + 65 - x0) * 4
  expect([...patch!.data.subarray(at, at + 4)]).toEqual([255, 128, 0, 51])
})
