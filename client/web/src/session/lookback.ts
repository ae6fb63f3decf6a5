// Looking at the canvas as it was at an earlier moment: another document under the same camera, changing nothing.
import type { Manifest } from '../protocol/types'
import { Document } from '../core/document'
import { Emitter } from '../core/emitter'
import type { Slots } from '../core/slots'
import { request } from '../net/api'

export class LookBack extends Emitter<{ change: null }> {
  /** The moment on the screen; null: now. */
  seq: number | null = null
  #wanted: number | null = null

  constructor(
    private readonly base: string,
    private readonly slots: Slots,
  ) {
    super()
  }

  /** Shows the canvas right after a change; of moments asked for in quick succession the last one counts. */
  async to(seq: number): Promise<void> {
    this.#wanted = seq
    const response = await request(`${this.base}/past/${seq}`)
    const manifest = (await response.json()) as Manifest
    if (this.#wanted !== seq) return
    const document = new Document()
    document.load(manifest)
    this.#show(seq, document)
  }

  leave(): void {
    this.#wanted = null
    if (this.seq !== null) this.#show(null, null)
  }

  #show(seq: number | null, document: Document | null): void {
    this.seq = seq
    this.slots.lookAt(document, seq === null ? this.base : `${this.base}/past/${seq}`)
    this.emit('change', null)
  }
}
