// What Ctrl+Z means next: my last mask stroke (here), or my last op (on the server, C9).

export type Step = 'mask' | 'op'

export interface Ways {
  undoMask(): boolean
  redoMask(): boolean
  undoOp(): void
  redoOp(): void
}

const MOST = 200

export class Steps {
  /** How often something was done, taken back or done again. */
  count = 0
  #done: Step[] = []
  #undone: Step[] = []

  constructor(private readonly ways: Ways) {}

  did(step: Step): void {
    this.count++
    this.#done.push(step)
    if (this.#done.length > MOST) this.#done.shift()
    this.#undone = []
  }

  undo(): void {
    this.#walk(this.#done, this.#undone, () => this.ways.undoMask(), () => this.ways.undoOp())
  }

  redo(): void {
    this.#walk(this.#undone, this.#done, () => this.ways.redoMask(), () => this.ways.redoOp())
  }

  /** Mask steps whose mask is gone are passed over; with nothing left, the server's own stack is asked. */
  #walk(from: Step[], to: Step[], onMask: () => boolean, onOp: () => void): void {
    this.count++
    let step = from.pop()
    while (step === 'mask' && !onMask()) step = from.pop()
    if (step !== 'mask') onOp()
    to.push(step ?? 'op')
  }
}
