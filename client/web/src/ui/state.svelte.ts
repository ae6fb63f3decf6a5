// The session as Svelte sees it: counters that tick when something changed, and getters that read the truth.
import type { Job, Layer, Member, ModelFacts } from '../protocol/types'
import { TERMINAL } from '../core/document'
import type { ToolState } from '../core/tools'
import type { ImportView } from '../session/imports'
import type { Session } from '../session/session'
import { visit } from '../net/identity'
import { Announcements } from './announcements.svelte'
import { wish } from './canvas/wish.svelte'
import { Comments } from './comments.svelte'
import { Past } from './past.svelte'
import { Pill } from './pill.svelte'
import { Times } from './times.svelte'
import { Toasts } from './toasts.svelte'
import { sentence } from './words'

export class CanvasState {
  readonly toasts = new Toasts()
  readonly announcements = new Announcements()
  readonly comments: Comments
  readonly pill: Pill
  readonly past: Past
  readonly times: Times
  tool = $state.raw<ToolState>({} as ToolState)
  imports = $state.raw<ImportView[]>([])
  members = $state.raw<Member[]>([])
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
  ready = $state(false)
  /** An edit that ended, shown over the picture while its author looks back. */
  lookingBack = $state.raw<Job | null>(null)
  #rev = $state(0)
  #view = $state(0)
  #mask = $state(0)
  #cursors = $state(0)
  readonly #stop: (() => void)[] = []

  constructor(readonly session: Session) {
    const { connection, tools, presence, imports, view, mask, document: doc } = session
    this.comments = new Comments(session)
    this.pill = new Pill(connection.state, session.sender.unsaved, this)
    this.past = new Past(session.id)
    this.times = new Times(session.id)
    this.tool = tools.state
    this.activeLayer = session.activeLayer
    const timer = setInterval(() => this.pill.tick(), 500)
    this.#stop.push(
      () => clearInterval(timer),
      connection.on('state', (state) => this.pill.connected(state)),
      session.on('state', () => this.#rev++),
      session.on('unsaved', (count) => this.pill.counted(count)),
      session.on('activeLayer', (id) => (this.activeLayer = id)),
      session.on('toast', ({ tone, text }) => this.toasts.show(sentence(text), tone)),
      session.on('said', (text) => this.announcements.say(text)),
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
      session.threads.on('change', () => this.comments.changed()),
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

  /** The live session that goes on here. */
  get live() {
    void this.#rev
    const { isOn, staged, busy, problem } = this.session.live
    return { on: isOn, staged, busy, problem }
  }

  /** The seq of the moment that is on the screen; null: now. */
  get looking(): number | null {
    void this.#rev
    return this.session.lookback.seq
  }

  /** What the move tool holds. */
  get moving() {
    void this.#rev
    const { numbers, changed, ratio, lifting, cursor, back } = this.session.mover
    return { numbers, changed, ratio, lifting, cursor, placing: back !== null }
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

  #follows(member: Member | null): void {
    if (member?.user !== this.followed?.user) this.announcements.followed(member)
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

  #reset(): void {
    this.ready = true
    this.#rev++
    for (const job of this.session.document.jobs.values()) if (job.state === 'staged') this.past.note(job)
    const { canvas } = this.session.document
    visit({ id: this.session.id, secret: this.session.secret, title: canvas.title, role: this.session.role ?? '' })
  }

  /** Of a live session only what it ended with is something to look back at. */
  #job(job: Job): void {
    this.#rev++
    this.announcements.job(job, this.session.edits.mine(job))
    const goesOn = job.live !== '' && (job.state === 'staged' || job.state === 'superseded' || this.session.live.has(job))
    if (!goesOn && (job.state === 'staged' || TERMINAL.has(job.state))) this.past.note(job)
  }
}
