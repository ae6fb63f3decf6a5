// What somebody brings to the canvas: a picture, placed with the move tool; a file of layers; a white sheet.
import { MAX_SIDE } from '../protocol/types'
import type { Point } from '../protocol/geometry'
import { encodePng } from '../core/png'
import { randomId } from '../net/identity'
import { isOpenRaster } from '../net/upload'
import { placeFor } from './imports'
import type { Session } from './session'

/** A picture's middle comes to lie at a point, or in the middle of the canvas. */
export async function bringImage(session: Session, file: Blob, name: string, at: Point | null = null): Promise<void> {
  const { document, imports, mover, steps } = session
  const isPlaced = session.hasSize && !isOpenRaster(file, name)
  const place = isPlaced ? await placeFor(file, document.canvas, at) : { x: 0, y: 0 }
  const done = await imports.bring(file, name, { layer: randomId(10), ...place })
  if (done === null) return
  if (done.notes !== undefined && done.notes.length > 0) session.emit('toast', { tone: 'info', text: `${name}: ${done.notes.join(' ')}` })
  session.acted('op')
  const { count } = steps
  await document.reached(done.seq)
  if (isPlaced) mover.placed = { layer: done.layer, n: done.op[1], steps: count }
  session.setActiveLayer(done.layer)
  if (isPlaced) takeToPlace(session)
}

/** The move tool for as long as it takes to place the layer in hand. */
function takeToPlace({ tools, mover }: Session): void {
  const { tool } = tools.state
  if (tool === 'move') return
  tools.set({ tool: 'move' })
  mover.back = tool
}

/** A white sheet: size first, then a paper layer that covers it. */
export async function blank(session: Session, w: number, h: number): Promise<void> {
  const { sender, imports } = session
  if (!session.hasSize) await sender.push({ t: 'canvas_set', op: sender.nextId(), width: Math.min(w, MAX_SIDE), height: Math.min(h, MAX_SIDE) })
  const png = await encodePng({ width: w, height: h, channels: 4, data: new Uint8Array(w * h * 4).fill(255) })
  const done = await imports.bring(new Blob([png.slice()], { type: 'image/png' }), 'Paper', { layer: randomId(10), x: 0, y: 0 })
  if (done !== null) session.setActiveLayer(done.layer)
}
