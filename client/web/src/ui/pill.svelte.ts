// The connection as a person is told of it: a pill that says whether others see one's work and whether it is kept.
import type { ConnectionState } from '../net/connection'

export type PillKind = 'connecting' | 'live' | 'saving' | 'saved' | 'reconnecting' | 'offline' | 'readonly' | 'removed'

const BANNER_MS = 2000
const SAVED_MS = 2500

export class Pill {
  connection = $state.raw<ConnectionState>({ kind: 'connecting', since: 0 })
  /** Ops that are not acknowledged. */
  unsaved = $state(0)
  #now = $state(Date.now())
  #savedUntil = $state(0)

  constructor(connection: ConnectionState, unsaved: number, private readonly room: { readonly ready: boolean; readonly readOnly: boolean }) {
    this.connection = connection
    this.unsaved = unsaved
  }

  tick(): void {
    this.#now = Date.now()
  }

  connected(state: ConnectionState): void {
    this.tick()
    this.connection = state
  }

  counted(unsaved: number): void {
    if (unsaved === 0 && this.unsaved > 0) {
      this.tick()
      this.#savedUntil = this.#now + SAVED_MS
    }
    this.unsaved = unsaved
  }

  get kind(): PillKind {
    const { connection } = this
    if (connection.kind === 'ended') return 'removed'
    if (connection.kind !== 'live') {
      if (!this.room.ready) return connection.kind === 'connecting' ? 'connecting' : 'reconnecting'
      if (this.#now - connection.since < BANNER_MS) return this.unsaved > 0 ? 'saving' : 'live'
      return navigator.onLine ? 'reconnecting' : 'offline'
    }
    if (this.room.readOnly) return 'readonly'
    if (this.unsaved > 0) return 'saving'
    return this.#now < this.#savedUntil ? 'saved' : 'live'
  }

  get retryIn(): number {
    return this.connection.kind === 'waiting' ? Math.max(0, Math.ceil((this.connection.until - this.#now) / 1000)) : 0
  }
}
