// Held pixels as they are shown: a layer's, or those under a mask, as one picture that can be laid down anywhere (C14).
import { MAX_MIP, type Box } from '../protocol/types'
import { height, intersect, isEmpty, overlaps, tileBox, union, width } from '../protocol/geometry'
import type { Document } from './document'
import type { Mask } from './mask'
import { maskImage } from './mask-image'
import type { TileStore } from './tiles'

/** Side of the picture at the most: it is only looked at. */
const MOST = 2048

export interface Lifted {
  layer: string
  /** Around all that is not transparent. */
  box: Box
  /** Stretched over the box. */
  image: OffscreenCanvas
  /** As opaque as the mask where pixels were taken, over the box; null: all of the layer is held. */
  hole: OffscreenCanvas | null
}

type Address = (layer: string, level: number, tx: number, ty: number) => string

/** Null where there is nothing to hold. */
export async function lift(document: Document, tiles: TileStore, address: Address, layer: string, mask: Mask | null): Promise<Lifted | null> {
  const whole = document.places(layer).reduce<Box | null>((all, [tx, ty]) => union(all, tileBox(tx, ty)), null)
  const masked = mask?.box() ?? null
  if (whole === null || (mask !== null && masked === null)) return null
  const box = masked === null ? whole : intersect(whole, masked)
  if (isEmpty(box)) return null
  const level = Math.min(MAX_MIP, Math.max(0, Math.ceil(Math.log2(Math.max(width(box), height(box)) / MOST))))
  const side = 2 ** level
  const image = sheet(box, side)
  const ctx = context(image)
  const places = new Map(document.places(layer).map(([tx, ty]) => [`${tx >> level},${ty >> level}`, [tx >> level, ty >> level] as const]))
  await Promise.all(
    [...places.values()].map(async ([tx, ty]) => {
      const url = address(layer, level, tx, ty)
      const at = tileBox(tx, ty, level)
      if (url === '' || !overlaps(at, box)) return
      ctx.drawImage(await tiles.fetched(url), (at[0] - box[0]) / side, (at[1] - box[1]) / side)
    }),
  )
  const hole = mask === null ? null : maskImage(mask, box, side)
  if (hole !== null) {
    ctx.globalCompositeOperation = 'destination-in'
    ctx.drawImage(hole, 0, 0)
  }
  return tight({ layer, box, image, hole }, side)
}

/** Without the empty rows and columns around. */
function tight({ layer, box, image, hole }: Lifted, side: number): Lifted | null {
  const { data } = context(image).getImageData(0, 0, image.width, image.height)
  let [x0, y0, x1, y1] = [image.width, image.height, 0, 0]
  for (let y = 0, i = 3; y < image.height; y++) {
    for (let x = 0; x < image.width; x++, i += 4) {
      if (data[i] === 0) continue
      if (x < x0) x0 = x
      if (x >= x1) x1 = x + 1
      if (y < y0) y0 = y
      y1 = y + 1
    }
  }
  if (x1 === 0) return null
  const found: Box = [box[0] + x0 * side, box[1] + y0 * side, box[0] + x1 * side, box[1] + y1 * side]
  const cut = (from: OffscreenCanvas): OffscreenCanvas => {
    const made = new OffscreenCanvas(x1 - x0, y1 - y0)
    context(made).drawImage(from, -x0, -y0)
    return made
  }
  return { layer, box: found, image: cut(image), hole: hole === null ? null : cut(hole) }
}

function sheet(box: Box, side: number): OffscreenCanvas {
  return new OffscreenCanvas(Math.ceil(width(box) / side), Math.ceil(height(box) / side))
}

function context(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const ctx = canvas.getContext('2d', { willReadFrequently: true })
  if (ctx === null) throw new Error('this browser has no 2D canvas')
  return ctx
}
