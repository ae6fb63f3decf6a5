// Comments on the canvas: the threads there are, the one that is open, and the place of one that is being written.
import type { Point } from '../protocol/geometry'
import type { Thread } from '../protocol/types'
import type { Session } from '../session/session'

export class Comments {
  /** A click on the canvas pins a comment. */
  pinning = $state(false)
  /** Where a comment is being written that is not said yet. */
  draft = $state.raw<Point | null>(null)
  /** The thread that is open on the canvas. */
  open = $state<string | null>(null)
  #rev = $state(0)

  constructor(private readonly session: Session) {}

  /** Threads were said, answered or taken back. */
  changed(): void {
    this.#rev++
  }

  /** The oldest first. */
  get threads(): Thread[] {
    void this.#rev
    return this.session.threads.all
  }

  /** Begins to pin a comment: the next click on the canvas says where. */
  pin(): void {
    if (!this.session.maySay || !this.session.hasSize) return
    this.pinning = !this.pinning
    this.draft = null
    this.open = null
  }

  /** The place for a comment was clicked. */
  place(at: Point): void {
    this.pinning = false
    this.draft = at
  }

  /** The comment being written was said: it is the first of this thread. */
  said(thread: string): void {
    this.draft = null
    this.open = thread
  }

  /** Opens a thread and brings it into view; null closes. */
  show(thread: Thread | null): void {
    this.pinning = false
    this.draft = null
    this.open = thread?.id ?? null
    if (thread === null) return
    const { view } = this.session
    const at = view.toScreen(thread)
    const { left, right, top, bottom } = view.insets
    if (at.x < left || at.y < top || at.x > view.screenWidth - right || at.y > view.screenHeight - bottom) {
      const centre = view.centre()
      view.pan(centre.x - at.x, centre.y - at.y)
    }
  }

  /** Whether something of it is open. */
  get isOpen(): boolean {
    return this.pinning || this.draft !== null || this.open !== null
  }
}
