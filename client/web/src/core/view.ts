// The camera: which part of the canvas is on the screen, and how large (CSS pixels per canvas pixel).
import type { Box } from '../protocol/types'
import { height, outward, width, type Point } from '../protocol/geometry'
import { Emitter } from './emitter'

export const MIN_SCALE = 0.02
export const MAX_SCALE = 40

export interface Insets {
  top: number
  right: number
  bottom: number
  left: number
}

export class View extends Emitter<{ change: View }> {
  scale = 1
  /** Screen position of the canvas's origin, in CSS pixels. */
  x = 0
  y = 0
  screenWidth = 1
  screenHeight = 1
  dpr = 1
  /** Screen edges covered by panels; fitting stays clear of them. */
  insets: Insets = { top: 0, right: 0, bottom: 0, left: 0 }

  resize(screenWidth: number, screenHeight: number, dpr: number): void {
    if (screenWidth === this.screenWidth && screenHeight === this.screenHeight && dpr === this.dpr) return
    this.screenWidth = screenWidth
    this.screenHeight = screenHeight
    this.dpr = dpr
    this.emit('change', this)
  }

  toCanvas(p: Point): Point {
    return { x: (p.x - this.x) / this.scale, y: (p.y - this.y) / this.scale }
  }

  toScreen(p: Point): Point {
    return { x: p.x * this.scale + this.x, y: p.y * this.scale + this.y }
  }

  /** A canvas box in CSS pixels. */
  boxToScreen(box: Box): { x: number; y: number; width: number; height: number } {
    const at = this.toScreen({ x: box[0], y: box[1] })
    return { ...at, width: width(box) * this.scale, height: height(box) * this.scale }
  }

  visible(): Box {
    const a = this.toCanvas({ x: 0, y: 0 })
    const b = this.toCanvas({ x: this.screenWidth, y: this.screenHeight })
    return outward(a.x, a.y, b.x, b.y)
  }

  /** The part of the canvas that is clear of panels: what one sees. */
  seen(): Box {
    const { top, right, bottom, left } = this.insets
    const a = this.toCanvas({ x: left, y: top })
    const b = this.toCanvas({ x: Math.max(left + 1, this.screenWidth - right), y: Math.max(top + 1, this.screenHeight - bottom) })
    return [a.x, a.y, b.x, b.y]
  }

  pan(dx: number, dy: number): void {
    this.x += dx
    this.y += dy
    this.emit('change', this)
  }

  /** Zoom by a factor so that the canvas point under `at` (screen) stays there. */
  zoomAt(at: Point, factor: number): void {
    this.setScale(this.scale * factor, at)
  }

  setScale(scale: number, at: Point = this.centre()): void {
    const next = Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale))
    const under = this.toCanvas(at)
    this.scale = next
    this.x = at.x - under.x * next
    this.y = at.y - under.y * next
    this.emit('change', this)
  }

  /** Show the whole box, never larger than `most`. */
  fit(box: Box, most = 1): void {
    const { top, right, bottom, left } = this.insets
    const w = Math.max(40, this.screenWidth - left - right)
    const h = Math.max(40, this.screenHeight - top - bottom)
    this.scale = Math.min(most, Math.max(MIN_SCALE, Math.min(w / Math.max(1, width(box)), h / Math.max(1, height(box)))))
    this.x = left + (w - width(box) * this.scale) / 2 - box[0] * this.scale
    this.y = top + (h - height(box) * this.scale) / 2 - box[1] * this.scale
    this.emit('change', this)
  }

  centre(): Point {
    const { top, right, bottom, left } = this.insets
    return { x: (left + this.screenWidth - right) / 2, y: (top + this.screenHeight - bottom) / 2 }
  }

  /** The mip level whose pixels are at least as fine as the screen's. */
  level(most: number): number {
    const devicePixels = this.scale * this.dpr
    return Math.max(0, Math.min(most, Math.floor(Math.log2(1 / devicePixels) + 1e-6)))
  }
}
