// The browser's replica of a canvas: layers, tile names and jobs, moved only by manifests and changes (C4, C5).
import { type CanvasInfo, type Change, type Job, type Layer, type Manifest, type Position, type TileRef } from '../protocol/types'
import { canvasSum } from '../protocol/checksum'
import { mipKey } from '../protocol/geometry'
import { Emitter } from './emitter'

export const TERMINAL: ReadonlySet<string> = new Set(['accepted', 'discarded', 'cancelled', 'superseded', 'failed'])

interface Events {
  reset: Manifest
  change: Change
}

interface Slot {
  name: string
  /** seq of the change that set the name */
  seq: number
}

const slotKey = (tx: number, ty: number): string => `${tx},${ty}`

export class Document extends Emitter<Events> {
  position: Position = [0, 0, null]
  canvas: CanvasInfo = { id: '', title: '', width: 0, height: 0, used_bytes: 0, budget_bytes: 0 }
  layers: Layer[] = []
  readonly jobs = new Map<string, Job>()
  readonly #tiles = new Map<string, Map<string, Slot>>()
  readonly #mips = new Map<string, { key: string; seq: number }>()

  get seq(): number {
    return this.position[1]
  }

  load(manifest: Manifest): void {
    this.position = manifest.position
    this.canvas = manifest.canvas
    this.layers = manifest.layers
    this.jobs.clear()
    for (const job of manifest.jobs) this.jobs.set(job.id, job)
    this.#tiles.clear()
    this.#mips.clear()
    for (const tile of manifest.tiles) this.#set(tile, manifest.position[1])
    this.emit('reset', manifest)
  }

  /** One entry of the log. False for one that was applied already; a gap throws, because the socket keeps order (R3). */
  apply(change: Change): boolean {
    if (change.epoch !== this.position[0]) throw new Error(`epoch ${change.epoch} on a document of epoch ${this.position[0]}`)
    if (change.seq <= this.seq) return false
    if (change.canvas !== null) this.canvas = change.canvas
    if (change.layers !== null) this.#setLayers(change.layers)
    for (const tile of change.tiles) this.#set(tile, change.seq)
    if (change.job !== null) this.jobs.set(change.job.id, change.job)
    this.position = [change.epoch, change.seq, change.op]
    this.emit('change', change)
    return true
  }

  tile(layer: string, tx: number, ty: number): Slot | undefined {
    return this.#tiles.get(layer)?.get(slotKey(tx, ty))
  }

  /** The change at seq is in. */
  reached(seq: number): Promise<void> {
    if (this.seq >= seq) return Promise.resolve()
    return new Promise((done) => {
      const look = (): void => {
        if (this.seq < seq) return
        for (const stop of stops) stop()
        done()
      }
      const stops = [this.on('change', look), this.on('reset', look)]
    })
  }

  /** Where a layer has tiles. */
  places(layer: string): [tx: number, ty: number][] {
    const grid = this.#tiles.get(layer) ?? new Map<string, Slot>()
    return [...grid].filter(([, slot]) => slot.name !== '').map(([key]) => key.split(',').map(Number) as [number, number])
  }

  /** The mip tile's content key and the newest seq under it; undefined where every base tile is missing. */
  mip(layer: string, level: number, tx: number, ty: number): { key: string; seq: number } | undefined {
    const id = `${layer}/${level}/${tx}/${ty}`
    const known = this.#mips.get(id)
    if (known !== undefined) return known.key === '' ? undefined : known
    const side = 2 ** level
    const names: string[] = []
    let seq = 0
    let any = false
    const grid = this.#tiles.get(layer)
    for (let y = ty * side; y < (ty + 1) * side; y++) {
      for (let x = tx * side; x < (tx + 1) * side; x++) {
        const slot = grid?.get(slotKey(x, y))
        names.push(slot?.name ?? '')
        if (slot !== undefined) {
          any = any || slot.name !== ''
          seq = Math.max(seq, slot.seq)
        }
      }
    }
    const entry = { key: any ? mipKey(names) : '', seq }
    this.#mips.set(id, entry)
    return any ? entry : undefined
  }

  /** Newest seq under a slot of a level, also where it became transparent. */
  seqAt(layer: string, level: number, tx: number, ty: number): number {
    if (level === 0) return this.tile(layer, tx, ty)?.seq ?? 0
    this.mip(layer, level, tx, ty)
    return this.#mips.get(`${layer}/${level}/${tx}/${ty}`)?.seq ?? 0
  }

  /** All tile names as `layer/tx/ty → name`, sorted: what "canvases equal" compares (C11). */
  tileNames(): Record<string, string> {
    const rows: [string, string][] = []
    for (const [layer, grid] of this.#tiles) {
      for (const [key, slot] of grid) if (slot.name !== '') rows.push([`${layer}/${key.replace(',', '/')}`, slot.name])
    }
    return Object.fromEntries(rows.sort((a, b) => (a[0] < b[0] ? -1 : 1)))
  }

  /** What a `checksum` of this position must say (R9). */
  sum(): number {
    return canvasSum(this.layers, this.tileNames())
  }

  #setLayers(layers: Layer[]): void {
    this.layers = layers
    const kept = new Set(layers.map((layer) => layer.id))
    for (const id of this.#tiles.keys()) if (!kept.has(id)) this.#tiles.delete(id)
  }

  #set([layer, tx, ty, name]: TileRef, seq: number): void {
    let grid = this.#tiles.get(layer)
    if (grid === undefined) this.#tiles.set(layer, (grid = new Map()))
    grid.set(slotKey(tx, ty), { name, seq })
    for (let level = 1; level <= 6; level++) this.#mips.delete(`${layer}/${level}/${tx >> level}/${ty >> level}`)
  }
}
