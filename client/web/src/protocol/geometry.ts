// Integer boxes, the tile grid and mip keys: the browser's half of nanobana.protocol.geometry.
import { TILE, type Box } from './types'

export interface Point {
  x: number
  y: number
}

export const width = (b: Box): number => b[2] - b[0]
export const height = (b: Box): number => b[3] - b[1]
export const isEmpty = (b: Box): boolean => b[2] <= b[0] || b[3] <= b[1]
export const area = (b: Box): number => (isEmpty(b) ? 0 : width(b) * height(b))

export function intersect(a: Box, b: Box): Box {
  return [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])]
}

export function union(a: Box | null, b: Box): Box {
  if (a === null) return b
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]
}

export const grow = (b: Box, by: number): Box => [b[0] - by, b[1] - by, b[2] + by, b[3] + by]
export const overlaps = (a: Box, b: Box): boolean => !isEmpty(intersect(a, b))
export const contains = (b: Box, p: Point): boolean => p.x >= b[0] && p.x < b[2] && p.y >= b[1] && p.y < b[3]

/** The smallest whole-pixel box around a fractional one. */
export function outward(x0: number, y0: number, x1: number, y1: number): Box {
  return [Math.floor(x0), Math.floor(y0), Math.ceil(x1), Math.ceil(y1)]
}

export function tileBox(tx: number, ty: number, level = 0): Box {
  const side = TILE * 2 ** level
  return [tx * side, ty * side, (tx + 1) * side, (ty + 1) * side]
}

/** Every tile that the box touches at a mip level, row by row. */
export function tilesOf(box: Box, level = 0): [tx: number, ty: number][] {
  const found: [number, number][] = []
  if (isEmpty(box)) return found
  const side = TILE * 2 ** level
  for (let ty = Math.floor(box[1] / side); ty <= Math.floor((box[3] - 1) / side); ty++) {
    for (let tx = Math.floor(box[0] / side); tx <= Math.floor((box[2] - 1) / side); tx++) found.push([tx, ty])
  }
  return found
}

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0')

/** The content name of a mip tile over the names of its base tiles, row-major, "" where there is none. */
export function mipKey(names: readonly string[]): string {
  const text = names.join(',')
  let a = 0x811c9dc5
  let b = 0x050c5d1f
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i)
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ byte, 0x01000193)
  }
  return hex(a) + hex(b)
}
