// One open canvas: the replica, the camera, the tools and the socket, joined together.
import type { Box, Job, ModelFacts, Op, Role } from '../protocol/types'
import { overlaps, type Point } from '../protocol/geometry'
import { Document } from '../core/document'
import { Emitter } from '../core/emitter'
import { Input } from '../core/input'
import { Mask } from '../core/mask'
import { MaskCopier } from '../core/mask-copy'
import { Others } from '../core/others'
import { Overlay } from '../core/overlay'
import { Picture } from '../core/picture'
import { decodeGray, warm } from '../core/png'
import { Provisionals } from '../core/provisional'
import { Results } from '../core/results'
import { Slots } from '../core/slots'
import { TileStore } from '../core/tiles'
import { Tools } from '../core/tools'
import { View } from '../core/view'
import { putBlob, request } from '../net/api'
import { Connection } from '../net/connection'
import { randomId } from '../net/identity'
import { openShelf, Outbox, type Shelf } from '../net/outbox'
import { Sender } from '../net/sender'
import { Edits } from './edits'
import { clientId, enter } from './entry'
import { Following } from './following'
import { Hands } from './hands'
import { Holding } from './holding'
import { Imports } from './imports'
import { Live } from './live'
import { holdingOf, moverOf } from './moves'
import { LookBack } from './lookback'
import { Loop } from './loop'
import type { Mover } from './mover'
import { Painting } from './painting'
import { Presence } from './presence'
import { Showing } from './showing'
import { type Step, Steps } from './steps'
import { Threads } from './threads'
import { whyNot } from './why'
import { wire } from './wiring'

export type Tone = 'info' | 'error'

interface Events {
  /** Layers, jobs, canvas or members changed. */
  state: null
  /** The picture or the camera moved on the screen. */
  frame: null
  toast: { tone: Tone; text: string }
  said: string
  job: Job
  activeLayer: string | null
  unsaved: number
}

export class Session extends Emitter<Events> {
  readonly document = new Document()
  readonly view = new View()
  readonly mask = new Mask()
  readonly copier = new MaskCopier(this.mask)
  readonly provisionals = new Provisionals()
  readonly others = new Others(this.view)
  readonly overlay = new Overlay(this.view, this.mask, this.others)
  readonly presence = new Presence(this.others)
  readonly tiles: TileStore
  readonly slots: Slots
  readonly results: Results
  readonly picture: Picture
  readonly tools: Tools
  readonly mover: Mover
  readonly holding: Holding
  readonly input: Input
  readonly loop: Loop
  readonly connection: Connection
  readonly sender: Sender
  readonly edits: Edits
  readonly live: Live
  readonly painting: Painting
  readonly imports: Imports
  readonly showing: Showing
  readonly steps: Steps
  readonly threads: Threads
  readonly lookback: LookBack
  readonly following: Following
  role: Role | null = null
  access = ''
  engines = 0
  /** What can be asked of each model that engines serve; the one of edits that name none comes first. */
  models: readonly ModelFacts[] = []
  /** What an engine waits for that takes no work yet. */
  loading = ''
  activeLayer: string | null = null
  #fitted = false
  #watching = false

