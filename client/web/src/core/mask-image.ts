// A mask as a picture: as opaque as the mask is dense, for cutting what is drawn.
import { TILE, type Box } from '../protocol/types'
import { height, overlaps, tileBox, width } from '../protocol/geometry'
import type { Mask } from './mask'

/** Of a box, one pixel for `side` of the canvas in both directions. */
export function maskImage(mask: Mask, box: Box, side: number): OffscreenCanvas {
  const made = new OffscreenCanvas(Math.ceil(width(box) / side), Math.ceil(height(box) / side))
  const ctx = made.getContext('2d')
  for (const { tx, ty, data } of mask.tiles.values()) {
    const at = tileBox(tx, ty)
    if (!overlaps(at, box)) continue
    const tile = new OffscreenCanvas(TILE, TILE)
    const pixels = new ImageData(TILE, TILE)
    for (let i = 0; i < data.length; i++) pixels.data[i * 4 + 3] = data[i]!
    tile.getContext('2d')?.putImageData(pixels, 0, 0)
    ctx?.drawImage(tile, (at[0] - box[0]) / side, (at[1] - box[1]) / side, TILE / side, TILE / side)
  }
  return made
}

/** What is drawn is cut to this: a mask as a picture, stretched over its box. */
export interface Cut {
  box: Box
  image: OffscreenCanvas
}

/** Side of a cut at the most: only what is drawn meanwhile is cut by it. */
const MOST_CUT = 2048

/** Null where nothing is masked. */
export function cutOf(mask: Mask): Cut | null {
  const box = mask.box()
  return box === null ? null : { box, image: maskImage(mask, box, Math.max(1, width(box) / MOST_CUT, height(box) / MOST_CUT)) }
}
