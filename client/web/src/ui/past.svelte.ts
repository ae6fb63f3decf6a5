// Edits to look back at, newest first: those that ended before come from the server in pages, newer ones from the room.
import { SvelteMap } from 'svelte/reactivity'
import { pastEdits } from '../net/api'
import type { Job } from '../protocol/types'

export class Past {
  readonly #jobs = new SvelteMap<string, Job>()
  /** Those that ended while this page looked on. */
  readonly seen = new Set<string>()
  /** There are older ones on the server. */
  more = $state(true)
  loading = $state(false)
  failed = $state('')
  #oldest: number | null = null

  constructor(private readonly canvas: string) {}

  readonly jobs = $derived([...this.#jobs.values()].sort((a, b) => b.created_ms - a.created_ms))

  /** A state that was just seen; results are kept where a later state comes without them. */
  note(job: Job): void {
    this.seen.add(job.id)
    const known = this.#jobs.get(job.id)
    this.#jobs.set(job.id, job.results.length === 0 && known !== undefined ? { ...job, results: known.results } : job)
  }

  /** The first page, once; it is longer than a screen. */
  async begin(): Promise<void> {
    if (this.#oldest === null) await this.load()
  }

  /** The next page of older ones. */
  async load(): Promise<void> {
    if (this.loading || !this.more) return
    this.loading = true
    this.failed = ''
    try {
      const { edits, more } = await pastEdits(this.canvas, this.#oldest)
      for (const { job } of edits) if (!this.#jobs.has(job.id)) this.#jobs.set(job.id, job)
      this.#oldest = edits.at(-1)?.seq ?? this.#oldest
      this.more = more
    } catch (error) {
      this.failed = error instanceof Error ? error.message : String(error)
    } finally {
      this.loading = false
    }
  }
}
