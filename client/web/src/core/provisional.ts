// The author's own strokes (and accepted results) between drawing them and seeing the server's tiles (R2, C11).
import type { Box } from '../protocol/types'

export interface Provisional {
  /** `{client}-{n}` of the op, or the job's ID. */
  key: string
  layer: string
  box: Box
  /** Of any size; it is stretched over the box. */
  image: CanvasImageSource
  mode: 'over' | 'erase'
  /** seq of the change that made it durable; null until then. */
  seq: number | null
}

/** Shown over each tile slot until that slot shows the tiles of its own change; so nothing flickers. */
export class Provisionals {
  readonly #items = new Map<string, Provisional>()

  get size(): number {
    return this.#items.size
  }

  add(item: Provisional): void {
    this.#items.set(item.key, item)
  }

  has(key: string): boolean {
    return this.#items.has(key)
  }

  drop(key: string): boolean {
    return this.#items.delete(key)
  }

  clear(): void {
    this.#items.clear()
  }

  /** Tiles of the change at seq hold it now, under every op key that starts with the prefix. */
  settle(key: string, seq: number): void {
    const item = this.#items.get(key)
    if (item !== undefined) item.seq = seq
  }

  of(layer: string): Provisional[] {
    return [...this.#items.values()].filter((item) => item.layer === layer)
  }

  all(): IterableIterator<Provisional> {
    return this.#items.values()
  }
}
