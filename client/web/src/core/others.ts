// What others do before it is durable, as they show it: their masks, and strokes in progress (R3).
import type { Box, Stroke } from '../protocol/types'
import { Mask } from './mask'
import { cutOf, type Cut } from './mask-image'
import { MaskView } from './mask-view'
import type { Context } from './placing'
import { Sheets } from './sheets'
import type { View } from './view'

/** Other people's masks are quieter than mine: theirs may cover what I work on. */
const MASK_TINT = 0.24
const SUBTRACT_TINT = 0.15
const PAINT_TINT = 0.9

interface Shown {
  mask: Mask
  look: MaskView
  color: string
  /** What their strokes are cut to; undefined until it is needed, null where nothing is masked. */
  cut: Cut | null | undefined
}

export class Others {
  /** Members whose masks are shown by their edges, because their live results are to be seen. */
  quiet: ReadonlySet<string> = new Set()
  /** By `{member}/{stroke}`. */
  readonly strokes = new Map<string, { member: string; stroke: Stroke; color: string }>()
  readonly #masks = new Map<string, Shown>()
  readonly #sheets = new Sheets()

  constructor(private readonly view: View) {}

  /** A tile of somebody's mask; null where it is empty now. */
  setMask(member: string, color: string, [tx, ty]: readonly [number, number], data: Uint8Array | null): void {
    let shown = this.#masks.get(member)
    if (shown === undefined) {
      const mask = new Mask()
      this.#masks.set(member, (shown = { mask, look: new MaskView(mask, MASK_TINT), color, cut: undefined }))
    }
    shown.color = color
    shown.cut = undefined
    shown.mask.setTile(tx, ty, data)
  }

  clearMask(member: string): void {
    this.#masks.delete(member)
  }

  forget(member: string): void {
    this.#masks.delete(member)
    for (const [key, stroke] of this.strokes) if (stroke.member === member) this.strokes.delete(key)
  }

  /** The mask of somebody, as far as it was shown. */
  maskOf(member: string): Mask | null {
    return this.#masks.get(member)?.mask ?? null
  }

  get maskCount(): number {
    return [...this.#masks.values()].filter(({ mask }) => !mask.isEmpty).length
  }

  /** All bytes of each member's mask added up. */
  maskSums(): number[] {
    return [...this.#masks.values()].map(({ mask }) => mask.sum())
  }

  /** In canvas pixels, as the context is set. */
  draw(ctx: CanvasRenderingContext2D, visible: Box, isCrisp: boolean): void {
    ctx.lineWidth = 1.5 / this.view.scale
    for (const [member, { look, color }] of this.#masks) {
      if (!this.quiet.has(member)) look.draw(ctx, color, visible, isCrisp)
      ctx.strokeStyle = color
      for (const edge of look.edges(visible)) ctx.stroke(edge)
    }
    for (const { member, stroke, color } of this.strokes.values()) {
      if (stroke.points.length < 3) continue
      ctx.save()
      ctx.globalAlpha = tintOf(stroke)
      if (stroke.masked === true) this.#cut(ctx, member, stroke, color)
      else draw(ctx, stroke, color)
      ctx.restore()
    }
  }

  /** Only what is inside its author's mask, as the tiles will have it. */
  #cut(ctx: CanvasRenderingContext2D, member: string, stroke: Stroke, color: string): void {
    const cut = this.#cutOf(member)
    if (cut === null) return
    const [x0, y0, x1, y1] = cut.box
    const sheet = this.#sheets.get(ctx, 0)
    sheet.setTransform(ctx.getTransform())
    draw(sheet, stroke, color)
    sheet.globalCompositeOperation = 'destination-in'
    sheet.drawImage(cut.image, x0, y0, x1 - x0, y1 - y0)
    sheet.globalCompositeOperation = 'source-over'
    ctx.setTransform(1, 0, 0, 1, 0, 0)
    ctx.drawImage(sheet.canvas, 0, 0)
  }

  #cutOf(member: string): Cut | null {
    const shown = this.#masks.get(member)
    if (shown === undefined) return null
    if (shown.cut === undefined) shown.cut = cutOf(shown.mask)
    return shown.cut
  }
}

function tintOf({ kind, subtract }: Stroke): number {
  if (subtract === true) return SUBTRACT_TINT
  return kind.startsWith('mask') ? MASK_TINT : PAINT_TINT
}

function draw(ctx: Context, { kind, points, size, color }: Stroke, theirs: string): void {
  ctx.strokeStyle = ctx.fillStyle = kind.startsWith('mask') ? theirs : kind === 'erase' ? '#fff' : (color ?? theirs)
  ctx.beginPath()
  for (let i = 0; i + 1 < points.length; i += 3) ctx.lineTo(points[i]!, points[i + 1]!)
  if (kind === 'mask-lasso' || kind === 'mask-rect') {
    ctx.closePath()
    ctx.fill()
    return
  }
  if (points.length === 3) ctx.lineTo(points[0]! + 0.01, points[1]!)
  ctx.lineWidth = size ?? 16
  ctx.lineCap = ctx.lineJoin = 'round'
  ctx.stroke()
}
