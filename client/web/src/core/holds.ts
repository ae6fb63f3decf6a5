// Pixels that are held, mine and other people's, and those put down whose tiles are not on the screen yet (C14).
import type { Lifted } from './lift'
import type { Affine } from './placement'
import type { Point } from '../protocol/geometry'
import { onDevice, type Context } from './placing'
import { cornersOf } from './strokes'
import type { View } from './view'

export interface Hold {
  lifted: Lifted
  matrix: Affine
  /** Of whoever holds them; null: I do. */
  color: string | null
  /** Of the change that put them down; null until then. */
  seq: number | null
}

/** By member, by `me`, or by the key of the op that puts them down. */
export class Holds {
  readonly #items = new Map<string, Hold>()

  get(key: string): Hold | undefined {
    return this.#items.get(key)
  }

  set(key: string, hold: Hold): void {
    this.#items.set(key, hold)
  }

  drop(key: string): boolean {
    return this.#items.delete(key)
  }

  clear(): void {
    this.#items.clear()
  }

  rename(from: string, to: string): void {
    const hold = this.#items.get(from)
    if (hold !== undefined && this.#items.delete(from)) this.#items.set(to, hold)
  }

  /** A change put them down: they are shown like this until its tiles are there. */
  settle(key: string, seq: number): void {
    const hold = this.#items.get(key)
    if (hold !== undefined) hold.seq = seq
  }

  of(layer: string): [key: string, hold: Hold][] {
    return [...this.#items].filter(([, { lifted }]) => lifted.layer === layer)
  }

  all(): Hold[] {
    return [...this.#items.values()]
  }

  /** Whether pixels of a layer are put down that are not on the screen yet. */
  settling(layer: string): boolean {
    return this.of(layer).some(([key, { color }]) => color === null && key !== 'me')
  }
}

/** Where the corners of a held box are. */
export function outlineOf({ lifted, matrix }: Hold): Point[] {
  const [a, b, c, d, e, f] = matrix
  return cornersOf(lifted.box).map(({ x, y }) => ({ x: a * x + c * y + e, y: b * x + d * y + f }))
}

/** Held pixels where they are held; where they were there is nothing. */
export function drawHold(ctx: Context, view: View, { lifted: { box, image, hole }, matrix }: Hold): void {
  const { scale, x, y, dpr } = view
  const size = [box[0], box[1], box[2] - box[0], box[3] - box[1]] as const
  ctx.save()
  ctx.imageSmoothingQuality = 'high'
  if (hole !== null) {
    ctx.globalCompositeOperation = 'destination-out'
    ctx.drawImage(hole, ...onDevice(view, box))
    ctx.globalCompositeOperation = 'source-over'
  }
  ctx.setTransform(scale * dpr, 0, 0, scale * dpr, x * dpr, y * dpr)
  ctx.transform(...matrix)
  ctx.drawImage(image, ...size)
  ctx.restore()
}
