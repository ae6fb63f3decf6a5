// Shows my mask to the others, whatever its size: the tiles that changed, a few at a time (R3, R6).
import { INLINE, TILE, type Box, type Mask as Message } from '../protocol/types'
import { tilesOf } from '../protocol/geometry'
import type { Mask } from '../core/mask'
import { encodePng } from '../core/png'

const BATCH = 48
/** Between two batches: 48 tiles in 50 ms stay below what the server takes from one member. */
const PAUSE_MS = 50

export interface Line {
  readonly live: boolean
  /** Whether the socket has room; what is said while it has none is lost. */
  readonly roomy: boolean
  send(messages: readonly Message[]): boolean
}

export class MaskShow {
  /** What the others have: a digest of each tile. */
  readonly #shown = new Map<string, number>()
  readonly #changed = new Set<string>()
  #busy = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly mask: Mask,
    private readonly line: Line,
    /** While a stroke is drawn the others see its points; the tiles follow. */
    private readonly waits: () => boolean,
  ) {
    mask.on('change', (box) => {
      this.#note(box)
      this.#soon(30)
    })
  }

  /** A new socket: the others know nothing of my mask. */
  again(): void {
    this.#shown.clear()
    this.#note(null)
    this.#soon(30)
  }

  #note(box: Box | null): void {
    if (box !== null) {
      for (const [tx, ty] of tilesOf(box)) this.#changed.add(`${tx},${ty}`)
      return
    }
    for (const key of [...this.mask.tiles.keys(), ...this.#shown.keys()]) this.#changed.add(key)
  }

  #soon(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#show(), ms)
  }

  async #show(): Promise<void> {
    if (this.#busy || !this.line.live) return
    if (this.waits() || !this.line.roomy) return this.#soon(200)
    this.#busy = true
    try {
      const messages = this.mask.isEmpty ? this.#end() : await this.#batch()
      if (messages.length > 0 && !this.line.send(messages)) return
    } finally {
      this.#busy = false
    }
    if (this.#changed.size > 0) this.#soon(PAUSE_MS)
  }

  #end(): Message[] {
    this.#changed.clear()
    if (this.#shown.size === 0) return []
    this.#shown.clear()
    return [{ t: 'mask' }]
  }

  async #batch(): Promise<Message[]> {
    const found: Message[] = []
    let bytes = 0
    for (const key of this.#changed) {
      if (found.length >= BATCH || bytes > INLINE) break
      this.#changed.delete(key)
      const message = await this.#tile(key)
      if (message === null) continue
      found.push(message)
      bytes += message.png?.length ?? 0
    }
    return found
  }

  async #tile(key: string): Promise<Message | null> {
    const data = this.mask.tiles.get(key)?.data
    const digest = data === undefined ? 0 : digestOf(data)
    if (digest === (this.#shown.get(key) ?? 0)) return null
    const [tx, ty] = key.split(',').map(Number) as [number, number]
    if (digest === 0) this.#shown.delete(key)
    else this.#shown.set(key, digest)
    if (data === undefined || digest === 0) return { t: 'mask', tile: [tx, ty] }
    return { t: 'mask', tile: [tx, ty], png: await encodePng({ width: TILE, height: TILE, channels: 1, data }) }
  }
}

/** 0 for an empty tile only. */
function digestOf(data: Uint8Array): number {
  let hash = 0x811c9dc5
  let any = 0
  for (let i = 0; i < data.length; i++) {
    any |= data[i]!
    hash = Math.imul(hash ^ data[i]!, 0x01000193)
  }
  return any === 0 ? 0 : hash | 1
}
