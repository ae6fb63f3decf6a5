// The tools in hand: mask brush, rectangle, lasso, paint, eraser, hand, picker; pointer samples in, masks and strokes out.
import type { Box, Stroke } from '../protocol/types'
import { intersect, isEmpty, type Point } from '../protocol/geometry'
import { outline, toPath, type Brush, type Sample } from './brush'
import { Emitter } from './emitter'
import { cornersOf, MASK_TOOLS, straight, strokeMessage, type ToolName } from './strokes'
import type { Modifiers } from './input'
import type { Mask } from './mask'
import { cutOf, type Cut } from './mask-image'
import type { Overlay } from './overlay'
import type { Picture } from './picture'
import { capsule, polygon, rectangle, type Coverage } from './raster'

export interface ToolState {
  tool: ToolName
  maskSize: number
  brush: Brush
  second: string
  eraserSize: number
  /** Paint and eraser reach only what is inside my mask, while there is one. */
  inMask: boolean
}

interface Events {
  /** The settings changed. */
  settings: ToolState
  /** A piece of a stroke in progress, for the others. */
  stroke: Stroke
  /** A stroke over the mask began (true) or ended (false). */
  masking: boolean
  /** A stroke over the mask was finished, as one step of history. */
  masked: null
  painted: { outline: Point[]; mode: 'over' | 'erase'; brush: Brush; samples: Sample[] }
  pick: Point
  redraw: 'picture' | 'overlay'
  /** The tool cannot be used now; a sentence says why. */
  refused: string
  undo: null
  redo: null
}

export interface Surroundings {
  bounds(): Box
  activeLayer(): string | null
  /** Null when drawing is allowed, else why not. */
  whyNot(tool: ToolName): string | null
}

export class Tools extends Emitter<Events> {
  state: ToolState = {
    tool: 'mask',
    maskSize: 64,
    brush: { size: 24, color: '#e4572e', opacity: 1, pressed: false },
    second: '#ffffff',
    eraserSize: 48,
    inMask: false,
  }
  #samples: Sample[] = []
  #sent = 0
  #id = ''
  #active = false
  #subtract = false
  #frozen: Brush | null = null
  #lastEnd: { tool: ToolName; at: Point } | null = null
  #cut: Cut | null = null
  #constrain: 'x' | 'y' | null = null

  constructor(
    private readonly mask: Mask,
    private readonly overlay: Overlay,
    private readonly picture: Picture,
    private readonly around: Surroundings,
  ) {
    super()
  }

  get pans(): boolean {
    return this.state.tool === 'hand'
  }

  /** Whether a stroke now is cut to the mask. */
  get clips(): boolean {
    return this.state.inMask && !this.mask.isEmpty
  }

  get drawing(): boolean {
    return this.#active
  }

  set(change: Partial<ToolState>): void {
    this.state = { ...this.state, ...change }
    this.emit('settings', this.state)
    this.emit('redraw', 'overlay')
  }

  setBrush(change: Partial<Brush>): void {
    this.set({ brush: { ...this.state.brush, ...change } })
  }

  get size(): number {
    const { tool, maskSize, brush, eraserSize } = this.state
    return tool === 'paint' ? brush.size : tool === 'erase' ? eraserSize : maskSize
  }

  setSize(size: number): void {
    const value = Math.max(1, Math.min(600, Math.round(size)))
    if (this.state.tool === 'paint') this.setBrush({ size: value })
    else if (this.state.tool === 'erase') this.set({ eraserSize: value })
    else this.set({ maskSize: value })
  }

  down(sample: Sample, modifiers: Modifiers): void {
    const { tool } = this.state
    if (tool === 'pick') {
      this.emit('pick', sample)
      return
    }
    const why = this.around.whyNot(tool)
    if (why !== null) {
      this.emit('refused', why)
      return
    }
    this.#active = true
    this.#cut = this.clips && !MASK_TOOLS.has(tool) ? cutOf(this.mask) : null
    this.#subtract = modifiers.alt && MASK_TOOLS.has(tool)
    this.#constrain = null
    this.#sent = 0
    this.#id = crypto.randomUUID?.().slice(0, 8) ?? Math.random().toString(36).slice(2, 10)
    const pressed = sample.pressure !== 0.5
    this.#frozen = tool === 'erase' ? { size: this.state.eraserSize, color: '#000000', opacity: 1, pressed: false } : { ...this.state.brush, pressed }
    const from = modifiers.shift && this.#lastEnd?.tool === tool ? this.#lastEnd.at : null
    this.#samples = from === null ? [sample] : straight(from, sample)
    if (MASK_TOOLS.has(tool)) {
      this.mask.begin()
      this.emit('masking', true)
    }
    if (tool === 'mask') this.#stampFrom(0)
    this.#show(modifiers)
  }

