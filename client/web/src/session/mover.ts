// The move tool: lifts a layer's pixels, or those under the mask, holds them where one wants them, and puts them down.
import type { Box, Moving } from '../protocol/types'
import type { Point } from '../protocol/geometry'
import { Emitter } from '../core/emitter'
import type { Holds } from '../core/holds'
import type { Modifiers } from '../core/input'
import type { Lifted } from '../core/lift'
import { isResting, matrixOf, pinched, pointOf, pulled, resting, settled, sizeOf, snapped, upright, type Affine, type Grip, type Placement } from '../core/placement'
import type { ToolName } from '../core/strokes'
import type { View } from '../core/view'

interface Events {
  /** What is held, or where, has changed. */
  change: null
  /** For the others. */
  moving: Moving
  refused: string
}

export interface Around {
  layer(): string | null
  whyNot(): string | null
  masked(): boolean
  lift(layer: string, masked: boolean): Promise<Lifted | null>
  /** Puts the pixels down; the key of the op. */
  fix(lifted: Lifted, matrix: Affine): string
}

/** A picture that was brought in and is not put down yet. */
export interface Placed {
  layer: string
  /** Number of the op that brought it. */
  n: number
  /** How many steps I had made by then: after another one its move is a step of its own. */
  steps: number
}

/** What the fields show: the frame's left and top as if it were upright, whole, and its angle. */
export interface Numbers {
  x: number
  y: number
  w: number
  h: number
  angle: number
}

/** So far from a grip a pointer still takes it, in CSS pixels. */
const NEAR = { mouse: 9, touch: 22 }
const two = (n: number): number => Math.round(n * 100) / 100

/** How far the knob stands from the frame. */
export const KNOB = 26

export class Mover extends Emitter<Events> {
  /** The tool to go back to, where this one was only taken to place a picture. */
  back: ToolName | null = null
  placed: Placed | null = null
  /** Fields keep width and height together. */
  ratio = true
  lifting = false
  cursor = 'default'
  #lifted: Lifted | null = null
  #box: Box = [0, 0, 1, 1]
  #place: Placement = resting([0, 0, 1, 1])
  #drag: { grip: Grip; from: Point; place: Placement } | null = null
  #before: Placement | null = null
  #turn = 0
  #isOn = false

  constructor(
    private readonly holds: Holds,
    private readonly view: View,
    private readonly around: Around,
  ) {
    super()
  }

  get held(): { box: Box; place: Placement; layer: string; masked: boolean } | null {
    return this.#lifted === null ? null : { box: this.#box, place: this.#place, layer: this.#lifted.layer, masked: this.#lifted.hole !== null }
  }

  /** Whether putting it down would change anything. */
  get changed(): boolean {
    return this.#lifted !== null && !isResting(this.#box, this.#place)
  }

