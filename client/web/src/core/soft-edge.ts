// How soft the edge of an edit will be, as the engine's planner has it (E1, E5): what the sliders preview.
import type { Box } from '../protocol/types'
import { height, width } from '../protocol/geometry'

export interface Asked {
  strength: number
  /** Null: as E1 says. */
  feather: number | null
  grow: number | null
}

export interface SoftEdge {
  feather: number
  grow: number
  /** Up to this distance from the mask everything is new. */
  solid: number
  /** From this distance on nothing changes. */
  end: number
}

/** Canvases with a shorter side scale the distances down. */
const FULL_CANVAS = 512
/** The outer part of the reach, of which nothing is taken. */
const ERODED = 0.25

export function softEdge(mask: Box, canvas: { width: number; height: number }, asked: Asked, reach: number): SoftEdge {
  const small = reach * Math.min(1, Math.min(canvas.width, canvas.height) / FULL_CANVAS)
  const diagonal = Math.hypot(width(mask), height(mask))
  const feather = asked.feather ?? Math.max(0.1 * diagonal, 32) * asked.strength * small
  const grow = asked.grow ?? 4 * small + feather / 2
  const blend = asked.feather ?? Math.min(25 * small, grow + feather / 2)
  const end = (1 - ERODED) * (grow + feather)
  return { feather, grow, solid: Math.max(0, end - blend), end }
}
