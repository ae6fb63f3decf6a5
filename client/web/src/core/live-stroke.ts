// A stroke of paint or eraser while it is drawn, in the place that its tiles will have.
import type { Cut } from './mask-image'
import { onDevice, type Context } from './placing'
import type { View } from './view'

export interface LiveStroke {
  layer: string
  path: Path2D
  color: string
  opacity: number
  mode: 'over' | 'erase'
  /** The mask that it stays inside of. */
  cut: Cut | null
}

/** Lays it over what is there; `sheet` gives an empty canvas of the same size to cut it on. */
export function drawStroke(ctx: Context, view: View, { path, color, opacity, mode, cut }: LiveStroke, sheet: () => Context): void {
  const { scale, x, y, dpr } = view
  const target = cut === null ? ctx : sheet()
  ctx.save()
  ctx.globalAlpha = opacity
  ctx.globalCompositeOperation = mode === 'erase' ? 'destination-out' : 'source-over'
  target.fillStyle = color
  target.setTransform(scale * dpr, 0, 0, scale * dpr, x * dpr, y * dpr)
  target.fill(path)
  if (cut !== null) {
    target.setTransform(1, 0, 0, 1, 0, 0)
    target.globalCompositeOperation = 'destination-in'
    target.drawImage(cut.image, ...onDevice(view, cut.box))
    target.globalCompositeOperation = 'source-over'
    ctx.drawImage(target.canvas, 0, 0)
  }
  ctx.restore()
}
