// Ops that are not acknowledged yet, in order, kept in IndexedDB so that they survive a reload (R2, C6).
import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import type { Op, OpId } from '../protocol/types'
import { opKey } from '../protocol/codec'

export interface Pending {
  canvas: string
  client: string
  n: number
  op: Op
  /** Bytes to upload before the op may be sent; the blob's name then goes into the op. */
  upload?: { bytes: Uint8Array; field: 'blob' | 'mask_blob' }
}

interface Schema extends DBSchema {
  ops: { key: [string, string, number]; value: Pending }
}

export interface Shelf {
  all(canvas: string): Promise<Pending[]>
  put(pending: Pending): Promise<void>
  drop(pending: Pending): Promise<void>
}

/** IndexedDB, or memory alone where a browser refuses it. */
export async function openShelf(name = 'nanobana'): Promise<Shelf> {
  let db: IDBPDatabase<Schema> | null = null
  try {
    db = await openDB<Schema>(name, 1, {
      upgrade: (fresh) => fresh.createObjectStore('ops', { keyPath: ['canvas', 'client', 'n'] }),
    })
  } catch {
    db = null
  }
  const store = db
  return {
    all: async (canvas) => (store === null ? [] : store.getAll('ops', IDBKeyRange.bound([canvas], [canvas, []]))),
    put: async (pending) => {
      await store?.put('ops', pending)
    },
    drop: async (pending) => {
      await store?.delete('ops', [pending.canvas, pending.client, pending.n])
    },
  }
}

export class Outbox {
  readonly #items = new Map<string, Pending>()
  readonly #shelf: Shelf
  #last = 0
  #kept = 0

  constructor(
    readonly canvas: string,
    readonly client: string,
    shelf: Shelf,
    private readonly now: () => number = Date.now,
  ) {
    this.#shelf = shelf
  }

  get size(): number {
    return this.#items.size
  }

  /** How many of them are written to the shelf. */
  get kept(): number {
    return this.#kept
  }

  /** The next op ID: rising over reloads, because it is never below the clock (C6). */
  nextId(): OpId {
    this.#last = Math.max(this.#last + 1, this.now())
    return [this.client, this.#last]
  }

  /** Ops of an earlier life of this tab, oldest first. */
  restore(found: Pending[]): void {
    for (const item of found.filter((p) => p.client === this.client).sort((a, b) => a.n - b.n)) {
      this.#items.set(opKey(item.op.op), item)
      this.#kept++
      this.#last = Math.max(this.#last, item.n)
    }
  }

  add(op: Op, upload?: Pending['upload']): Pending {
    const item: Pending = { canvas: this.canvas, client: this.client, n: op.op[1], op, ...(upload === undefined ? {} : { upload }) }
    this.#items.set(opKey(op.op), item)
    void this.#shelf.put(item).then(
      () => this.#kept++,
      () => undefined,
    )
    return item
  }

  get(op: OpId): Pending | undefined {
    return this.#items.get(opKey(op))
  }

  /** Answered: it is durable, or refused for good. */
  settle(op: OpId): Pending | undefined {
    const item = this.#items.get(opKey(op))
    if (item === undefined) return undefined
    this.#items.delete(opKey(op))
    this.#kept = Math.max(0, this.#kept - 1)
    void this.#shelf.drop(item).catch(() => undefined)
    return item
  }

  pending(): Pending[] {
    return [...this.#items.values()]
  }
}