  move(samples: Sample[], modifiers: Modifiers): void {
    if (!this.#active) return
    const from = this.#samples.length
    const last = this.#samples.at(-1)
    for (const sample of samples) {
      const at = this.#constrained(sample, modifiers)
      if (last !== undefined && at.x === last.x && at.y === last.y && this.#samples.length > 1) continue
      this.#samples.push(at)
    }
    if (this.state.tool === 'mask') this.#stampFrom(from)
    this.#show(modifiers)
  }

  up(modifiers: Modifiers): void {
    if (!this.#active) return
    const { tool } = this.state
    const end = this.#samples.at(-1)
    this.#lastEnd = end === undefined || tool === 'rect' || tool === 'lasso' ? null : { tool, at: end }
    if (tool === 'rect') this.#shape(this.#rectangle(modifiers))
    if (tool === 'lasso') this.#shape(polygon(this.#samples, this.around.bounds()))
    if (MASK_TOOLS.has(tool)) this.mask.finish()
    this.#send(true)
    this.#active = false
    this.overlay.draft = null
    const brush = this.#frozen
    if ((tool === 'paint' || tool === 'erase') && brush !== null) {
      const points = outline(this.#samples, brush, true)
      this.emit('painted', { outline: points, mode: tool === 'erase' ? 'erase' : 'over', brush, samples: this.#samples })
    }
    this.picture.live = null
    this.emit('redraw', 'picture')
    if (MASK_TOOLS.has(tool)) {
      this.emit('masking', false)
      this.emit('masked', null)
    }
    this.emit('redraw', 'overlay')
  }

  abort(): void {
    if (!this.#active) return
    this.#active = false
    this.overlay.draft = null
    this.picture.live = null
    if (MASK_TOOLS.has(this.state.tool)) {
      this.mask.abandon()
      this.emit('masking', false)
    }
    this.#samples = []
    this.emit('stroke', this.#message([], true))
    this.emit('redraw', 'picture')
    this.emit('redraw', 'overlay')
  }

  hover(at: Point | null, modifiers: Modifiers): void {
    const { tool } = this.state
    const round = tool === 'mask' || tool === 'paint' || tool === 'erase'
    this.overlay.hover = at !== null && round ? { at, radius: this.size / 2, subtract: tool === 'mask' && modifiers.alt } : null
    this.emit('redraw', 'overlay')
  }

  undo(): void {
    this.emit('undo', null)
  }

  redo(): void {
    this.emit('redo', null)
  }

  /** Called 30 times a second while a stroke is being drawn. */
  tick(): void {
    if (this.#active) this.#send(false)
  }

  #constrained(sample: Sample, { shift }: Modifiers): Sample {
    const start = this.#samples[0]
    const { tool } = this.state
    if (!shift || start === undefined || tool === 'rect' || tool === 'lasso') return sample
    const dx = Math.abs(sample.x - start.x)
    const dy = Math.abs(sample.y - start.y)
    if (this.#constrain === null && Math.max(dx, dy) > 4) this.#constrain = dx >= dy ? 'y' : 'x'
    return this.#constrain === null ? sample : { ...sample, [this.#constrain]: start[this.#constrain] }
  }

  #stampFrom(index: number): void {
    const bounds = this.around.bounds()
    const radius = (sample: Sample): number => (this.state.maskSize / 2) * (sample.pressure === 0.5 ? 1 : 0.4 + 0.6 * sample.pressure)
    for (let i = Math.max(0, index); i < this.#samples.length; i++) {
      const b = this.#samples[i]!
      const a = this.#samples[Math.max(0, i - 1)]!
      this.#lay(capsule(a, radius(a), b, radius(b)), bounds)
    }
  }

  #shape(coverage: Coverage | null): void {
    if (coverage !== null) this.#lay(coverage, this.around.bounds())
  }

  #lay(coverage: Coverage, bounds: Box): void {
    if (this.#subtract) this.mask.subtract(coverage, bounds)
    else this.mask.add(coverage, bounds)
  }

  #rectangle({ shift }: Modifiers): Coverage | null {
    const corners = this.#corners(shift)
    if (corners === null) return null
    const box = intersect(corners, this.around.bounds())
    return isEmpty(box) ? null : rectangle(box)
  }

  #corners(square: boolean): Box | null {
    const a = this.#samples[0]
    const b = this.#samples.at(-1)
    if (a === undefined || b === undefined) return null
    let dx = b.x - a.x
    let dy = b.y - a.y
    if (square) {
      const side = Math.max(Math.abs(dx), Math.abs(dy))
      dx = Math.sign(dx) * side
      dy = Math.sign(dy) * side
    }
    return [Math.round(Math.min(a.x, a.x + dx)), Math.round(Math.min(a.y, a.y + dy)), Math.round(Math.max(a.x, a.x + dx)), Math.round(Math.max(a.y, a.y + dy))]
  }

  #show(modifiers: Modifiers): void {
    const { tool } = this.state
    if (tool === 'rect') {
      const box = this.#corners(modifiers.shift)
      this.overlay.draft = box === null ? null : { points: cornersOf(box), closed: true }
    } else if (tool === 'lasso') this.overlay.draft = { points: this.#samples, closed: true }
    const layer = this.around.activeLayer()
    if ((tool === 'paint' || tool === 'erase') && layer !== null && this.#frozen !== null) {
      const { color, opacity } = this.#frozen
      this.picture.live = { layer, path: toPath(outline(this.#samples, this.#frozen, false)), color, opacity, mode: tool === 'erase' ? 'erase' : 'over', cut: this.#cut }
      this.emit('redraw', 'picture')
    }
    this.emit('redraw', 'overlay')
  }

  #send(done: boolean): void {
    const { tool } = this.state
    const samples = tool === 'rect' ? cornersOf(this.#corners(false) ?? [0, 0, 0, 0]) : this.#samples.slice(this.#sent)
    if (samples.length === 0 && !done) return
    if (tool === 'rect' && !done && this.#sent === this.#samples.length) return
    this.#sent = this.#samples.length
    const limited = samples.length > 1000 ? samples.filter((_, i) => i % Math.ceil(samples.length / 1000) === 0) : samples
    this.emit('stroke', this.#message(limited, done))
  }

  #message(samples: readonly (Point & { pressure?: number })[], done: boolean): Stroke {
    return strokeMessage(this.#id, this.state.tool, samples, { size: this.size, color: this.state.brush.color, subtract: this.#subtract, masked: this.#cut !== null, done })
  }
}
