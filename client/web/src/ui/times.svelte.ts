// What happened on the canvas, newest first: pages from the server, what is new from the room; and the named versions.
import { SvelteMap } from 'svelte/reactivity'
import { moments } from '../net/api'
import type { Change, ChangeKind, Moment, Person, Version } from '../protocol/types'
import { tileBox, union } from '../protocol/geometry'

/** Moments of one person and one kind, so close together that they are one thing to look back at. */
export interface Stretch {
  /** Of its newest moment. */
  seq: number
  time_ms: number
  user: string
  kind: ChangeKind
  count: number
  newest: Moment
}

const TOGETHER_MS = 180_000
const JOINED: ReadonlySet<ChangeKind> = new Set(['paint', 'transform', 'layers', 'undo', 'redo'])

export class Times {
  readonly #moments = new SvelteMap<number, Moment>()
  readonly #people = new SvelteMap<string, Person>()
  readonly #versions = new SvelteMap<string, Version>()
  loading = $state(false)
  failed = $state('')
  #before: number | null = null
  #begun = false
  #more = true

  constructor(private readonly canvas: string) {}

  readonly versions = $derived([...this.#versions.values()].sort((a, b) => b.seq - a.seq || b.created_ms - a.created_ms))
  readonly stretches = $derived(stretches([...this.#moments.values()], new Set(this.versions.map((version) => version.seq))))

  person(user: string): Person | undefined {
    return this.#people.get(user)
  }

  /** Names of the versions that a moment has. */
  namesOf(seq: number): string[] {
    return this.versions.filter((version) => version.seq === seq).map((version) => version.name)
  }

  /** A change that just came in; what is older comes with the first page. */
  note(change: Change): void {
    const { version } = change
    if (version !== null && version.name === '') this.#versions.delete(version.id)
    else if (version !== null) this.#versions.set(version.id, version)
    if (!this.#begun || (change.tiles.length === 0 && change.layers === null && change.canvas === null)) return
    const { seq, time_ms, user, kind, job, undoes, restores } = change
    const box = change.tiles.map(([, tx, ty]) => tileBox(tx, ty, 0)).reduce<Moment['box']>((all, one) => (all === null ? one : union(all, one)), null)
    this.#moments.set(seq, { seq, time_ms, user, kind, box, what: '', job: job?.state === 'accepted' ? job : null, undoes, restores })
  }

  async begin(): Promise<void> {
    if (this.#begun) return
    this.#begun = true
    await this.load()
  }

  async load(): Promise<void> {
    if (this.loading || !this.#more) return
    this.loading = true
    this.failed = ''
    try {
      const page = await moments(this.canvas, this.#before)
      for (const moment of page.moments) this.#moments.set(moment.seq, moment)
      for (const person of page.people) this.#people.set(person.user, person)
      if (this.#before === null) for (const version of page.versions) this.#versions.set(version.id, version)
      this.#before = page.before
      this.#more = page.before !== null
    } catch (error) {
      this.failed = error instanceof Error ? error.message : String(error)
    } finally {
      this.loading = false
    }
  }
}

function stretches(all: Moment[], named: ReadonlySet<number>): Stretch[] {
  const found: Stretch[] = []
  for (const moment of all.sort((a, b) => b.seq - a.seq)) {
    const last = found.at(-1)
    const joins = last !== undefined && last.user === moment.user && last.kind === moment.kind && JOINED.has(moment.kind)
    if (joins && !named.has(moment.seq) && last.time_ms - moment.time_ms < TOGETHER_MS) last.count++
    else found.push({ seq: moment.seq, time_ms: moment.time_ms, user: moment.user, kind: moment.kind, count: 1, newest: moment })
  }
  return found
}
