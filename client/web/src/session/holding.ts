// What others hold, shown where they hold it until it is put down or given back (C14).
import type { Change, MemberMoving } from '../protocol/types'
import type { Holds } from '../core/holds'
import type { Lifted } from '../core/lift'
import type { Affine } from '../core/placement'

export interface Sources {
  colorOf(member: string): string
  /** The person behind a connection. */
  userOf(member: string): string | undefined
  lift(layer: string, member: string, masked: boolean): Promise<Lifted | null>
  redraw(): void
}

interface Known {
  layer: string
  masked: boolean
  matrix: Affine
}

export class Holding {
  readonly #known = new Map<string, Known>()

  constructor(
    private readonly holds: Holds,
    private readonly from: Sources,
  ) {}

  get count(): number {
    return this.#known.size
  }

  receive({ member, moving: { layer, matrix, masked } }: MemberMoving): void {
    if (matrix == null) return this.forget(member)
    const before = this.#known.get(member)
    const now: Known = { layer, matrix, masked: masked ?? false }
    this.#known.set(member, now)
    const hold = this.holds.get(member)
    if (before?.layer === now.layer && before.masked === now.masked) {
      if (hold !== undefined && hold.seq === null) hold.matrix = matrix
      this.from.redraw()
    } else void this.#lift(member, now)
  }

  /** They were put down, or the layer under them was changed. */
  changed(change: Change): void {
    for (const [member, { layer }] of this.#known) {
      if (!change.tiles.some(([of]) => of === layer)) continue
      if (change.kind === 'transform' && change.user === this.from.userOf(member)) {
        this.#known.delete(member)
        this.holds.settle(member, change.seq)
      } else void this.#lift(member, this.#known.get(member)!)
    }
  }

  forget(member: string): void {
    this.#known.delete(member)
    if (this.holds.get(member)?.seq === null) this.holds.drop(member)
    this.from.redraw()
  }

  clear(): void {
    this.#known.clear()
  }

  async #lift(member: string, wanted: Known): Promise<void> {
    const lifted = await this.from.lift(wanted.layer, member, wanted.masked).catch(() => null)
    const now = this.#known.get(member)
    if (lifted === null || now?.layer !== wanted.layer || now.masked !== wanted.masked) return
    this.holds.set(member, { lifted, matrix: now.matrix, color: this.from.colorOf(member), seq: null })
    this.from.redraw()
  }
}
