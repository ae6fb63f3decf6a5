// PNG from and to typed arrays, never through a canvas (C11): a canvas may premultiply, colour-manage or add noise.
import { decode, encode } from 'fast-png'

export interface Pixels {
  width: number
  height: number
  channels: 1 | 4
  data: Uint8Array
}

export function encodePixels(pixels: Pixels): Uint8Array {
  return encode({ ...pixels, depth: 8 })
}

/** The first channel of a PNG: masks are gray. */
export function decodeGray(png: Uint8Array): Pixels {
  const image = decode(png)
  const size = image.width * image.height
  const data = new Uint8Array(size)
  const shift = image.depth === 16 ? 8 : 0
  for (let i = 0; i < size; i++) data[i] = image.data[i * image.channels]! >> shift
  return { width: image.width, height: image.height, channels: 1, data }
}
