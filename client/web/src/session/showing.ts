// What the others see of me meanwhile: cursor and strokes 30 times a second, the whole mask when it rests (R3, R6).
import { INLINE } from '../protocol/types'
import { height, width, type Point } from '../protocol/geometry'
import type { Mask } from '../core/mask'
import { encodePng } from '../core/png'
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
    private readonly mask: Mask,
  ) {
    tools.on('stroke', (stroke) => !this.silent && connection.sendVolatile(stroke))
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

  maskSoon(): void {
    clearTimeout(this.#timer)
    if (!this.silent) this.#timer = setTimeout(() => void this.#share(), this.tools.drawing ? 250 : 30)
  }

  async #share(): Promise<void> {
    if (this.tools.drawing) return this.maskSoon()
    const box = this.mask.box()
    if (box === null) {
      this.connection.sendVolatile({ t: 'mask' })
      return
    }
    const png = await encodePng({ width: width(box), height: height(box), channels: 1, data: this.mask.crop(box).data })
    if (png.length <= INLINE) this.connection.sendVolatile({ t: 'mask', box, png })
  }
}
