// Draws what lies above the picture: my mask and its edges, what others show, outlines of jobs, frames, the brush.
import type { Box } from '../protocol/types'
import { grow, type Point } from '../protocol/geometry'
import { parseColor } from './brush'
import { outlineOf, type Hold } from './holds'
import type { Mask } from './mask'
import { MaskView } from './mask-view'
import type { Others } from './others'
import type { SoftEdge } from './soft-edge'
import type { View } from './view'

/** A frame to pull at, in canvas pixels. */
export interface Grips {
  corners: Point[]
  sides: Point[]
  knob: Point
  /** What is held was under my mask, which is not shown meanwhile. */
  masked: boolean
}

export interface Frame {
  box: Box
  color: string
  dashed: boolean
}

const TINT = 0.38
/** The soft edge fades in so many steps. */
const BANDS = 5
const BAND_TINT = 0.09

export class Overlay {
  maskVisible = true
  /** The mask's edge only: a live result is to be seen under it. */
  maskQuiet = false
  maskColor = '#f5c52b'
  /** Radius and place of the brush outline; null hides it. */
  hover: { at: Point; radius: number; subtract: boolean } | null = null
  /** A lasso or rectangle being drawn, in canvas points. */
  draft: { points: Point[]; closed: boolean } | null = null
  frames: Frame[] = []
  /** How far an edit of my mask would reach; null hides it. */
  softEdge: SoftEdge | null = null
  /** The frame of what I hold; null hides it. */
  grip: Grips | null = null
  /** What is held, others' too. */
  holds: () => readonly Hold[] = () => []
  /** Dash offset of the marching edge. */
  phase = 0
  readonly #own: MaskView

  constructor(
    private readonly view: View,
    mask: Mask,
    private readonly others: Others,
  ) {
    this.#own = new MaskView(mask, TINT)
  }

  draw(ctx: CanvasRenderingContext2D): void {
    const { scale, x, y, dpr } = this.view
    ctx.setTransform(1, 0, 0, 1, 0, 0)
    ctx.clearRect(0, 0, ctx.canvas.width, ctx.canvas.height)
    ctx.setTransform(scale * dpr, 0, 0, scale * dpr, x * dpr, y * dpr)
    const visible = this.view.visible()
    if (this.maskVisible && this.softEdge !== null) this.#reach(ctx, this.softEdge, visible)
    this.others.draw(ctx, visible, this.#crisp)
    if (this.maskVisible && this.grip?.masked !== true) this.#ownMask(ctx, visible)
    for (const frame of this.frames) this.#frame(ctx, frame)
    for (const hold of this.holds()) if (hold.color !== null) this.#held(ctx, hold, hold.color)
    if (this.grip !== null) this.#grip(ctx, this.grip)
    if (this.draft !== null) this.#draft(ctx)
    if (this.hover !== null) this.#hover(ctx)
  }

  #ownMask(ctx: CanvasRenderingContext2D, visible: Box): void {
    if (!this.maskQuiet) this.#own.draw(ctx, this.maskColor, visible, this.#crisp)
    const edges = [...this.#own.edges(visible)]
    for (const edge of edges) this.#line(ctx, edge, 'rgb(0 0 0 / 0.75)', 1.6)
    ctx.setLineDash([5 / this.view.scale, 4 / this.view.scale])
    ctx.lineDashOffset = this.phase / this.view.scale
    for (const edge of edges) this.#line(ctx, edge, '#fff', 1.6)
    ctx.setLineDash([])
  }

  /** Bands around my mask: all new up to the solid distance, fading up to the end. */
  #reach(ctx: CanvasRenderingContext2D, { solid, end }: SoftEdge, visible: Box): void {
    const edge = new Path2D()
    for (const part of this.#own.edges(grow(visible, Math.ceil(end)))) edge.addPath(part)
    ctx.save()
    ctx.lineCap = ctx.lineJoin = 'round'
    ctx.strokeStyle = `rgb(${parseColor(this.maskColor).join(' ')} / ${BAND_TINT})`
    const ring = (radius: number): void => {
      ctx.lineWidth = 2 * radius
      if (radius > 0) ctx.stroke(edge)
    }
    const one = 1 / this.view.scale
    const [band, style] = [ctx.strokeStyle, ctx.globalCompositeOperation]
    for (const [color, px] of [['#000', 1.2], ['#fff', 0.6]] as const) {
      ctx.strokeStyle = color
      ring(end + px * one)
    }
    ctx.globalCompositeOperation = 'destination-out'
    ring(end - 0.6 * one)
    ctx.globalCompositeOperation = style
    ctx.strokeStyle = band
    for (let i = 0; i < BANDS; i++) ring(solid + ((end - solid) * i) / (BANDS - 1))
    ctx.globalCompositeOperation = 'destination-out'
    for (let i = 0; i < 6; i++) this.#own.draw(ctx, '#000000', visible, this.#crisp)
    ctx.restore()
  }

  /** From 200 % up a pixel is a square. */
  get #crisp(): boolean {
    return this.view.scale * this.view.dpr >= 2
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

  /** What somebody else holds. */
  #held(ctx: CanvasRenderingContext2D, hold: Hold, color: string): void {
    const path = closed(outlineOf(hold))
    this.#line(ctx, path, 'rgb(255 255 255 / 0.7)', 3.5)
    ctx.setLineDash([6 / this.view.scale, 4 / this.view.scale])
    this.#line(ctx, path, color, 2)
    ctx.setLineDash([])
  }

  #grip(ctx: CanvasRenderingContext2D, { corners, sides, knob }: Grips): void {
    const one = 1 / this.view.scale
    const path = closed(corners)
    path.moveTo(sides[0]!.x, sides[0]!.y)
    path.lineTo(knob.x, knob.y)
    this.#line(ctx, path, 'rgb(0 0 0 / 0.6)', 3)
    this.#line(ctx, path, '#fff', 1.4)
    const dots = new Path2D()
    for (const { x, y } of corners) dots.rect(x - 5 * one, y - 5 * one, 10 * one, 10 * one)
    for (const { x, y } of sides) dots.rect(x - 3.5 * one, y - 3.5 * one, 7 * one, 7 * one)
    dots.moveTo(knob.x + 6 * one, knob.y)
    dots.arc(knob.x, knob.y, 6 * one, 0, Math.PI * 2)
    ctx.fillStyle = '#fff'
    ctx.fill(dots)
    this.#line(ctx, dots, 'rgb(0 0 0 / 0.75)', 1.2)
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
}

function closed(points: readonly Point[]): Path2D {
  const path = new Path2D()
  for (const p of points) path.lineTo(p.x, p.y)
  path.closePath()
  return path
}
