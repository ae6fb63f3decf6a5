// Sends the outbox over the socket in order: uploads first what is too big to travel inside, re-sends after a reconnect.
import { opKey } from '../protocol/codec'
import type { OpId, Op } from '../protocol/types'
import { Emitter } from '../core/emitter'
import { ApiError } from './api'
import type { Outbox, Pending } from './outbox'

export interface Refusal {
  op: Op
  code: string
  message: string
}

interface Events {
  /** The number of ops that are not durable yet changed. */
  unsaved: number
  refused: Refusal
  /** Something has to wait for seconds before it goes again by itself: why. */
  held: string
  /** An op that was turned away for the moment goes again under a new ID. */
  renamed: { from: string; to: OpId }
}

/** After an upload that failed without saying when to come back. */
const UPLOAD_AGAIN_MS = 2000
/** Shorter waits are no news. */
const WORTH_SAYING_MS = 1000

export interface Line {
  readonly live: boolean
  send(messages: readonly Op[]): boolean
}

export class Sender extends Emitter<Events> {
  /** The newest seq of a change of mine that is in the log; what the log says of it may still be on its way. */
  durable = 0
  readonly #sent = new Set<string>()
  /** Turned away for the moment; they go again when the server said. */
  readonly #waiting = new Set<string>()
  #flushing = false
  #again = false
  #preparing = 0
  #chain: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly outbox: Outbox,
    private readonly line: Line,
    private readonly upload: (bytes: Uint8Array) => Promise<string>,
  ) {
    super()
  }

  get unsaved(): number {
    return this.outbox.size + this.#preparing
  }

  nextId(): OpId {
    return this.outbox.nextId()
  }

  /** Queue an op; `prepare` may take time (encoding), and later ops wait for it, so that IDs keep rising on the wire. */
  push(prepare: Op | (() => Promise<{ op: Op; upload?: Pending['upload'] }>)): Promise<void> {
    this.#preparing++
    this.emit('unsaved', this.unsaved)
    const done = this.#chain.then(async () => {
      try {
        const { op, upload } = typeof prepare === 'function' ? await prepare() : { op: prepare, upload: undefined }
        this.outbox.add(op, upload)
      } finally {
        this.#preparing--
      }
      void this.flush()
      this.emit('unsaved', this.unsaved)
    })
    this.#chain = done.catch(() => undefined)
    return done
  }

  /** A new socket is live: everything unanswered goes again; the server answers repeats with the first answer (C6). */
  reconnected(): void {
    this.#sent.clear()
    void this.flush()
  }

  acked(op: OpId, seq: number): void {
    this.durable = Math.max(this.durable, seq)
    this.#settled(op)
  }

  rejected(op: OpId, code: string, message: string, retryMs: number | null): void {
    const item = this.#settled(op)
    if (item === undefined) return
    if (retryMs === null) {
      this.emit('refused', { op: item.op, code, message })
      return
    }
    this.#hold(message, retryMs)
    const waiting = this.#renamed(item.op) // on the shelf meanwhile: it is not saved, and a reload does not lose it
    this.#waiting.add(opKey(waiting.op))
    this.outbox.add(waiting)
    this.emit('unsaved', this.unsaved)
    setTimeout(() => {
      this.#waiting.delete(opKey(waiting.op))
      this.outbox.settle(waiting.op)
      void this.push(this.#renamed(waiting)) // IDs rise on the wire
    }, retryMs)
  }

  #settled(op: OpId): Pending | undefined {
    const item = this.outbox.settle(op)
    this.#sent.delete(opKey(op))
    this.emit('unsaved', this.unsaved)
    return item
  }

  async flush(): Promise<void> {
    if (this.#flushing) {
      this.#again = true
      return
    }
    this.#flushing = true
    try {
      do {
        this.#again = false
        for (const item of this.outbox.pending()) {
          if (this.#sent.has(opKey(item.op.op)) || this.#waiting.has(opKey(item.op.op))) continue
          if (!this.line.live || !(await this.#ready(item)) || !this.line.send([item.op])) return
          this.#sent.add(opKey(item.op.op))
        }
      } while (this.#again)
    } finally {
      this.#flushing = false
    }
  }

  async #ready(item: Pending): Promise<boolean> {
    const { upload } = item
    if (upload === undefined) return true
    try {
      const name = await this.upload(upload.bytes)
      if (item.op.t === 'paint') item.op = { ...item.op, blob: name }
      else if (item.op.t === 'transform') item.op = { ...item.op, mask_blob: name }
      else if (item.op.t === 'edit') item.op = { ...item.op, edit: { ...item.op.edit, mask_blob: name } }
      delete item.upload
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        this.rejected(item.op.op, error.code, error.message, null)
        return this.flushSoon()
      }
      const wait = error instanceof ApiError ? error.retryMs : null
      if (wait !== null) this.#hold((error as ApiError).message, wait)
      setTimeout(() => void this.flush(), wait ?? UPLOAD_AGAIN_MS)
      return false
    }
  }

  #renamed(op: Op): Op {
    const fresh = this.outbox.nextId()
    this.emit('renamed', { from: opKey(op.op), to: fresh })
    return { ...op, op: fresh }
  }

  #hold(why: string, ms: number): void {
    if (ms >= WORTH_SAYING_MS) this.emit('held', why)
  }

  private flushSoon(): false {
    setTimeout(() => void this.flush(), 0)
    return false
  }
}