  get numbers(): Numbers | null {
    if (this.#lifted === null) return null
    const { w, h } = sizeOf(this.#box, this.#place)
    return { x: two(this.#place.x - w / 2), y: two(this.#place.y - h / 2), w: two(w), h: two(h), angle: this.#place.angle }
  }

  /** The tool is taken in hand, or what it would lift is another thing now. */
  async begin(): Promise<void> {
    this.#isOn = true
    const turn = ++this.#turn
    this.#let()
    const layer = this.around.layer()
    if (layer !== null && this.holds.settling(layer)) return // once it is on the screen, the tool begins again
    const why = this.around.whyNot()
    if (why !== null || layer === null) return this.emit('refused', why ?? 'There is no layer to move.')
    const masked = this.around.masked()
    const lifted = await this.#lift(layer, masked)
    if (turn !== this.#turn) return
    if (lifted === null) return this.emit('refused', masked ? 'This layer has nothing under the mask.' : 'This layer is empty: there is nothing to move.')
    this.#lifted = lifted
    this.#box = lifted.box
    this.#place = resting(lifted.box)
    this.#show()
  }

  /** Somebody changed the layer: what is held looks otherwise now. */
  async again(): Promise<void> {
    if (this.#lifted === null) return
    if (!this.changed) return this.begin()
    const turn = ++this.#turn
    const lifted = await this.#lift(this.#lifted.layer, this.#lifted.hole !== null)
    if (turn !== this.#turn || lifted === null) return
    this.#lifted = lifted
    this.#show()
  }

  /** The tool is put away: what is held is put down. */
  leave(): void {
    if (!this.#isOn) return
    this.#isOn = false
    this.back = null
    this.#turn++
    if (this.changed) this.fix()
    else this.#let()
    this.placed = null
  }

  fix(): void {
    const lifted = this.#lifted
    if (lifted === null || !this.changed) return
    const key = this.around.fix(lifted, this.#matrix)
    this.holds.rename('me', key)
    if (this.placed?.layer === lifted.layer) this.placed = null
    this.#lifted = null
    this.#drag = null
    this.emit('change', null)
  }

  /** Gives back what is held. */
  reset(): void {
    this.#drag = null
    this.#put(resting(this.#box))
  }

  nudge(dx: number, dy: number): void {
    if (this.#lifted !== null) this.#put({ ...this.#place, x: this.#place.x + dx, y: this.#place.y + dy })
  }

  flip(how: 'across' | 'down'): void {
    const { sx, sy, angle } = this.#place
    const turned = { ...this.#place, angle: upright(-angle) } // mirrored as it is seen
    this.#put(how === 'across' ? { ...turned, sx: -sx } : { ...turned, sy: -sy })
  }

  /** From the fields. */
  set(change: Partial<Numbers>): void {
    const now = this.numbers
    if (now === null) return
    const all = Object.values(change)
    if (!all.every(Number.isFinite)) return this.emit('change', null)
    const { w, h } = sizeOf(this.#box, this.#place)
    let [wide, high] = [Math.max(1, change.w ?? w), Math.max(1, change.h ?? h)]
    if (this.ratio && change.w !== undefined) high = Math.max(1, (h * wide) / w)
    else if (this.ratio && change.h !== undefined) wide = Math.max(1, (w * high) / h)
    const place = { ...this.#place, angle: upright(change.angle ?? now.angle) }
    place.sx *= wide / w
    place.sy *= high / h
    place.x = (change.x ?? now.x) + wide / 2
    place.y = (change.y ?? now.y) + high / 2
    this.#put(snapped(this.#box, place))
  }

  // ── as the tool in hand ─────────────────────────────────────────────────────────────────────────────────────

  get pinches(): boolean {
    return this.#lifted !== null
  }

  down(at: Point, isTouch: boolean): void {
    if (this.#lifted === null) {
      if (!this.lifting) void this.begin()
      return
    }
    this.#before = this.#place
    this.#drag = { grip: this.#gripAt(at, isTouch), from: at, place: this.#place }
  }

  move(at: Point, modifiers: Modifiers): void {
    if (this.#drag !== null) this.#put(pulled(this.#box, this.#drag.place, this.#drag.grip, this.#drag.from, at, modifiers))
  }

  up(): void {
    this.#drag = null
  }

  abort(): void {
    if (this.#drag !== null && this.#before !== null) this.#put(this.#before)
    this.#drag = null
  }

  get dragging(): boolean {
    return this.#drag !== null
  }

  pinch(from: readonly [Point, Point], to: readonly [Point, Point]): void {
    if (this.#lifted !== null) this.#put(pinched(this.#place, from, to))
  }

  pinched(): void {
    if (this.#lifted !== null) this.#put(settled(this.#box, this.#place))
  }

  hover(at: Point | null): void {
    const cursor = at === null || this.#lifted === null ? 'default' : this.#cursorOf(this.#drag?.grip ?? this.#gripAt(at, false))
    if (cursor === this.cursor) return
    this.cursor = cursor
    this.emit('change', null)
  }

  // ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

  get #matrix(): Affine {
    return matrixOf(this.#box, this.#place)
  }

  async #lift(layer: string, masked: boolean): Promise<Lifted | null> {
    this.lifting = true
    this.emit('change', null)
    try {
      return await this.around.lift(layer, masked)
    } catch {
      this.emit('refused', 'The layer’s picture could not be fetched. Try again in a moment.')
      this.#turn++
      return null
    } finally {
      this.lifting = false
      this.emit('change', null)
    }
  }

  #put(place: Placement): void {
    this.#place = place
    this.#show()
  }

  #show(): void {
    const lifted = this.#lifted
    if (lifted === null) return
    this.holds.set('me', { lifted, matrix: this.#matrix, color: null, seq: null })
    this.emit('moving', { t: 'moving', layer: lifted.layer, matrix: this.changed ? this.#matrix : null, masked: lifted.hole !== null })
    this.emit('change', null)
  }

  /** Says it anew, e.g. to somebody who has just come. */
  repeat(): void {
    if (this.changed) this.#show()
  }

  #let(): void {
    if (this.#lifted !== null) this.emit('moving', { t: 'moving', layer: this.#lifted.layer, matrix: null })
    this.#lifted = null
    this.#drag = null
    this.holds.drop('me')
    this.emit('change', null)
  }

  #gripAt(at: Point, isTouch: boolean): Grip {
    const near = (isTouch ? NEAR.touch : NEAR.mouse) / this.view.scale
    const far = (p: Point): number => Math.hypot(at.x - p.x, at.y - p.y)
    if (far(this.knob) < near) return { at: 'knob' }
    const edges = ([-1, 0, 1] as const).flatMap((across) => ([-1, 0, 1] as const).map((down) => ({ at: 'edge' as const, across, down })))
    const found = edges
      .filter(({ across, down }) => across !== 0 || down !== 0)
      .map((grip) => ({ grip, distance: far(pointOf(this.#box, this.#place, grip.across, grip.down)) }))
      .sort((a, b) => a.distance - b.distance)[0]!
    return found.distance < near ? found.grip : { at: 'inside' }
  }

  /** Where the knob stands. */
  get knob(): Point {
    const { h } = sizeOf(this.#box, this.#place)
    return pointOf(this.#box, this.#place, 0, -1 - (2 * KNOB) / this.view.scale / Math.max(1e-6, h))
  }

  #cursorOf(grip: Grip): string {
    if (grip.at === 'inside') return 'move'
    if (grip.at === 'knob') return 'grab'
    const along = Math.round((Math.atan2(grip.down, grip.across) * 180) / Math.PI + this.#place.angle)
    return ['ew-resize', 'nwse-resize', 'ns-resize', 'nesw-resize'][((Math.round(along / 45) % 4) + 4) % 4]!
  }
}
