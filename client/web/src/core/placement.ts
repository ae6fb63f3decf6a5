// Where held pixels are: a box that is moved, scaled, turned and flipped by its handles, its numbers or two fingers.
import type { Box, Transform } from '../protocol/types'
import { height, width, type Point } from '../protocol/geometry'

export type Affine = Transform['matrix']

export interface Placement {
  /** The middle of the box, in canvas pixels. */
  x: number
  y: number
  /** Below 0: flipped. */
  sx: number
  sy: number
  /** Degrees, clockwise. */
  angle: number
}

/** A grip of the frame: a corner or a side (−1, 0 or 1 across and down), the knob that turns, or what lies inside. */
export type Grip = { at: 'edge'; across: -1 | 0 | 1; down: -1 | 0 | 1 } | { at: 'knob' } | { at: 'inside' }

export interface Held {
  shift: boolean
  alt: boolean
}

/** Degrees to which Shift turns. */
const STEP = 15
/** Two fingers that turn this nearly upright mean upright. */
const UPRIGHT = 3
const LEAST = 1

export function resting(box: Box): Placement {
  return { x: (box[0] + box[2]) / 2, y: (box[1] + box[3]) / 2, sx: 1, sy: 1, angle: 0 }
}

/** Exact at quarter turns, so that they copy pixels. */
function direction(angle: number): Point {
  const quarters = angle / 90
  if (Number.isInteger(quarters)) return [{ x: 1, y: 0 }, { x: 0, y: 1 }, { x: -1, y: 0 }, { x: 0, y: -1 }][((quarters % 4) + 4) % 4]!
  return { x: Math.cos((angle * Math.PI) / 180), y: Math.sin((angle * Math.PI) / 180) }
}

export function matrixOf(box: Box, p: Placement): Affine {
  const { x: cos, y: sin } = direction(p.angle)
  const [a, b, c, d] = [p.sx * cos, p.sx * sin, -p.sy * sin, p.sy * cos]
  const { x, y } = resting(box)
  return [a, b, c, d, p.x - a * x - c * y, p.y - b * x - d * y]
}

export function isResting(box: Box, p: Placement): boolean {
  const still = resting(box)
  return p.sx === 1 && p.sy === 1 && p.angle % 360 === 0 && p.x === still.x && p.y === still.y
}

/** A point of the frame: across and down from −1 to 1. */
export function pointOf(box: Box, p: Placement, across: number, down: number): Point {
  const { x: cos, y: sin } = direction(p.angle)
  const [w, h] = [(Math.abs(p.sx) * width(box) * across) / 2, (Math.abs(p.sy) * height(box) * down) / 2]
  return { x: p.x + cos * w - sin * h, y: p.y + sin * w + cos * h }
}

export function cornersOf(box: Box, p: Placement): Point[] {
  return [pointOf(box, p, -1, -1), pointOf(box, p, 1, -1), pointOf(box, p, 1, 1), pointOf(box, p, -1, 1)]
}

export function sizeOf(box: Box, p: Placement): { w: number; h: number } {
  return { w: Math.abs(p.sx) * width(box), h: Math.abs(p.sy) * height(box) }
}

/** Upright frames lie on whole pixels. */
export function snapped(box: Box, p: Placement): Placement {
  if (p.angle % 90 !== 0) return p
  const { w, h } = sizeOf(box, p)
  const [wide, high] = [Math.max(LEAST, Math.round(w)), Math.max(LEAST, Math.round(h))]
  const [ww, hh] = p.angle % 180 === 0 ? [wide, high] : [high, wide]
  return {
    ...p,
    sx: (Math.sign(p.sx) * wide) / width(box),
    sy: (Math.sign(p.sy) * high) / height(box),
    x: Math.round(p.x - ww / 2) + ww / 2,
    y: Math.round(p.y - hh / 2) + hh / 2,
  }
}

/** The frame after a grip was pulled from one point to another. */
export function pulled(box: Box, p: Placement, grip: Grip, from: Point, to: Point, held: Held): Placement {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  if (grip.at === 'inside') {
    const along = held.shift ? (Math.abs(dx) >= Math.abs(dy) ? [dx, 0] : [0, dy]) : [dx, dy]
    return snapped(box, { ...p, x: p.x + along[0]!, y: p.y + along[1]! })
  }
  if (grip.at === 'knob') {
    const turned = p.angle + ((Math.atan2(to.y - p.y, to.x - p.x) - Math.atan2(from.y - p.y, from.x - p.x)) * 180) / Math.PI
    return snapped(box, { ...p, angle: upright(held.shift ? Math.round(turned / STEP) * STEP : Math.round(turned * 10) / 10) })
  }
  return snapped(box, stretched(box, p, grip, dx, dy, held))
}

function stretched(box: Box, p: Placement, { across, down }: Extract<Grip, { at: 'edge' }>, dx: number, dy: number, { shift, alt }: Held): Placement {
  const u = direction(p.angle)
  const { w, h } = sizeOf(box, p)
  const both = alt ? 2 : 1
  let wide = w + (dx * u.x + dy * u.y) * across * both
  let high = h + (dy * u.x - dx * u.y) * down * both
  const isCorner = across !== 0 && down !== 0
  if (isCorner !== shift) {
    const k = isCorner ? (wide * w + high * h) / (w * w + h * h) : across !== 0 ? wide / w : high / h
    wide = k * w
    high = k * h
  }
  const [mx, my] = alt ? [0, 0] : [((wide - w) * across) / 2, ((high - h) * down) / 2]
  return {
    ...p,
    sx: sized(wide, p.sx) / width(box),
    sy: sized(high, p.sy) / height(box),
    x: p.x + u.x * mx - u.y * my,
    y: p.y + u.y * mx + u.x * my,
  }
}

/** Never nothing, and flipped where a side was pulled past the other. */
function sized(size: number, sign: number): number {
  return Math.sign(sign) * (size < 0 ? -1 : 1) * Math.max(LEAST, Math.abs(size))
}

/** Between −180 and 180. */
export function upright(angle: number): number {
  const turned = ((((angle + 180) % 360) + 360) % 360) - 180
  return turned === -180 ? 180 : turned === 0 ? 0 : turned
}

const middle = ([a, b]: readonly [Point, Point]): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 })
const span = ([a, b]: readonly [Point, Point]): Point => ({ x: b.x - a.x, y: b.y - a.y })

/** Two fingers went from one pair of points to another. */
export function pinched(p: Placement, from: readonly [Point, Point], to: readonly [Point, Point]): Placement {
  const [m0, m1, s0, s1] = [middle(from), middle(to), span(from), span(to)]
  const k = Math.hypot(s1.x, s1.y) / Math.max(1e-6, Math.hypot(s0.x, s0.y))
  const turn = Math.atan2(s1.y, s1.x) - Math.atan2(s0.y, s0.x)
  const [cos, sin] = [k * Math.cos(turn), k * Math.sin(turn)]
  const [dx, dy] = [p.x - m0.x, p.y - m0.y]
  return { sx: p.sx * k, sy: p.sy * k, angle: upright(p.angle + (turn * 180) / Math.PI), x: m1.x + cos * dx - sin * dy, y: m1.y + sin * dx + cos * dy }
}

/** What is left when the fingers go: nearly upright is upright. */
export function settled(box: Box, p: Placement): Placement {
  const near = Math.round(p.angle / 90) * 90
  const angle = Math.abs(p.angle - near) < UPRIGHT ? near : Math.round(p.angle * 10) / 10
  return snapped(box, { ...p, angle: upright(angle) })
}
