// What the others see of me meanwhile: cursor and strokes 30 times a second, the whole mask when it rests (R3, R6).
import { INLINE } from '../protocol/types'
import type { Point } from '../protocol/geometry'
import type { Mask } from '../core/mask'
import type { MaskCopier } from '../core/mask-copy'
import type { Tools } from '../core/tools'
import type { Connection } from '../net/connection'

const TICK_MS = 33

export class Showing {
  /** A viewer shows a cursor and nothing else. */
  silent = false
  #cursor: Point | null = null
  #ticked = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly connection: Connection,
    private readonly tools: Tools,
    mask: Mask,
    private readonly copier: MaskCopier,
  ) {
    tools.on('stroke', (stroke) => !this.silent && connection.sendVolatile(stroke))
    tools.on('masked', () => this.maskSoon(0))
    mask.on('change', () => this.maskSoon())
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

  /** A finished stroke is shown at once: an engine that has seen the mask begins to prepare for it. */
  maskSoon(ms = this.tools.drawing ? 250 : 30): void {
    clearTimeout(this.#timer)
    if (!this.silent) this.#timer = setTimeout(() => void this.#share(), ms)
  }

  async #share(): Promise<void> {
    if (this.tools.drawing) return this.maskSoon()
    const copy = this.copier.copy()
    if (copy === null) {
      this.connection.sendVolatile({ t: 'mask' })
      return
    }
    const png = await copy.png
    if (png.length <= INLINE && copy === this.copier.copy()) this.connection.sendVolatile({ t: 'mask', box: copy.coverage.box, png })
  }
}
