// The session as Svelte sees it: counters that tick when something changed, and getters that read the truth.
import type { Point } from '../protocol/geometry'
import type { Job, Layer, Member, ModelFacts, Thread } from '../protocol/types'
import { TERMINAL } from '../core/document'
import type { ConnectionState } from '../net/connection'
import type { ToolState } from '../core/tools'
import type { ImportView } from '../session/imports'
import type { Session } from '../session/session'
import { visit } from '../net/identity'
import { wish } from './canvas/wish.svelte'
import { Past } from './past.svelte'
import { Times } from './times.svelte'
import { Toasts } from './toasts.svelte'
import { sentence } from './words'

export type Pill = 'connecting' | 'live' | 'saving' | 'saved' | 'reconnecting' | 'offline' | 'readonly' | 'removed'

const BANNER_MS = 2000
const SAVED_MS = 2500

export class CanvasState {
  readonly toasts = new Toasts()
  connection = $state.raw<ConnectionState>({ kind: 'connecting', since: 0 })
  tool = $state.raw<ToolState>({} as ToolState)
  imports = $state.raw<ImportView[]>([])
  members = $state.raw<Member[]>([])
  unsaved = $state(0)
  activeLayer = $state<string | null>(null)
  maskVisible = $state(true)
  masking = $state(false)
  /** The field for one's name is open. */
  naming = $state(false)
  comparing = $state(false)
  /** Whom this page follows. */
  followed = $state.raw<Member | null>(null)
  /** Something is being said at the cursor. */
  chatting = $state(false)
  /** Other people's cursors are not shown. */
  alone = $state(false)
  /** A click on the canvas pins a comment. */
  commenting = $state(false)
  /** Where a comment is being written that is not said yet. */
  draft = $state.raw<Point | null>(null)
  /** The thread that is open on the canvas. */
  openThread = $state<string | null>(null)
  said = $state('')
  ready = $state(false)
  readonly past: Past
  readonly times: Times
  /** An edit that ended, shown over the picture while its author looks back. */
  lookingBack = $state.raw<Job | null>(null)
  #rev = $state(0)
  #view = $state(0)
  #mask = $state(0)
  #threads = $state(0)
  #cursors = $state(0)
  #now = $state(Date.now())
  #savedUntil = $state(0)
  readonly #lives = new Set<string>()
  readonly #stop: (() => void)[] = []