  private constructor(
    readonly id: string,
    readonly secret: string,
    readonly outbox: Outbox,
  ) {
    super()
    const phone = matchMedia('(max-width: 640px)').matches
    this.tiles = new TileStore({ budgetBytes: (phone ? 96 : 320) * 2 ** 20 })
    const base = `/api/canvases/${id}`
    this.results = new Results(this.document, this.tiles, (name) => `${base}/blobs/${name}`)
    this.slots = new Slots(this.document, this.tiles, this.view, base)
    this.picture = new Picture(this.slots, this.provisionals, this.results, this.view)
    this.tools = new Tools(this.mask, this.overlay, this.picture, {
      bounds: () => this.bounds(),
      activeLayer: () => this.activeLayer,
      whyNot: (tool) => whyNot(this, tool),
    })
    this.mover = moverOf(this)
    this.holding = holdingOf(this)
    this.input = new Input(this.view, new Hands(this.tools, this.mover))
    this.connection = new Connection({
      ticket: async () => {
        const got = await enter(id, secret, this.#watching)
        this.role = got.role
        this.access = got.access
        return got
      },
      open: () => new WebSocket(`${location.origin.replace(/^http/, 'ws')}${base}/ws`),
      client: outbox.client,
      position: () => (this.document.position[0] === 0 ? null : this.document.position),
    })
    this.sender = new Sender(outbox, this.connection, (bytes) => putBlob(id, bytes))
    this.following = new Following(this.view, this.presence)
    this.threads = new Threads(id, this.sender)
    this.edits = new Edits(this.document, this.mask, this.copier, this.results, this.sender, () => this.presence.you)
    this.live = new Live(this.document, this.mask, this.edits, {
      ready: () => this.connection.live && this.engines > 0 && !this.readOnly,
      drawing: () => this.tools.drawing,
    })
    this.painting = new Painting(this.provisionals, this.sender)
    this.imports = new Imports(id, () => outbox.nextId())
    this.showing = new Showing(this.connection, this.tools, this.mask, this.copier, () => this.live.wish()?.model ?? null)
    this.lookback = new LookBack(base, this.slots)
    this.steps = new Steps({
      undoMask: () => this.mask.undo(),
      redoMask: () => this.mask.redo(),
      undoOp: () => void this.sender.push({ t: 'undo', op: this.sender.nextId() }),
      redoOp: () => void this.sender.push({ t: 'redo', op: this.sender.nextId() }),
    })
    this.loop = new Loop({
      picture: this.picture,
      overlay: this.overlay,
      marches: () => (!this.mask.isEmpty && this.overlay.maskVisible) || this.overlay.frames.some((frame) => frame.dashed),
      glide: () => this.presence.glide(),
      tick: (now) => this.showing.tick(now),
      drawn: () => this.emit('frame', null),
    })
    wire(this)
  }

  static async open(id: string, secret: string): Promise<Session> {
    const shelf = await openShelf()
    const found = await shelf.all(id)
    const client = await clientId(found.map((item) => item.client))
    const outbox = new Outbox(id, client, shelf as Shelf)
    outbox.restore(found)
    const session = new Session(id, secret, outbox)
    warm()
    session.connection.start()
    return session
  }

  close(): void {
    this.connection.stop()
    this.loop.stop()
    this.tiles.clear()
  }

  /** The room is full: come back as a viewer. */
  watch(): void {
    this.#watching = true
    this.connection.again()
  }

  get readOnly(): boolean {
    return this.role === 'viewer' || this.role === 'commenter'
  }

  /** May say something: in comments and at the cursor. */
  get maySay(): boolean {
    return this.role !== null && this.role !== 'viewer'
  }

  get hasSize(): boolean {
    return this.document.canvas.width > 0
  }

  bounds(): Box {
    return [0, 0, this.document.canvas.width, this.document.canvas.height]
  }

  fit(): void {
    if (this.hasSize) this.view.fit(this.bounds(), 4)
  }

  setActiveLayer(id: string | null): void {
    this.activeLayer = id
    this.emit('activeLayer', id)
  }

  /** An op of mine: queued, kept, sent, and undone as one step. */
  push(op: Op): void {
    if (op.t !== 'undo' && op.t !== 'redo' && op.t !== 'cancel') this.acted('op')
    void this.sender.push(op)
  }

  acted(step: Step): void {
    this.steps.did(step)
  }

  undo(): void {
    if (this.mover.changed) this.mover.reset()
    else if (!this.readOnly) this.steps.undo()
  }

  redo(): void {
    if (!this.readOnly) this.steps.redo()
  }

  /** Shows the result of an edit that is over on top of the picture, and brings its region into view; null ends it. */
  lookBack(job: Job | null): void {
    this.results.past = job
    if (job?.result_box != null && !overlaps(job.result_box, this.view.visible())) this.view.fit(job.result_box)
    this.results.emit('change', job?.id ?? '')
  }

  /** Takes over the region of an edit as the mask, e.g. to make it again. */
  async maskOf(job: Job): Promise<void> {
    if (this.readOnly || job.mask === '') return
    const response = await request(`/api/canvases/${this.id}/blobs/${job.mask}`)
    const gray = await decodeGray(new Uint8Array(await response.arrayBuffer()))
    this.mask.begin()
    this.mask.add({ box: job.box, data: gray.data }, this.bounds())
    this.mask.finish()
    this.acted('mask')
  }

  /** What I say at my cursor, as far as it is typed; '' ends it. */
  say(words: string): void {
    this.showing.say(words)
    this.loop.wake()
  }

  /** Says what I see, unless it is what somebody shows me whom I follow, or there is nobody to say it to. */
  look(): void {
    if (this.following.whom !== null || this.presence.people().length < 2) return
    this.showing.looks(() => this.view.seen())
    this.loop.wake()
  }

  cursor(at: Point | null): void {
    this.showing.cursor(at)
    this.loop.wake()
  }

  /** Makes a layer and selects it. */
  addLayer(name?: string): string {
    const layer = randomId(10)
    const title = name ?? `Layer ${this.document.layers.length + 1}`
    this.push({ t: 'layer_add', op: this.sender.nextId(), layer, name: title, above: this.activeLayer })
    this.setActiveLayer(layer)
    return layer
  }

  /** Puts layers into a new group. */
  group(members: string[]): void {
    this.push({ t: 'layer_group', op: this.sender.nextId(), layer: randomId(10), name: 'Group', members })
  }

  /** The layer that pixels go to: a group takes none. */
  get target(): string | null {
    return this.document.layers.some((layer) => layer.id === this.activeLayer && layer.group) ? null : this.activeLayer
  }

  /** Copies a layer, or a group with all that is in it, and selects the copy. */
  duplicate(layer: string): void {
    const copy = randomId(10)
    this.push({ t: 'layer_duplicate', op: this.sender.nextId(), layer, copy })
    this.setActiveLayer(copy)
  }

  chooseLayer(): void {
    const { layers } = this.document
    if (layers.some((layer) => layer.id === this.activeLayer)) return
    const pendingAdd = this.outbox.pending().some(({ op }) => (op.t === 'layer_add' && op.layer === this.activeLayer) || (op.t === 'layer_duplicate' && op.copy === this.activeLayer))
    if (!pendingAdd) this.setActiveLayer(layers.findLast((layer) => !layer.group)?.id ?? null)
  }

  fitOnce(): void {
    if (this.#fitted || !this.hasSize || this.view.screenWidth <= 1) return
    this.#fitted = true
    this.fit()
  }

  /** The page has measured itself: fit if the canvas was there first. */
  measured(): void {
    this.fitOnce()
  }
}
