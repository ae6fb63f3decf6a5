// Draws what lies above the picture: masks with their edges, other people's strokes, job outlines, the brush outline.
import type { Box, Stroke } from '../protocol/types'
import { area, type Point } from '../protocol/geometry'
import { contour } from './contour'
import { parseColor } from './brush'
import type { Mask, MaskTile } from './mask'
import type { Coverage } from './raster'
import type { View } from './view'

export interface OverlayMask {
  coverage: Coverage
  color: string
}

export interface Frame {
  box: Box
  color: string
  dashed: boolean
}

interface Prepared {
  image: OffscreenCanvas
  edge: Path2D
  box: Box
  color: string
}

const TINT = 0.38
/** Other people's masks are quieter: theirs may cover what I work on. */
const THEIR_TINT = 0.24

export class Overlay {
  maskVisible = true
  maskColor = '#f5c52b'
  /** Radius and place of the brush outline; null hides it. */
  hover: { at: Point; radius: number; subtract: boolean } | null = null
  /** A lasso or rectangle being drawn, in canvas points. */
  draft: { points: Point[]; closed: boolean } | null = null
  frames: Frame[] = []
  /** Dash offset of the marching edge. */
  phase = 0
  readonly strokes = new Map<string, { stroke: Stroke; color: string }>()
  readonly #others = new Map<string, Prepared>()
  readonly #tints = new Map<MaskTile, { image: OffscreenCanvas; color: string }>()
  #edge: Path2D | null = null

  constructor(
    private readonly view: View,
    private readonly mask: Mask,
  ) {
    mask.on('change', (box) => this.#changed(box))
  }

  setOther(member: string, mask: OverlayMask | null): void {
    if (mask === null) this.#others.delete(member)
    else this.#others.set(member, prepare(mask))
  }

  forgetMember(member: string): void {
    this.#others.delete(member)
    for (const key of this.strokes.keys()) if (key.startsWith(`${member}/`)) this.strokes.delete(key)
  }

  otherMasks(): number {
    return this.#others.size
  }

  draw(ctx: CanvasRenderingContext2D): void {
    const { scale, x, y, dpr } = this.view
    ctx.setTransform(1, 0, 0, 1, 0, 0)
    ctx.clearRect(0, 0, ctx.canvas.width, ctx.canvas.height)
    ctx.setTransform(scale * dpr, 0, 0, scale * dpr, x * dpr, y * dpr)
    for (const other of this.#others.values()) {
      ctx.drawImage(other.image, other.box[0], other.box[1])
      this.#line(ctx, other.edge, other.color, 1.5)
    }
    for (const { stroke, color } of this.strokes.values()) this.#stroke(ctx, stroke, color)
    if (this.maskVisible) this.#ownMask(ctx)
    for (const frame of this.frames) this.#frame(ctx, frame)
    if (this.draft !== null) this.#draft(ctx)
    if (this.hover !== null) this.#hover(ctx)
  }

  #ownMask(ctx: CanvasRenderingContext2D): void {
    const smoothing = ctx.imageSmoothingEnabled
    ctx.imageSmoothingEnabled = this.view.scale * this.view.dpr < 2
    for (const tile of this.mask.tiles.values()) {
      let tint = this.#tints.get(tile)
      if (tint === undefined || tint.color !== this.maskColor) {
        tint = { image: tintImage(tile.data, 256, 256, this.maskColor), color: this.maskColor }
        this.#tints.set(tile, tint)
      }
      ctx.drawImage(tint.image, tile.tx * 256, tile.ty * 256)
    }
    ctx.imageSmoothingEnabled = smoothing
    this.#edge ??= this.#trace()
    ctx.setLineDash([])
    this.#line(ctx, this.#edge, 'rgb(0 0 0 / 0.75)', 1.6)
    ctx.setLineDash([5 / this.view.scale, 4 / this.view.scale])
    ctx.lineDashOffset = this.phase / this.view.scale
    this.#line(ctx, this.#edge, '#fff', 1.6)
    ctx.setLineDash([])
  }