  constructor(readonly session: Session) {
    const { connection, tools, presence, imports, view, mask, document: doc } = session
    this.past = new Past(session.id)
    this.times = new Times(session.id)
    this.connection = connection.state
    this.tool = tools.state
    this.activeLayer = session.activeLayer
    this.unsaved = session.sender.unsaved
    const timer = setInterval(() => (this.#now = Date.now()), 500)
    this.#stop.push(
      () => clearInterval(timer),
      connection.on('state', (state) => {
        this.#now = Date.now()
        this.connection = state
      }),
      session.on('state', () => this.#rev++),
      session.on('unsaved', (count) => this.#unsaved(count)),
      session.on('activeLayer', (id) => (this.activeLayer = id)),
      session.on('toast', ({ tone, text }) => this.toasts.show(sentence(text), tone)),
      session.on('said', (text) => (this.said = text)),
      session.on('job', (job) => this.#job(job)),
      tools.on('settings', (state) => (this.tool = state)),
      tools.on('masking', (now) => (this.masking = now)),
      presence.on('members', (members) => (this.members = members)),
      presence.on('cursors', () => this.#cursors++),
      imports.on('change', (list) => (this.imports = list)),
      imports.on('failed', (text) => this.toasts.show(text, 'error')),
      view.on('change', () => this.#view++),
      mask.on('change', () => this.#mask++),
      session.following.on('change', (member) => this.#follows(member)),
      session.threads.on('change', () => this.#threads++),
      session.threads.on('failed', (text) => this.toasts.show(text, 'error')),
      doc.on('reset', () => this.#reset()),
      doc.on('change', (change) => this.times.note(change)),
    )
  }

  destroy(): void {
    for (const stop of this.#stop) stop()
  }

  get layers(): Layer[] {
    void this.#rev
    return this.session.document.layers
  }

  get canvas() {
    void this.#rev
    return this.session.document.canvas
  }

  get role() {
    void this.#rev
    return this.session.role
  }

  /** May look (and perhaps comment), but change nothing. */
  get readOnly(): boolean {
    void this.#rev
    return this.session.readOnly
  }

  /** May comment and chat. */
  get maySay(): boolean {
    void this.#rev
    return this.session.maySay
  }

  /** Threads of comments, the oldest first. */
  get threads(): Thread[] {
    void this.#threads
    return this.session.threads.all
  }

  get you(): Member | null {
    void this.#rev
    return this.session.presence.you
  }

  get engines(): number {
    void this.#rev
    return this.session.engines
  }

  /** What can be asked of the model that my next edit runs on; null while no engine said so. */
  get facts(): ModelFacts | null {
    return wish.of(this.models)
  }

  get models(): readonly ModelFacts[] {
    void this.#rev
    return this.session.models
  }

  get loading(): string {
    void this.#rev
    return this.session.loading
  }

  get jobs(): Job[] {
    void this.#rev
    return this.session.edits.open()
  }

  /** Open edits as they are labelled and outlined: one for each live session. */
  get shownJobs(): Job[] {
    void this.#rev
    return this.session.edits.shown()
  }

  get view() {
    void this.#view
    const { scale, x, y, screenWidth, screenHeight } = this.session.view
    return { scale, x, y, screenWidth, screenHeight }
  }

  get maskBox() {
    void this.#mask
    return this.session.mask.box()
  }

  get cursors() {
    void this.#cursors
    void this.#view
    if (this.alone) return []
    return [...this.session.presence.cursors.values()].map((cursor) => ({
      id: cursor.id,
      chat: cursor.chat,
      name: cursor.member.name,
      color: cursor.member.color,
      at: this.session.view.toScreen(cursor),
    }))
  }

  /** What the move tool holds. */
  get moving() {
    void this.#rev
    const { numbers, changed, ratio, lifting, cursor } = this.session.mover
    return { numbers, changed, ratio, lifting, cursor }
  }

  keepRatio(): void {
    this.session.mover.ratio = !this.session.mover.ratio
    this.#rev++
  }

  progress(job: string) {
    void this.#rev
    return this.session.results.progress(job)
  }

  chosen(job: string): number {
    void this.#rev
    return this.session.results.chosen.get(job) ?? 0
  }

  get pill(): Pill {
    const { connection } = this
    if (connection.kind === 'ended') return 'removed'
    if (connection.kind !== 'live') {
      if (!this.ready) return connection.kind === 'connecting' ? 'connecting' : 'reconnecting'
      if (this.#now - connection.since < BANNER_MS) return this.unsaved > 0 ? 'saving' : 'live'
      return navigator.onLine ? 'reconnecting' : 'offline'
    }
    if (this.readOnly) return 'readonly'
    if (this.unsaved > 0) return 'saving'
    return this.#now < this.#savedUntil ? 'saved' : 'live'
  }

  get retryIn(): number {
    return this.connection.kind === 'waiting' ? Math.max(0, Math.ceil((this.connection.until - this.#now) / 1000)) : 0
  }

  #follows(member: Member | null): void {
    if (member?.user !== this.followed?.user) this.said = member === null ? 'Following ended' : `Following ${member.name}`
    this.followed = member
  }

  /** Opens the field for words at the cursor. */
  chat(): void {
    if (this.maySay && this.session.hasSize) this.chatting = true
  }

  toggleCursors(): void {
    this.alone = !this.alone
    this.toasts.show(this.alone ? 'The others’ cursors are hidden. Shift+C shows them again.' : 'The others’ cursors are shown.')
  }

  /** Begins to pin a comment: the next click on the canvas says where. */
  comment(): void {
    if (!this.maySay || !this.session.hasSize) return
    this.commenting = !this.commenting
    this.draft = null
    this.openThread = null
  }

  /** Opens a thread and brings it into view; null closes. */
  showThread(thread: Thread | null): void {
    this.commenting = false
    this.draft = null
    this.openThread = thread?.id ?? null
    if (thread === null) return
    const { view } = this.session
    const at = view.toScreen(thread)
    const { left, right, top, bottom } = view.insets
    if (at.x < left || at.y < top || at.x > view.screenWidth - right || at.y > view.screenHeight - bottom) {
      const centre = view.centre()
      view.pan(centre.x - at.x, centre.y - at.y)
    }
  }

  toggleMask(): void {
    this.maskVisible = !this.maskVisible
    this.session.overlay.maskVisible = this.maskVisible
    this.session.loop.dirty('overlay')
  }

  compare(on: boolean): void {
    this.comparing = on
    this.session.results.comparing = on
    this.session.loop.dirty('picture')
  }

  /** Shows the result of an edit that ended, without changing anything; null ends it. */
  lookBack(job: Job | null): void {
    this.lookingBack = job
    this.session.lookBack(job)
  }

  /** The seq of the moment that is on the screen; null: now. */
  get looking(): number | null {
    void this.#rev
    return this.session.lookback.seq
  }

  #unsaved(count: number): void {
    if (count === 0 && this.unsaved > 0) {
      this.#now = Date.now()
      this.#savedUntil = this.#now + SAVED_MS
    }
    this.unsaved = count
  }

  #reset(): void {
    this.ready = true
    this.#rev++
    for (const job of this.session.document.jobs.values()) if (job.state === 'staged') this.past.note(job)
    const { canvas } = this.session.document
    visit({ id: this.session.id, secret: this.session.secret, title: canvas.title, role: this.session.role ?? '' })
  }

  /** The live session that goes on here. */
  get live() {
    void this.#rev
    const { isOn, staged, busy, problem } = this.session.live
    return { on: isOn, staged, busy, problem }
  }

  #job(job: Job): void {
    this.#rev++
    if (job.live !== '') return this.#liveJob(job)
    const mine = this.session.edits.mine(job)
    if (job.state === 'staged') this.said = mine ? 'Your result is ready' : `A result by ${job.user_name} is ready`
    if (job.state === 'queued') this.said = `${mine ? 'Your edit' : `An edit by ${job.user_name}`} is queued`
    if (job.state === 'accepted') this.said = 'Result accepted'
    if (job.state === 'staged' || TERMINAL.has(job.state)) this.past.note(job)
  }

  /** A session is told of once; what was replaced in it is nothing to look back at. */
  #liveJob(job: Job): void {
    if (!this.#lives.has(job.live)) this.said = this.session.edits.mine(job) ? 'You are live' : `${job.user_name} is live`
    this.#lives.add(job.live)
    if (job.state === 'accepted') this.said = 'Result accepted'
    const isOver = job.state !== 'superseded' && TERMINAL.has(job.state)
    if (isOver && !this.session.live.has(job)) this.past.note(job)
  }
}
