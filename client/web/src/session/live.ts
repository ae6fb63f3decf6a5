// Live: the region is made again as the mask grows, one edit under way at a time, the newest in place of the one before.
import type { Job } from '../protocol/types'
import { TERMINAL, type Document } from '../core/document'
import { Emitter } from '../core/emitter'
import type { Mask } from '../core/mask'
import { randomId } from '../net/identity'
import type { Edits, Wish } from './edits'

/** Between two edits at the least, so that a fast engine does not make a hundred pictures of one stroke. */
const PAUSE_MS = 180
/** After a key in the prompt: half a word is no wish. */
const TYPING_MS = 600

export interface Around {
  /** Whether an edit can be sent and made now. */
  ready(): boolean
  drawing(): boolean
}

export class Live extends Emitter<{ change: null }> {
  isOn = false
  /** Why the newest edit of this session failed; the result before it stands. */
  problem = ''
  /** What to make; set by the page. */
  wish: () => Wish | null = () => null
  #session = ''
  #seed = 0
  /** The edit under way. */
  #under: string | null = null
  #newest: string | null = null
  #due = false
  #sentAt = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly document: Document,
    private readonly mask: Mask,
    private readonly edits: Edits,
    private readonly around: Around,
  ) {
    super()
    mask.on('change', () => this.#masked())
  }

  /** Whether a job is of the session that is going on here. */
  has(job: Job): boolean {
    return this.isOn && this.#session !== '' && job.live === this.#session && this.edits.mine(job)
  }

  /** The result that would be accepted now. */
  get staged(): Job | null {
    return this.edits.open().findLast((job) => job.state === 'staged' && this.has(job)) ?? null
  }

  get busy(): boolean {
    return this.#under !== null
  }

  /** Nothing is under way, and nothing will be before something changes. */
  get rests(): boolean {
    return !this.busy && !this.#due
  }

  /** Turning it off leaves what is staged, and what is under way comes to its end. */
  toggle(on = !this.isOn): void {
    const began = this.#session !== ''
    this.isOn = on
    this.#forget()
    if (on) this.touch()
    else if (began) this.#clear()
    this.emit('change', null)
  }

  /** Something that the picture depends on has changed. */
  touch(how: 'now' | 'typing' = 'now'): void {
    if (!this.isOn) return
    this.#due = true
    this.#soon(how === 'typing' ? TYPING_MS : 0)
  }

  /** A job changed its state. */
  settled(job: Job): void {
    if (job.id === this.#under) {
      if (job.state === 'staged' || TERMINAL.has(job.state)) this.#under = null
      if (this.#under === null && this.has(job)) this.problem = job.state === 'failed' ? job.error : ''
      this.#soon(0)
    }
    if (job.live !== '') this.emit('change', null)
  }

  /** An edit was turned away for the moment and goes again under another ID. */
  renamed(from: string, to: string): void {
    if (this.#under === from) this.#under = to
    if (this.#newest === from) this.#newest = to
  }

  /** The server turned an op away for good. */
  refused(job: string, why: string): void {
    if (job !== this.#under) return
    this.#under = null
    this.problem = why
    this.emit('change', null)
  }

  accept(): void {
    const { staged } = this
    if (staged !== null) this.#decide(staged, true)
  }

  /** What is staged goes, what is under way stops, and the mask with them. */
  discard(): void {
    const { staged } = this
    const under = this.#under === null ? undefined : this.document.jobs.get(this.#under)
    if (staged !== null) this.#decide(staged, false)
    else {
      if (under !== undefined) this.edits.cancel(under)
      this.#forget()
      this.#clear()
    }
  }

  #decide(job: Job, accept: boolean): void {
    const gone = job.layer !== null && !this.document.layers.some((layer) => layer.id === job.layer)
    this.edits.decide(job, accept, accept && gone)
    this.#forget()
    this.#clear()
  }

  #masked(): void {
    if (!this.isOn) return
    if (this.mask.isEmpty) this.#forget()
    else this.touch()
  }

  /** The next edit begins a session of its own. */
  #forget(): void {
    clearTimeout(this.#timer)
    this.#session = ''
    this.#under = null
    this.#due = false
    this.problem = ''
    this.emit('change', null)
  }

  #clear(): void {
    this.mask.clear()
    this.mask.forgetHistory()
  }

  #soon(ms: number): void {
    clearTimeout(this.#timer)
    const wait = Math.max(ms, this.#sentAt + PAUSE_MS - performance.now())
    this.#timer = setTimeout(() => void this.#send(), wait)
  }

  /** While a stroke goes on the edit under way may finish, so that pictures keep coming; after it a newer one takes its place. */
  async #send(): Promise<void> {
    const wish = this.wish()
    if (!this.isOn || !this.#due || wish === null || this.mask.isEmpty || !this.around.ready()) return
    const known = this.#under === null || this.document.jobs.has(this.#under)
    if (!known || (this.#under !== null && this.around.drawing())) return
    this.#due = false
    this.#sentAt = performance.now()
    if (this.#session === '') {
      this.#session = randomId(12)
      this.#seed = wish.seed ?? Math.floor(Math.random() * 2 ** 32)
    }
    await this.edits.show({ ...wish, seed: wish.seed ?? this.#seed }, this.#session, this.#newest, (job) => (this.#under = this.#newest = job))
    this.emit('change', null)
  }
}
