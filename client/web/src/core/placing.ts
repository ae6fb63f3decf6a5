// Where the picture's boxes fall on the screen's own pixels: tiles on whole ones, everything laid over them by their measure.
import type { Box } from '../protocol/types'
import { intersect, tilesOf, tileBox } from '../protocol/geometry'
import type { View } from './view'

export type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D
type Rectangle = [x: number, y: number, w: number, h: number]

/** A canvas box on whole device pixels, so that neighbouring tiles share an edge. */
export function onDevice(view: View, box: Box): Rectangle {
  const { scale, x, y, dpr } = view
  const x0 = Math.round((box[0] * scale + x) * dpr)
  const y0 = Math.round((box[1] * scale + y) * dpr)
  return [x0, y0, Math.round((box[2] * scale + x) * dpr) - x0, Math.round((box[3] * scale + y) * dpr) - y0]
}

/**
 * Draws the part of an image that falls into a tile slot, stretched as the slot's tile is. Rounded by itself it would lie up
 * to half a pixel beside the tiles that it becomes, and jump when it does.
 */
export function drawInSlot(ctx: Context, view: View, image: CanvasImageSource, box: Box, slot: Box): void {
  const [x, y, w, h] = onDevice(view, slot)
  const sx = w / (slot[2] - slot[0])
  const sy = h / (slot[3] - slot[1])
  ctx.save()
  ctx.beginPath()
  ctx.rect(x, y, w, h)
  ctx.clip()
  ctx.drawImage(image, x + (box[0] - slot[0]) * sx, y + (box[1] - slot[1]) * sy, (box[2] - box[0]) * sx, (box[3] - box[1]) * sy)
  ctx.restore()
}

/** Draws the visible part of an image over the slots of a mip level. */
export function drawOverSlots(ctx: Context, view: View, image: CanvasImageSource, box: Box, visible: Box, level: number): void {
  for (const [tx, ty] of tilesOf(intersect(box, visible), level)) drawInSlot(ctx, view, image, box, tileBox(tx, ty, level))
}
