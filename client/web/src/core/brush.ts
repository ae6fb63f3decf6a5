// Strokes: pointer samples to an outline (perfect-freehand), and the outline to an RGBA patch (C11).
import { getStroke } from 'perfect-freehand'
import type { Box } from '../protocol/types'
import { area, height, intersect, isEmpty, width, type Point } from '../protocol/geometry'
import type { Mask } from './mask'
import { extent, polygon, type Coverage } from './raster'

export interface Sample extends Point {
  /** 0…1; 0.5 from devices without pressure */
  pressure: number
}

export interface Brush {
  size: number
  color: string
  /** 0…1 */
  opacity: number
  /** Whether pressure changes the width. */
  pressed: boolean
}

export interface Patch {
  box: Box
  /** Straight-alpha RGBA. */
  data: Uint8Array
}

/** Largest patch of one op; the server commits up to 2048² at once (C3). */
const LARGEST = 2048

export function outline(samples: readonly Sample[], brush: Brush, last: boolean): Point[] {
  const points = getStroke(
    samples.map((s) => [s.x, s.y, s.pressure]),
    { size: brush.size, thinning: brush.pressed ? 0.65 : 0, smoothing: 0.5, streamline: 0.3, simulatePressure: false, last },
  )
  return points.map(([x, y]) => ({ x: x!, y: y! }))
}

export function toPath(points: readonly Point[]): Path2D {
  const path = new Path2D()
  points.forEach((p, i) => (i === 0 ? path.moveTo(p.x, p.y) : path.lineTo(p.x, p.y)))
  path.closePath()
  return path
}

export function parseColor(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16)
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255]
}

/** The patches of a finished stroke, only what is inside the mask where there is one: one, or a few where it is longer than an op may be. */
export function patches(points: readonly Point[], brush: Brush, within: Box, mask: Mask | null = null): Patch[] {
  const reach = extent(points)
  if (reach === null) return []
  const colour = parseColor(brush.color)
  const masked = mask?.box() ?? within
  return pieces(intersect(intersect(reach, within), masked)).flatMap((box) => {
    const cover = polygon(points, box)
    if (cover !== null && mask !== null) clip(cover, mask)
    return cover !== null && cover.data.some((value) => value > 0) ? [coloured(cover, colour, brush.opacity)] : []
  })
}

function clip({ box, data }: Coverage, mask: Mask): void {
  const inside = mask.crop(box).data
  for (let i = 0; i < data.length; i++) data[i] = Math.round((data[i]! * inside[i]!) / 255)
}

function coloured({ box, data: cover }: Coverage, [r, g, b]: readonly [number, number, number], opacity: number): Patch {
  const data = new Uint8Array(area(box) * 4)
  for (let i = 0, to = 0; i < cover.length; i++, to += 4) {
    const alpha = Math.round(cover[i]! * opacity)
    if (alpha === 0) continue
    data[to] = r
    data[to + 1] = g
    data[to + 2] = b
    data[to + 3] = alpha
  }
  return { box, data }
}

/** Along the tile grid, so that each tile is written by one op only. */
function pieces(box: Box): Box[] {
  if (isEmpty(box)) return []
  if (width(box) <= LARGEST && height(box) <= LARGEST) return [box]
  const found: Box[] = []
  const from = (value: number): number => Math.floor(value / LARGEST) * LARGEST
  for (let y = from(box[1]); y < box[3]; y += LARGEST) {
    for (let x = from(box[0]); x < box[2]; x += LARGEST) found.push(intersect(box, [x, y, x + LARGEST, y + LARGEST]))
  }
  return found
}
