// Following somebody: the camera shows what they see, until one moves it oneself.
import { Emitter } from '../core/emitter'
import { MAX_SCALE, type View } from '../core/view'
import type { Member } from '../protocol/types'
import type { Presence } from './presence'

export class Following extends Emitter<{ change: Member | null }> {
  /** Whom; null: nobody. */
  whom: Member | null = null
  #moving = false
  #size = ''

  constructor(
    private readonly view: View,
    private readonly presence: Presence,
  ) {
    super()
    presence.on('look', (member) => member.user === this.whom?.user && this.#go())
    presence.on('members', (members) => {
      if (this.whom === null) return
      const now = members.find((member) => member.user === this.whom?.user)
      if (now === undefined) this.#become(null)
      else if (now !== this.whom) this.#become(now)
    })
    view.on('change', () => this.#moved())
  }

  /** Follows a person, or nobody; the same person again ends it. */
  toggle(member: Member | null): void {
    this.#become(member === null || member.user === this.whom?.user ? null : member)
    this.#go()
  }

  #become(member: Member | null): void {
    this.whom = member
    this.emit('change', member)
  }

  #go(): void {
    const box = this.whom === null ? undefined : this.presence.lookOf(this.whom.user)
    if (box === undefined) return
    this.#moving = true
    this.#size = this.#screen()
    this.view.fit(box, MAX_SCALE)
    this.#moving = false
  }

  /** Who moves the camera leaves; a window of another size shows the same part again. */
  #moved(): void {
    if (this.whom === null || this.#moving) return
    if (this.#size !== '' && this.#size !== this.#screen()) return this.#go()
    this.#become(null)
  }

  #screen(): string {
    return `${this.view.screenWidth}x${this.view.screenHeight}`
  }
}
