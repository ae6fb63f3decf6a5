// One open canvas: the replica, the camera, the tools and the socket, joined together.
import { type Box, INLINE, type Job, MAX_SIDE, type Op, type Role, type ServerMessage } from '../protocol/types'
import { height, width, type Point } from '../protocol/geometry'
import { opKey } from '../protocol/codec'
import { Document, TERMINAL } from '../core/document'
import { Emitter } from '../core/emitter'
import { Input } from '../core/input'
import { Mask } from '../core/mask'
import { Overlay } from '../core/overlay'
import { Picture } from '../core/picture'
import { encodePng, warm } from '../core/png'
import { Provisionals } from '../core/provisional'
import { Results } from '../core/results'
import { TileStore } from '../core/tiles'
import { Tools } from '../core/tools'
import { View } from '../core/view'
import { ApiError, putBlob, ticket, type Ticket } from '../net/api'
import { Connection } from '../net/connection'
import { hold, identity, randomId, remember } from '../net/identity'
import { openShelf, Outbox, type Shelf } from '../net/outbox'
import { Sender } from '../net/sender'
import { Edits } from './edits'
import { Imports, sizeOf } from './imports'
import { Loop } from './loop'
import { Painting } from './painting'
import { Presence } from './presence'

/** Strokes and cursors go out 30 times a second at the most (R6). */
const TICK_MS = 33

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
  readonly provisionals = new Provisionals()
  readonly overlay = new Overlay(this.view, this.mask)
  readonly presence = new Presence(this.overlay)
  readonly tiles: TileStore
  readonly results: Results
  readonly picture: Picture
  readonly tools: Tools
  readonly input: Input
  readonly loop: Loop
  readonly connection: Connection
  readonly sender: Sender
  readonly edits: Edits
  readonly painting: Painting
  readonly imports: Imports
  role: Role | null = null
  access = ''
  model = ''
  engines = 0
  activeLayer: string | null = null
  #actions: ('mask' | 'op')[] = []
  #undone: ('mask' | 'op')[] = []
  #fitted = false
  #maskTimer: ReturnType<typeof setTimeout> | undefined
  #cursor: Point | null = null
  #ticked = 0

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
    this.picture = new Picture(this.document, this.tiles, this.provisionals, this.results, this.view, base)
    this.tools = new Tools(this.mask, this.overlay, this.picture, {
      bounds: () => this.bounds(),
      activeLayer: () => this.activeLayer,
      whyNot: (tool) => this.#whyNot(tool),
    })
    this.input = new Input(this.view, this.tools)
    this.connection = new Connection({
      ticket: () => this.#ticket(),
      open: () => new WebSocket(`${location.origin.replace(/^http/, 'ws')}${base}/ws`),
      client: outbox.client,
      position: () => (this.document.position[0] === 0 ? null : this.document.position),
    })
    this.sender = new Sender(outbox, this.connection, (bytes) => putBlob(id, bytes))
    this.edits = new Edits(this.document, this.mask, this.results, this.sender, () => this.presence.you)
    this.painting = new Painting(this.provisionals, this.sender)
    this.imports = new Imports(id, () => outbox.nextId())
    this.loop = new Loop({
      picture: this.picture,
      overlay: this.overlay,
      marches: () => (!this.mask.isEmpty && this.overlay.maskVisible) || this.overlay.frames.some((frame) => frame.dashed),
      glide: (now) => this.presence.glide(now),
      tick: (now) => this.#tick(now),
      drawn: () => this.emit('frame', null),
    })
    this.#wire()
  }

  static async open(id: string, secret: string): Promise<Session> {
    const shelf = await openShelf()
    const found = await shelf.all(id)
    const client = await Session.#client(found.map((item) => item.client))
    const outbox = new Outbox(id, client, shelf as Shelf)
    outbox.restore(found)
    const session = new Session(id, secret, outbox)
    warm()
    session.connection.start()
    return session
  }

  /** This tab's ID; one with unsent ops whose tab is gone is taken over, so that they go out under their own names. */
  static async #client(unsent: string[]): Promise<string> {
    const mine = sessionStorage.getItem('nanobana.client')
    for (const client of new Set([...unsent, ...(mine === null ? [] : [mine])])) {
      if (await hold(client)) {
        sessionStorage.setItem('nanobana.client', client)
        return client
      }
    }
    const fresh = randomId(12)
    await hold(fresh)
    sessionStorage.setItem('nanobana.client', fresh)
    return fresh
  }

  close(): void {
    this.connection.stop()
    this.loop.stop()
    this.tiles.clear()
  }

  get readOnly(): boolean {
    return this.role === 'viewer'
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

  acted(what: 'mask' | 'op'): void {
    this.#actions.push(what)
    if (this.#actions.length > 200) this.#actions.shift()
    this.#undone = []
  }

  undo(): void {
    this.#step(this.#actions, this.#undone, () => this.mask.undo(), 'undo')
  }

  redo(): void {
    this.#step(this.#undone, this.#actions, () => this.mask.redo(), 'redo')
  }

  #step(from: ('mask' | 'op')[], to: ('mask' | 'op')[], onMask: () => boolean, op: 'undo' | 'redo'): void {
    if (this.readOnly) return
    let last = from.pop()
    while (last === 'mask' && !onMask()) last = from.pop()
    if (last !== 'mask') void this.sender.push({ t: op, op: this.sender.nextId() })
    to.push(last ?? 'op')
  }

  /** Makes a layer and selects it. */
  addLayer(name?: string): string {
    const layer = randomId(10)
    const title = name ?? `Layer ${this.document.layers.length + 1}`
    this.push({ t: 'layer_add', op: this.sender.nextId(), layer, name: title, above: this.activeLayer })
    this.setActiveLayer(layer)
    return layer
  }

  async bringImage(file: Blob, name: string, at: Point | null = null): Promise<void> {
    const size = await sizeOf(file)
    const { width: w, height: h } = this.document.canvas
    const place = { x: 0, y: 0 }
    if (this.hasSize && size !== null) {
      const centre = at ?? { x: w / 2, y: h / 2 }
      place.x = Math.max(0, Math.round(centre.x - size.width / 2))
      place.y = Math.max(0, Math.round(centre.y - size.height / 2))
    }
    const layer = randomId(10)
    const done = await this.imports.bring(file, name, { layer, ...place })
    if (done === null) return
    this.acted('op')
    this.setActiveLayer(done.layer)
  }

  /** A white sheet: size first, then a paper layer that covers it. */
  async blank(w: number, h: number): Promise<void> {
    if (!this.hasSize) await this.sender.push({ t: 'canvas_set', op: this.sender.nextId(), width: Math.min(w, MAX_SIDE), height: Math.min(h, MAX_SIDE) })
    const png = await encodePng({ width: w, height: h, channels: 4, data: new Uint8Array(w * h * 4).fill(255) })
    const done = await this.imports.bring(new Blob([png.slice()], { type: 'image/png' }), 'Paper', { layer: randomId(10), x: 0, y: 0 })
    if (done !== null) this.setActiveLayer(done.layer)
  }

  cursor(at: Point | null): void {
    this.#cursor = at
    this.loop.wake()
    if (at === null) this.connection.sendVolatile({ t: 'cursor' })
  }

  async #ticket(): Promise<Ticket> {
    const got = await this.#exchange()
    if (got.user_key != null && got.user_key !== '') remember({ user: got.user, userKey: got.user_key })
    this.role = got.role
    this.access = got.access
    return got
  }

  /** The link's secret for a ticket. A server with a new key ring does not know this browser's ID: take a new one. */
  async #exchange(): Promise<Ticket> {
    const { name, user, userKey } = identity()
    const { secret } = this
    if (userKey === '') return ticket(this.id, { secret, name })
    try {
      return await ticket(this.id, { secret, name, user, user_key: userKey })
    } catch (error) {
      if (error instanceof ApiError && error.code === 'user_key_wrong') return ticket(this.id, { secret, name })
      throw error
    }
  }

  #whyNot(tool: string): string | null {
    if (this.readOnly) return 'You are watching: this link does not let you change the canvas.'
    if (!this.hasSize) return 'The canvas has no size yet: add a picture or start a blank one.'
    if (tool !== 'paint' && tool !== 'erase') return null
    if (this.document.layers.length === 0 && tool === 'paint') this.addLayer('Paint')
    const layer = this.document.layers.find((item) => item.id === this.activeLayer)
    if (layer !== undefined && !layer.visible) return `“${layer.name}” is hidden: show it or choose another layer.`
    return this.activeLayer === null ? 'There is no layer to work on.' : null
  }

  #tick(now: number): boolean {
    if (now - this.#ticked < TICK_MS) return this.tools.drawing || this.#cursor !== null
    this.#ticked = now
    this.tools.tick()
    if (this.#cursor === null) return false
    const { x, y } = this.#cursor
    this.#cursor = null
    this.connection.sendVolatile({ t: 'cursor', x: Math.round(x * 10) / 10, y: Math.round(y * 10) / 10 })
    return false
  }

  #wire(): void {
    const picture = (): void => this.loop.dirty('picture')
    const overlay = (): void => this.loop.dirty('overlay')
    this.view.on('change', () => {
      picture()
      overlay()
    })
    this.tiles.on('loaded', picture)
    this.results.on('change', () => {
      picture()
      this.emit('state', null)
    })
    this.presence.on('redraw', overlay)
    this.presence.on('cursors', () => this.loop.wake())
    this.presence.on('said', (text) => this.emit('said', text))
    this.tools.on('redraw', (what) => this.loop.dirty(what))
    this.tools.on('undo', () => this.undo())
    this.tools.on('redo', () => this.redo())
    this.tools.on('refused', (text) => this.emit('toast', { tone: 'info', text }))
    this.tools.on('stroke', (stroke) => !this.readOnly && this.connection.sendVolatile(stroke))
    this.tools.on('masked', () => this.acted('mask'))
    this.tools.on('painted', (stroke) => {
      if (this.activeLayer !== null && this.painting.paint(stroke, this.activeLayer, this.bounds()) > 0) this.acted('op')
      picture()
    })
    this.mask.on('change', () => {
      overlay()
      this.#shareMaskSoon()
    })
    this.document.on('reset', () => this.#onReset())
    this.connection.on('welcome', () => this.sender.reconnected())
    this.connection.on('message', (message) => this.#receive(message))
    this.sender.on('unsaved', (count) => this.emit('unsaved', count))
    this.sender.on('renamed', ({ from, to }) => {
      const item = [...this.provisionals.all()].find((p) => p.key === from)
      if (item === undefined) return
      this.provisionals.drop(from)
      this.provisionals.add({ ...item, key: opKey(to) })
    })
    this.sender.on('refused', ({ op, code, message }) => {
      this.provisionals.drop(opKey(op.op))
      picture()
      if (code === 'nothing_to_undo' || code === 'nothing_to_redo') this.emit('said', message)
      else this.emit('toast', { tone: op.t === 'undo' || op.t === 'redo' ? 'info' : 'error', text: message })
    })
  }

  #receive(message: ServerMessage): void {
    switch (message.t) {
      case 'welcome':
        this.presence.welcome(message.you, message.members)
        this.role = message.you.role
        this.model = message.model ?? ''
        this.engines = this.model === '' ? 0 : Math.max(1, this.engines)
        this.overlay.maskColor = message.you.color
        this.document.canvas = message.canvas
        if (message.manifest != null) this.document.load(message.manifest)
        this.#shareMaskSoon()
        break
      case 'resync':
        this.document.load(message.manifest)
        break
      case 'ack':
        this.sender.acked(message.op)
        break
      case 'reject':
        this.sender.rejected(message.op, message.code, message.message, message.retry_ms ?? null)
        break
      case 'change':
        this.#change(message.change)
        break
      case 'preview':
        void this.results.receive(message)
        break
      case 'import':
        this.imports.receive(message)
        break
      case 'engines':
        this.engines = message.count
        this.model = message.model ?? this.model
        break
      case 'problem':
        if (message.code !== 'not_allowed') this.emit('said', message.message)
        break
      default:
        this.presence.receive(message)
        return
    }
    this.emit('state', null)
  }

  #change(change: Parameters<Document['apply']>[0]): void {
    const { job } = change
    const before = job === null ? undefined : this.document.jobs.get(job.id)?.state
    const ghost = job?.state === 'accepted' ? this.#ghost(change) : null
    if (!this.document.apply(change)) return
    this.provisionals.settle(opKey(change.op), change.seq)
    if (ghost !== null) this.provisionals.add(ghost)
    this.presence.painted(change.user)
    if (change.layers !== null) this.#chooseLayer()
    if (change.canvas !== null) this.#fitOnce()
    if (job !== null && before !== job.state) this.emit('job', job)
    this.loop.dirty('picture')
    this.loop.dirty('overlay')
  }

  /** An accepted result stays on the screen as it was until its tiles are there. */
  #ghost(change: Parameters<Document['apply']>[0]) {
    const { job, seq } = change
    const layer = change.tiles[0]?.[0]
    const shown = this.results.shown().find((item) => item.job.id === job?.id && item.full)
    if (job === null || layer === undefined || shown === undefined) return null
    const { box, image, imageWidth, imageHeight } = shown
    return { key: job.id, layer, box, image, imageWidth, imageHeight, mode: 'over' as const, seq }
  }

  #onReset(): void {
    for (const item of this.provisionals.all()) if (!this.outbox.pending().some((p) => opKey(p.op.op) === item.key)) this.provisionals.drop(item.key)
    this.#chooseLayer()
    this.#fitOnce()
    this.loop.dirty('picture')
    this.loop.dirty('overlay')
  }

  #chooseLayer(): void {
    const { layers } = this.document
    if (layers.some((layer) => layer.id === this.activeLayer)) return
    const pendingAdd = this.outbox.pending().some((p) => p.op.t === 'layer_add' && p.op.layer === this.activeLayer)
    if (!pendingAdd) this.setActiveLayer(layers.at(-1)?.id ?? null)
  }

  #fitOnce(): void {
    if (this.#fitted || !this.hasSize || this.view.screenWidth <= 1) return
    this.#fitted = true
    this.fit()
  }

  /** The page has measured itself: fit if the canvas was there first. */
  measured(): void {
    this.#fitOnce()
  }

  #shareMaskSoon(): void {
    clearTimeout(this.#maskTimer)
    if (this.readOnly) return
    this.#maskTimer = setTimeout(() => void this.#shareMask(), this.tools.drawing ? 250 : 30)
  }

  async #shareMask(): Promise<void> {
    if (this.tools.drawing) return this.#shareMaskSoon()
    const box = this.mask.box()
    if (box === null) {
      this.connection.sendVolatile({ t: 'mask' })
      return
    }
    const png = await encodePng({ width: width(box), height: height(box), channels: 1, data: this.mask.crop(box).data })
    if (png.length <= INLINE) this.connection.sendVolatile({ t: 'mask', box, png })
  }

  /** Jobs that a person should see on the canvas. */
  openJobs(): Job[] {
    return [...this.document.jobs.values()].filter((job) => !TERMINAL.has(job.state))
  }
}
