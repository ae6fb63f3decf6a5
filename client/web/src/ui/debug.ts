// `window.nanobana`: what tests and benchmarks may look at. Reading it changes nothing; `drop` alone acts.
import { tilesOf } from '../protocol/geometry'
import type { CanvasState } from './state.svelte'

export interface Debug {
  readonly position: unknown
  readonly connection: string
  readonly pill: string
  readonly unsaved: number
  /** Seq of the newest change of mine that is durable. */
  readonly durable: number
  readonly tileNames: Record<string, string>
  readonly layers: unknown
  readonly canvas: unknown
  readonly jobs: unknown
  readonly you: unknown
  readonly role: string | null
  readonly members: unknown
  readonly cursors: unknown
  /** User ID of the person whom this page follows. */
  readonly following: string | null
  readonly access: string
  /** Every visible tile is on the screen at its newest name. */
  readonly complete: boolean
  /** The numbers of what the move tool holds. */
  readonly moving: unknown
  /** Whether putting it down would change anything. */
  readonly moved: boolean
  readonly othersMoving: number
  /** Pixels that were put down and are not on the screen as tiles yet. */
  readonly landing: number
  readonly othersMasks: number
  readonly othersStrokes: number
  readonly maskBox: unknown
  readonly maskSum: number
  /** What the overlay shows of an edit's soft edge. */
  readonly softEdge: unknown
  /** Seq of the moment that is on the screen instead of now. */
  readonly looking: number | null
  /** ID of the past edit that is shown over the picture. */
  readonly lookingBack: string | null
  readonly othersMaskSums: number[]
  readonly marks: Record<string, { firstPreview?: number; staged?: number }>
  readonly lastStagedDrawn: { job: string; at: number } | null
  /** Strokes and results that are still drawn from this page's own pixels. */
  readonly pending: number
  /** Pictures that are being brought in. */
  readonly importing: number
  /** No live edit is under way or due. */
  readonly liveRests: boolean
  /** Ops that lie in IndexedDB. */
  readonly kept: number
  readonly frames: number
  readonly timeOrigin: number
  readonly view: unknown
  /** The part of the canvas that is clear of panels. */
  readonly seen: unknown
  /** Page coordinates of a canvas point. */
  toPage(x: number, y: number): { x: number; y: number }
  tilesOf: typeof tilesOf
  /** Breaks the socket, as a bad network would. */
  drop(): void
}

export function install(state: CanvasState): void {
  const { session } = state
  const { document: doc, results } = session
  const debug: Debug = {
    get position() {
      return doc.position
    },
    get connection() {
      return session.connection.state.kind
    },
    get pill() {
      return state.pill.kind
    },
    get unsaved() {
      return session.sender.unsaved
    },
    get durable() {
      return session.sender.durable
    },
    get tileNames() {
      return doc.tileNames()
    },
    get layers() {
      return doc.layers
    },
    get canvas() {
      return doc.canvas
    },
    get jobs() {
      return [...doc.jobs.values()]
    },
    get you() {
      return session.presence.you
    },
    get role() {
      return session.role
    },
    get members() {
      return session.presence.people()
    },
    get cursors() {
      return [...session.presence.cursors.values()].map(({ id, member, x, y, toX, toY }) => ({ id, name: member.name, x, y, toX, toY }))
    },
    get following() {
      return session.following.whom?.user ?? null
    },
    get access() {
      return session.access
    },
    get complete() {
      return state.ready && session.hasSize && session.loop.drawn && session.picture.complete
    },
    get moving() {
      return session.mover.numbers
    },
    get moved() {
      return session.mover.changed
    },
    get othersMoving() {
      return session.holding.count
    },
    get landing() {
      return session.picture.holds.all().length - (session.mover.held === null ? 0 : 1)
    },
    get othersMasks() {
      return session.others.maskCount
    },
    get othersStrokes() {
      return session.others.strokes.size
    },
    get maskBox() {
      return session.mask.box()
    },
    get lookingBack() {
      return state.lookingBack?.id ?? null
    },
    get looking() {
      return state.looking
    },
    get softEdge() {
      return session.overlay.softEdge
    },
    get maskSum() {
      return session.mask.sum()
    },
    get othersMaskSums() {
      return session.others.maskSums()
    },
    get marks() {
      return Object.fromEntries(results.marks)
    },
    get lastStagedDrawn() {
      let last: { job: string; at: number } | null = null
      for (const [job, { staged }] of results.marks) if (staged !== undefined && staged >= (last?.at ?? 0)) last = { job, at: staged }
      return last
    },
    get pending() {
      return session.provisionals.size
    },
    get importing() {
      return session.imports.list().length
    },
    get liveRests() {
      return session.live.rests
    },
    get kept() {
      return session.outbox.kept
    },
    get frames() {
      return session.loop.frames
    },
    timeOrigin: performance.timeOrigin,
    get view() {
      const { scale, x, y } = session.view
      return { scale, x, y }
    },
    get seen() {
      return session.view.seen()
    },
    toPage: (x, y) => session.view.toScreen({ x, y }),
    tilesOf,
    drop: () => session.connection.drop(),
  }
  Object.assign(window, { nanobana: debug })
}
