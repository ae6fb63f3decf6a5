// Traces the outline of a coverage into closed loops of canvas points, for the dashed edge of a mask.
import { height, width, type Point } from '../protocol/geometry'
import type { Coverage } from './raster'

const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const

/** Loops with the inside on the right hand; only corners are listed. Half coverage counts as inside. */
export function contour({ box, data }: Coverage): Point[][] {
  const w = width(box)
  const h = height(box)
  const inside = (x: number, y: number): boolean => x >= 0 && y >= 0 && x < w && y < h && data[y * w + x]! >= 128
  const seen = new Uint8Array(w * h)
  const loops: Point[][] = []
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      if (seen[y * w + x] === 1 || !inside(x, y) || inside(x, y - 1)) continue
      loops.push(trace(x, y, inside, (cx, cy) => (seen[cy * w + cx] = 1)).map((p) => ({ x: p.x + box[0], y: p.y + box[1] })))
    }
  }
  return loops
}

/** Walks pixel corners from the top edge of (x, y) eastwards until it is back there. */
function trace(x0: number, y0: number, inside: (x: number, y: number) => boolean, mark: (x: number, y: number) => void): Point[] {
  const points: Point[] = []
  let x = x0
  let y = y0
  let heading = 0
  do {
    if (heading === 0) mark(x, y)
    const [dx, dy] = STEPS[heading]!
    x += dx
    y += dy
    // the two pixels ahead of the corner, seen in the direction of travel
    const leftAhead = heading === 0 ? inside(x, y - 1) : heading === 1 ? inside(x, y) : heading === 2 ? inside(x - 1, y) : inside(x - 1, y - 1)
    const rightAhead = heading === 0 ? inside(x, y) : heading === 1 ? inside(x - 1, y) : heading === 2 ? inside(x - 1, y - 1) : inside(x, y - 1)
    const turn = leftAhead ? 3 : rightAhead ? 0 : 1
    if (turn !== 0) points.push({ x, y })
    heading = (heading + turn) % 4
  } while (x !== x0 || y !== y0 || heading !== 0)
  return points
}
