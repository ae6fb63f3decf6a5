// What I show meanwhile: cursor and strokes 30 times a second, the mask's tiles when it rests (R3, R6), to engines too (E9).
import type { Point } from '../protocol/geometry'
import type { Mask } from '../core/mask'
import type { Tools } from '../core/tools'
import type { Connection } from '../net/connection'
import type { MaskCopier } from '../core/mask-copy'
import { foretell } from './ahead'
import { MaskShow } from './mask-show'

const TICK_MS = 33

export class Showing {
  /** A viewer shows a cursor and nothing else. */
  silent = false
  #cursor: Point | null = null
  #ticked = 0
  readonly #mask: MaskShow
  /** What the next edit would ask for has changed. */
  readonly wished: () => void

  constructor(
    private readonly connection: Connection,
    private readonly tools: Tools,
    mask: Mask,
    copier: MaskCopier,
    model: () => string | null,
  ) {
    tools.on('stroke', (stroke) => !this.silent && connection.sendVolatile(stroke))
    this.#mask = new MaskShow(mask, connection, () => tools.drawing)
    this.wished = foretell({ connection, tools, mask, copier, silent: () => this.silent, model })
  }

  /** The others know nothing of me: a new socket. */
  again(): void {
    if (!this.silent) this.#mask.again()
  }

  cursor(at: Point | null): void {
    this.#cursor = at
    if (at === null) this.connection.sendVolatile({ t: 'cursor' })
  }

  /** Sends what is due; true while something is held back. */
  tick(now: number): boolean {
    if (now - this.#ticked < TICK_MS) return this.tools.drawing || this.#cursor !== null
    this.#ticked = now
    this.tools.tick()
    if (this.#cursor === null) return false
    const { x, y } = this.#cursor
    this.#cursor = null
    this.connection.sendVolatile({ t: 'cursor', x: Math.round(x * 10) / 10, y: Math.round(y * 10) / 10 })
    return false
  }
}