  #trace(): Path2D {
    const box = this.mask.box()
    return box === null || area(box) > 40_000_000 ? new Path2D() : edgePath(this.mask.crop(box))
  }

  #stroke(ctx: CanvasRenderingContext2D, stroke: Stroke, color: string): void {
    const mask = stroke.kind.startsWith('mask')
    const { points } = stroke
    if (points.length < 3) return
    ctx.save()
    ctx.globalAlpha = stroke.subtract ? 0.15 : mask ? THEIR_TINT : 0.9
    ctx.strokeStyle = ctx.fillStyle = mask ? color : stroke.kind === 'erase' ? '#fff' : (stroke.color ?? color)
    ctx.beginPath()
    for (let i = 0; i + 1 < points.length; i += 3) ctx.lineTo(points[i]!, points[i + 1]!)
    if (stroke.kind === 'mask-lasso' || stroke.kind === 'mask-rect') {
      ctx.closePath()
      ctx.fill()
    } else {
      if (points.length === 3) ctx.lineTo(points[0]! + 0.01, points[1]!)
      ctx.lineWidth = stroke.size ?? 16
      ctx.lineCap = ctx.lineJoin = 'round'
      ctx.stroke()
    }
    ctx.restore()
  }

  #frame(ctx: CanvasRenderingContext2D, { box, color, dashed }: Frame): void {
    const one = 1 / this.view.scale
    const w = box[2] - box[0]
    const h = box[3] - box[1]
    ctx.beginPath()
    ctx.roundRect(box[0] - 3 * one, box[1] - 3 * one, w + 6 * one, h + 6 * one, 6 * one)
    ctx.lineWidth = 4 * one
    ctx.strokeStyle = 'rgb(255 255 255 / 0.6)'
    ctx.stroke()
    ctx.lineWidth = 2 * one
    ctx.strokeStyle = color
    if (dashed) {
      ctx.setLineDash([8 * one, 5 * one])
      ctx.lineDashOffset = this.phase * one
    }
    ctx.stroke()
    ctx.setLineDash([])
  }

  #draft(ctx: CanvasRenderingContext2D): void {
    const path = new Path2D()
    for (const p of this.draft?.points ?? []) path.lineTo(p.x, p.y)
    if (this.draft?.closed) path.closePath()
    ctx.fillStyle = `rgb(${parseColor(this.maskColor).join(' ')} / 0.2)`
    ctx.fill(path)
    this.#line(ctx, path, 'rgb(0 0 0 / 0.7)', 2.2)
    this.#line(ctx, path, '#fff', 1.2)
  }

  #hover(ctx: CanvasRenderingContext2D): void {
    if (this.hover === null) return
    const { at, radius, subtract } = this.hover
    const path = new Path2D()
    path.arc(at.x, at.y, Math.max(radius, 0.5 / this.view.scale), 0, Math.PI * 2)
    if (subtract) {
      const arm = Math.min(radius * 0.6, 6 / this.view.scale)
      path.moveTo(at.x - arm, at.y)
      path.lineTo(at.x + arm, at.y)
    }
    this.#line(ctx, path, 'rgb(0 0 0 / 0.6)', 3)
    this.#line(ctx, path, '#fff', 1.4)
  }

  #line(ctx: CanvasRenderingContext2D, path: Path2D, color: string, px: number): void {
    ctx.lineWidth = px / this.view.scale
    ctx.strokeStyle = color
    ctx.stroke(path)
  }

  #changed(box: Box | null): void {
    this.#edge = null
    for (const tile of this.#tints.keys()) {
      const gone = this.mask.tiles.get(`${tile.tx},${tile.ty}`) !== tile
      const touched = box === null || (tile.tx * 256 < box[2] && tile.tx * 256 + 256 > box[0] && tile.ty * 256 < box[3] && tile.ty * 256 + 256 > box[1])
      if (gone || touched) this.#tints.delete(tile)
    }
  }
}

function tintImage(data: Uint8Array, w: number, h: number, color: string, tint = TINT): OffscreenCanvas {
  const canvas = new OffscreenCanvas(w, h)
  const image = new ImageData(w, h)
  const [r, g, b] = parseColor(color)
  for (let i = 0, j = 0; i < data.length; i++, j += 4) {
    const a = data[i]!
    if (a === 0) continue
    image.data[j] = r
    image.data[j + 1] = g
    image.data[j + 2] = b
    image.data[j + 3] = a * tint
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0)
  return canvas
}

function edgePath(coverage: Coverage): Path2D {
  const path = new Path2D()
  for (const loop of contour(coverage)) {
    loop.forEach((p, i) => (i === 0 ? path.moveTo(p.x, p.y) : path.lineTo(p.x, p.y)))
    path.closePath()
  }
  return path
}

function prepare({ coverage, color }: OverlayMask): Prepared {
  const { box, data } = coverage
  const image = tintImage(data, box[2] - box[0], box[3] - box[1], color, THEIR_TINT)
  return { image, edge: edgePath(coverage), box, color }
}
