// The names of the tools, and strokes in progress as the others get them.
import type { Box, Stroke, StrokeKind } from '../protocol/types'
import type { Point } from '../protocol/geometry'
import type { Sample } from './brush'

export type ToolName = 'mask' | 'rect' | 'lasso' | 'paint' | 'erase' | 'move' | 'hand' | 'pick'

const KINDS: Record<ToolName, StrokeKind | null> = {
  mask: 'mask-brush',
  rect: 'mask-rect',
  lasso: 'mask-lasso',
  paint: 'paint',
  erase: 'erase',
  move: null,
  hand: null,
  pick: null,
}

export const MASK_TOOLS: ReadonlySet<ToolName> = new Set(['mask', 'rect', 'lasso'])

/** A piece of a stroke; a rectangle sends its four corners each time, and whoever receives it keeps the newest four. */
export function strokeMessage(id: string, tool: ToolName, samples: readonly (Point & { pressure?: number })[], rest: Omit<Stroke, 't' | 'id' | 'kind' | 'points'>): Stroke {
  return { t: 'stroke', id, kind: KINDS[tool] ?? 'mask-brush', points: samples.flatMap((s) => [round(s.x), round(s.y), round(s.pressure ?? 0.5)]), ...rest }
}

const round = (n: number): number => Math.round(n * 10) / 10

export function cornersOf(box: Box): Point[] {
  const [x0, y0, x1, y1] = box
  return [
    { x: x0, y: y0 },
    { x: x1, y: y0 },
    { x: x1, y: y1 },
    { x: x0, y: y1 },
  ]
}

/** Samples along a straight line, close enough for a smoothed brush to keep it straight. */
export function straight(from: Point, to: Sample): Sample[] {
  const steps = Math.max(2, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / 8))
  return Array.from({ length: steps + 1 }, (_, i) => ({
    x: from.x + ((to.x - from.x) * i) / steps,
    y: from.y + ((to.y - from.y) * i) / steps,
    pressure: to.pressure,
  }))
}

