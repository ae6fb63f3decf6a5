// Traces where a mask ends, tile by tile, for its dashed edge: what one stroke changed is all that is traced again.
import { height, width, type Point } from '../protocol/geometry'
import type { Coverage } from './raster'

export interface Line {
  /** Corners only. */
  points: Point[]
  /** A loop; else it goes on in a neighbouring tile. */
  closed: boolean
}

const INSIDE = 128

/**
 * The pixel edges between inside and outside, as lines with the inside on their right hand; half coverage is inside.
 * An edge belongs to the pixel inside of it, so that tiles traced one by one give each edge once.
 *
 * @param beyond the coverage of a canvas pixel right outside the box
 */
export function contour({ box, data }: Coverage, beyond: (x: number, y: number) => number = () => 0): Line[] {
  const w = width(box)
  const h = height(box)
  const stride = w + 1
  /** Corner → the corners that edges lead to from there; two where pixels touch diagonally. */
  const next = new Map<number, number[]>()
  const arrived = new Set<number>()
  const edge = (from: number, to: number): void => {
    const known = next.get(from)
    if (known === undefined) next.set(from, [to])
    else known.push(to)
    arrived.add(to)
  }
  const inside = (x: number, y: number): boolean =>
    (x >= 0 && y >= 0 && x < w && y < h ? data[y * w + x]! : beyond(x + box[0], y + box[1])) >= INSIDE
  for (let y = 0, i = 0; y < h; y++) {
    for (let x = 0; x < w; x++, i++) {
      if (data[i]! < INSIDE) continue
      const corner = y * stride + x
      if (!inside(x, y - 1)) edge(corner, corner + 1)
      if (!inside(x + 1, y)) edge(corner + 1, corner + stride + 1)
      if (!inside(x, y + 1)) edge(corner + stride + 1, corner + stride)
      if (!inside(x - 1, y)) edge(corner + stride, corner)
    }
  }
  const lines: Line[] = []
  const walk = (from: number): void => {
    while (next.has(from)) lines.push(follow(from, next, stride, box[0], box[1]))
  }
  for (const from of next.keys()) if (!arrived.has(from)) walk(from)
  for (const from of next.keys()) walk(from)
  return lines
}

/** Takes the edges from a corner on out of `next` until there are none, turning right where two pixels touch. */
function follow(from: number, next: Map<number, number[]>, stride: number, x0: number, y0: number): Line {
  const points: Point[] = [at(from, stride, x0, y0)]
  let corner = from
  let heading = 0
  for (;;) {
    const ways = next.get(corner)
    if (ways === undefined) return { points, closed: false }
    const chosen = ways.length > 1 && ways[1]! - corner === right(heading, stride) ? 1 : 0
    const to = ways.splice(chosen, 1)[0]!
    if (ways.length === 0) next.delete(corner)
    const here = at(to, stride, x0, y0)
    if (to - corner === heading) points[points.length - 1] = here
    else points.push(here)
    heading = to - corner
    corner = to
    if (corner === from) return closed(points)
  }
}

function closed(points: Point[]): Line {
  points.pop()
  const [first, second, last] = [points[0], points[1], points.at(-1)]
  const straight = first !== undefined && second !== undefined && last !== undefined && ((first.x === second.x && first.x === last.x) || (first.y === second.y && first.y === last.y))
  return { points: straight ? points.slice(1) : points, closed: true }
}

const right = (heading: number, stride: number): number => (heading === 1 ? stride : heading === stride ? -1 : heading === -1 ? -stride : 1)

const at = (corner: number, stride: number, x0: number, y0: number): Point => ({ x: (corner % stride) + x0, y: Math.floor(corner / stride) + y0 })
