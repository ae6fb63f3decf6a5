// Pointers to the tool in hand: the move tool takes them for itself, all others are strokes.
import type { Point } from '../protocol/geometry'
import type { Sample } from '../core/brush'
import type { Modifiers, StrokeTarget } from '../core/input'
import type { Tools } from '../core/tools'
import type { Mover } from './mover'

export class Hands implements StrokeTarget {
  constructor(
    private readonly tools: Tools,
    private readonly mover: Mover,
  ) {}

  get #moves(): boolean {
    return this.tools.state.tool === 'move'
  }

  get pans(): boolean {
    return this.tools.pans
  }

  get pinches(): boolean {
    return this.#moves && this.mover.pinches
  }

  down(sample: Sample, modifiers: Modifiers, isTouch: boolean): void {
    if (this.#moves) this.mover.down(sample, isTouch)
    else this.tools.down(sample, modifiers)
  }

  move(samples: Sample[], modifiers: Modifiers): void {
    const last = samples.at(-1)
    if (!this.#moves) this.tools.move(samples, modifiers)
    else if (last !== undefined) this.mover.move(last, modifiers)
  }

  up(modifiers: Modifiers): void {
    if (this.#moves) this.mover.up()
    else this.tools.up(modifiers)
  }

  abort(): void {
    if (this.#moves) this.mover.abort()
    else this.tools.abort()
  }

  hover(at: Point | null, modifiers: Modifiers): void {
    if (this.#moves) this.mover.hover(at)
    else this.tools.hover(at, modifiers)
  }

  pinch(from: readonly [Point, Point], to: readonly [Point, Point]): void {
    this.mover.pinch(from, to)
  }

  pinched(): void {
    this.mover.pinched()
  }

  undo(): void {
    this.tools.undo()
  }

  redo(): void {
    this.tools.redo()
  }
}
