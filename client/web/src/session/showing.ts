// What I show meanwhile: cursor, words and strokes 30 times a second, the mask's tiles when it rests (R3, R6), to engines too (E9).
import type { Point } from '../protocol/geometry'
import type { Box, Moving } from '../protocol/types'
import type { Mask } from '../core/mask'
import type { Tools } from '../core/tools'
import type { Connection } from '../net/connection'
import type { MaskCopier } from '../core/mask-copy'
import { foretell } from './ahead'
import { MaskShow } from './mask-show'

const TICK_MS = 33
/** What I see is said less often than where I point. */
const LOOK_MS = 100

export class Showing {
  /** A viewer shows a cursor and nothing else. */
  silent = false
  #cursor: Point | null = null
  #ticked = 0
  /** Where the pointer was last, in canvas pixels. */
  last: Point | null = null
  #words: string | null = null
  #look: (() => Box) | null = null
  #moving: Moving | null = null
  #looked = 0
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

  /** What I am saying at my cursor; '' ends it. */
  say(words: string): void {
    this.#words = words
  }

  /** Where I hold pixels. */
  holds(moving: Moving): void {
    this.#moving = moving
  }

  /** I see something else now, or somebody came who does not know what. */
  looks(seen: () => Box): void {
    this.#look = seen
  }

  cursor(at: Point | null): void {
    this.#cursor = at
    this.last = at ?? this.last
    if (at === null) this.connection.sendVolatile({ t: 'cursor' })
  }

  /** Sends what is due; true while something is held back. */
  tick(now: number): boolean {
    const waits = this.#cursor !== null || this.#words !== null || this.#look !== null || this.#moving !== null
    if (now - this.#ticked < TICK_MS) return this.tools.drawing || waits
    this.#ticked = now
    this.tools.tick()
    if (this.#words !== null) this.connection.sendVolatile({ t: 'chat', text: this.#words })
    this.#words = null
    if (this.#moving !== null && !this.silent) this.connection.sendVolatile(this.#moving)
    this.#moving = null
    if (this.#look !== null && now - this.#looked >= LOOK_MS) {
      const [x0, y0, x1, y1] = this.#look().map((v) => Math.round(v * 10) / 10) as [number, number, number, number]
      this.connection.sendVolatile({ t: 'look', x0, y0, x1, y1 })
      this.#looked = now
      this.#look = null
    }
    if (this.#cursor === null) return this.#look !== null
    const { x, y } = this.#cursor
    this.#cursor = null
    this.connection.sendVolatile({ t: 'cursor', x: Math.round(x * 10) / 10, y: Math.round(y * 10) / 10 })
    return this.#look !== null
  }
}
