// The threads of comments: read once, then kept current by the log's changes; said, answered and resolved as ops.
import { Emitter } from '../core/emitter'
import { comments } from '../net/api'
import { randomId } from '../net/identity'
import type { Sender } from '../net/sender'
import type { Point } from '../protocol/geometry'
import type { Thread } from '../protocol/types'

export class Threads extends Emitter<{ change: null; failed: string }> {
  /** seq: of the change that made a thread what it is; a thread without comments is gone. */
  readonly #known = new Map<string, { thread: Thread; seq: number }>()

  constructor(
    private readonly canvas: string,
    private readonly sender: Sender,
  ) {
    super()
  }

  /** Those that are there, the oldest first. */
  get all(): Thread[] {
    return [...this.#known.values()].map(({ thread }) => thread).filter(({ comments: said }) => said.length > 0)
  }

  get(id: string): Thread | undefined {
    const found = this.#known.get(id)?.thread
    return found !== undefined && found.comments.length > 0 ? found : undefined
  }

  /** Reads them anew; what changed meanwhile is newer and stays. */
  async load(): Promise<void> {
    try {
      const { seq, threads } = await comments(this.canvas)
      const there = new Set(threads.map(({ id }) => id))
      for (const [id, known] of this.#known) if (known.seq <= seq && !there.has(id)) this.#known.delete(id)
      for (const thread of threads) if ((this.#known.get(thread.id)?.seq ?? -1) <= seq) this.#known.set(thread.id, { thread, seq })
      this.emit('change', null)
    } catch (error) {
      this.emit('failed', `Comments could not be read: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** A change of the log. */
  apply(thread: Thread, seq: number): void {
    this.#known.set(thread.id, { thread, seq })
    this.emit('change', null)
  }

  /** Pins a new thread; its ID. */
  pin(at: Point, text: string): string {
    const thread = randomId(12)
    void this.sender.push({ t: 'comment_add', op: this.sender.nextId(), thread, text, x: Math.round(at.x), y: Math.round(at.y) })
    return thread
  }

  reply(thread: string, text: string): void {
    void this.sender.push({ t: 'comment_add', op: this.sender.nextId(), thread, text })
  }

  resolve(thread: string, resolved: boolean): void {
    void this.sender.push({ t: 'thread_resolve', op: this.sender.nextId(), thread, resolved })
  }

  delete(thread: string, comment: string): void {
    void this.sender.push({ t: 'comment_delete', op: this.sender.nextId(), thread, comment })
  }
}
