// Antialiased shapes into 8-bit coverage, in typed arrays: capsules for brushes, polygons for lassos and pen strokes.
import type { Box } from '../protocol/types'
import { grow, height, intersect, isEmpty, outward, union, width, type Point } from '../protocol/geometry'

export interface Coverage {
  box: Box
  /** One byte per pixel of the box, row by row. */
  data: Uint8Array
}

/** A brush pulled from a (radius ra) to b (radius rb). */
export function capsule(a: Point, ra: number, b: Point, rb: number): Coverage {
  const r = Math.max(ra, rb) + 1
  const box = outward(Math.min(a.x, b.x) - r, Math.min(a.y, b.y) - r, Math.max(a.x, b.x) + r, Math.max(a.y, b.y) + r)
  const w = width(box)
  const data = new Uint8Array(w * height(box))
  const dx = b.x - a.x
  const dy = b.y - a.y
  const length2 = dx * dx + dy * dy
  for (let y = box[1], i = 0; y < box[3]; y++) {
    for (let x = box[0]; x < box[2]; x++, i++) {
      const px = x + 0.5 - a.x
      const py = y + 0.5 - a.y
      const t = length2 === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length2))
      const distance = Math.hypot(px - t * dx, py - t * dy)
      const cover = ra + (rb - ra) * t + 0.5 - distance
      if (cover > 0) data[i] = cover >= 1 ? 255 : Math.round(cover * 255)
    }
  }
  return { box, data }
}

const SUBROWS = 4

/** The pixels that a closed polygon may touch; null if it is none. */
export function extent(points: readonly Point[]): Box | null {
  let bounds: Box | null = null
  for (const p of points) bounds = union(bounds, outward(p.x, p.y, p.x, p.y))
  return bounds === null || points.length < 3 ? null : grow(bounds, 1)
}

/** A closed polygon by the non-zero rule, clipped to `within`; 4 subrows a pixel, exact across. Null if nothing is left. */
export function polygon(points: readonly Point[], within: Box): Coverage | null {
  const reach = extent(points)
  if (reach === null) return null
  const box = intersect(reach, within)
  if (isEmpty(box)) return null
  const w = width(box)
  const h = height(box)
  const data = new Uint8Array(w * h)
  const crossings = collect(points, box)
  const row = new Float32Array(w + 1)
  for (let y = 0; y < h; y++) {
    row.fill(0)
    for (let sub = 0; sub < SUBROWS; sub++) {
      const list = crossings[y * SUBROWS + sub]
      if (list === undefined) continue
      list.sort((m, n) => m[0] - n[0])
      let winding = 0
      for (let i = 0; i + 1 < list.length; i++) {
        winding += list[i]![1]
        if (winding !== 0) span(row, list[i]![0] - box[0], list[i + 1]![0] - box[0], w)
      }
    }
    for (let x = 0; x < w; x++) data[y * w + x] = Math.min(255, Math.round((row[x]! * 255) / SUBROWS))
  }
  return { box, data }
}

function collect(points: readonly Point[], box: Box): ([x: number, direction: number][] | undefined)[] {
  const rows: ([number, number][] | undefined)[] = Array.from({ length: height(box) * SUBROWS })
  for (let i = 0; i < points.length; i++) {
    const a = points[i]!
    const b = points[(i + 1) % points.length]!
    if (a.y === b.y) continue
    const direction = a.y < b.y ? 1 : -1
    const [top, bottom] = a.y < b.y ? [a, b] : [b, a]
    const first = Math.max(0, Math.ceil((top.y - box[1]) * SUBROWS - 0.5))
    const last = Math.min(rows.length - 1, Math.ceil((bottom.y - box[1]) * SUBROWS - 0.5) - 1)
    const slope = (bottom.x - top.x) / (bottom.y - top.y)
    for (let s = first; s <= last; s++) {
      const y = box[1] + (s + 0.5) / SUBROWS
      ;(rows[s] ??= []).push([top.x + (y - top.y) * slope, direction])
    }
  }
  return rows
}

/** Adds the part of each pixel that lies between x0 and x1. */
function span(row: Float32Array, x0: number, x1: number, w: number): void {
  const a = Math.max(0, x0)
  const b = Math.min(w, x1)
  if (b <= a) return
  const first = Math.floor(a)
  const last = Math.floor(b)
  if (first === last) {
    row[first]! += b - a
    return
  }
  row[first]! += first + 1 - a
  for (let x = first + 1; x < last; x++) row[x]! += 1
  row[last]! += b - last
}

export function rectangle(box: Box): Coverage {
  return { box, data: new Uint8Array(width(box) * height(box)).fill(255) }
}
