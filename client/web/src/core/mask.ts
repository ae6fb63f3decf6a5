// The mask: 8-bit alpha in canvas space, in sparse 256² tiles, with its own short undo history.
import { TILE, type Box } from '../protocol/types'
import { grow, height, intersect, isEmpty, tileBox, tilesOf, width } from '../protocol/geometry'
import { Emitter } from './emitter'
import type { Coverage } from './raster'

export interface MaskTile {
  tx: number
  ty: number
  data: Uint8Array
}

type Snapshot = Map<string, Uint8Array | null>

const HISTORY = 50

export class Mask extends Emitter<{ change: Box | null }> {
  readonly tiles = new Map<string, MaskTile>()
  #before: Snapshot | null = null
  #undo: Snapshot[] = []
  #redo: Snapshot[] = []
  #box: Box | null | undefined = null

  get isEmpty(): boolean {
    return this.box() === null
  }

  get canUndo(): boolean {
    return this.#undo.length > 0
  }

  get canRedo(): boolean {
    return this.#redo.length > 0
  }

  /** Opens one step of history: everything until `finish` is undone together. */
  begin(): void {
    this.#before = new Map()
  }

  finish(): void {
    if (this.#before !== null && this.#before.size > 0) {
      this.#undo.push(this.#before)
      if (this.#undo.length > HISTORY) this.#undo.shift()
      this.#redo = []
    }
    this.#before = null
  }

  /** Takes back everything since `begin`, as if it had never been; the history stays as it was. */
  abandon(): void {
    const before = this.#before
    this.#before = null
    if (before === null || before.size === 0) return
    this.#restore(before)
    this.emit('change', null)
  }

  add(coverage: Coverage, within: Box): void {
    this.#combine(coverage, within, (old, cover) => (cover > old ? cover : old))
  }

  subtract(coverage: Coverage, within: Box): void {
    this.#combine(coverage, within, (old, cover) => Math.min(old, 255 - cover))
  }

  invert(within: Box): void {
    this.begin()
    this.#each(within, (data, i) => {
      data[i] = 255 - data[i]!
    })
    this.finish()
  }

  /** Takes over a whole mask, e.g. one that came back from a snapshot. */
  replace(coverage: Coverage | null): void {
    this.tiles.clear()
    this.#undo = []
    this.#redo = []
    this.#box = null
    if (coverage === null) this.emit('change', null)
    else this.add(coverage, coverage.box)
  }

  /** Takes over one tile, e.g. of somebody else's mask; null where it is empty. No history. */
  setTile(tx: number, ty: number, data: Uint8Array | null): void {
    const key = `${tx},${ty}`
    if (data === null) this.tiles.delete(key)
    else this.tiles.set(key, { tx, ty, data })
    this.#box = undefined
    this.emit('change', tileBox(tx, ty))
  }

  clear(): void {
    this.begin()
    for (const [key, tile] of this.tiles) this.#remember(key, tile.data)
    this.tiles.clear()
    this.finish()
    this.#box = null
    this.emit('change', null)
  }

  undo(): boolean {
    return this.#swap(this.#undo, this.#redo)
  }

  redo(): boolean {
    return this.#swap(this.#redo, this.#undo)
  }

  forgetHistory(): void {
    this.#undo = []
    this.#redo = []
  }

  /** The smallest box around everything set; null when empty. */
  box(): Box | null {
    if (this.#box === undefined) this.#box = this.#measure()
    return this.#box
  }

  /** The bytes of a box, row by row; by default of the mask's own box. */
  crop(box: Box): Coverage {
    const data = new Uint8Array(width(box) * height(box))
    for (const tile of this.tiles.values()) {
      const at = tileBox(tile.tx, tile.ty)
      const part = intersect(at, box)
      if (isEmpty(part)) continue
      for (let y = part[1]; y < part[3]; y++) {
        const from = (y - at[1]) * TILE + part[0] - at[0]
        data.set(tile.data.subarray(from, from + width(part)), (y - box[1]) * width(box) + part[0] - box[0])
      }
    }
    return { box, data }
  }

  /** All its bytes added up: equal sums are, for those who look at it, equal masks. */
  sum(): number {
    let sum = 0
    for (const { data } of this.tiles.values()) for (let i = 0; i < data.length; i++) sum += data[i]!
    return sum
  }

  at(x: number, y: number): number {
    const tile = this.tiles.get(`${Math.floor(x / TILE)},${Math.floor(y / TILE)}`)
    if (tile === undefined) return 0
    return tile.data[(Math.floor(y) - tile.ty * TILE) * TILE + Math.floor(x) - tile.tx * TILE]!
  }

  #combine({ box, data }: Coverage, within: Box, mix: (old: number, cover: number) => number): void {
    const w = width(box)
    this.#each(intersect(box, within), (tile, i, x, y) => {
      tile[i] = mix(tile[i]!, data[(y - box[1]) * w + x - box[0]]!)
    })
  }

  #each(box: Box, pixel: (data: Uint8Array, i: number, x: number, y: number) => void): void {
    for (const [tx, ty] of tilesOf(box)) {
      const key = `${tx},${ty}`
      let tile = this.tiles.get(key)
      this.#remember(key, tile?.data ?? null)
      if (tile === undefined) this.tiles.set(key, (tile = { tx, ty, data: new Uint8Array(TILE * TILE) }))
      const at = tileBox(tx, ty)
      const part = intersect(at, box)
      for (let y = part[1]; y < part[3]; y++) {
        let i = (y - at[1]) * TILE + part[0] - at[0]
        for (let x = part[0]; x < part[2]; x++, i++) pixel(tile.data, i, x, y)
      }
    }
    this.#box = undefined
    if (!isEmpty(box)) this.emit('change', grow(box, 1))
  }

  #remember(key: string, data: Uint8Array | null): void {
    if (this.#before !== null && !this.#before.has(key)) this.#before.set(key, data === null ? null : data.slice())
  }

  #swap(from: Snapshot[], to: Snapshot[]): boolean {
    const snapshot = from.pop()
    if (snapshot === undefined) return false
    const now: Snapshot = new Map()
    for (const key of snapshot.keys()) now.set(key, this.tiles.get(key)?.data ?? null)
    this.#restore(snapshot)
    to.push(now)
    this.emit('change', null)
    return true
  }

  #restore(snapshot: Snapshot): void {
    for (const [key, data] of snapshot) {
      const [tx, ty] = key.split(',').map(Number) as [number, number]
      if (data === null) this.tiles.delete(key)
      else this.tiles.set(key, { tx, ty, data })
    }
    this.#box = undefined
  }

  #measure(): Box | null {
    let box: Box | null = null
    for (const [key, tile] of this.tiles) {
      const found = measureTile(tile)
      if (found === null) this.tiles.delete(key)
      else if (box === null) box = found
      else box = [Math.min(box[0], found[0]), Math.min(box[1], found[1]), Math.max(box[2], found[2]), Math.max(box[3], found[3])]
    }
    return box
  }
}

function measureTile({ tx, ty, data }: MaskTile): Box | null {
  let [x0, y0, x1, y1] = [TILE, TILE, 0, 0]
  for (let y = 0; y < TILE; y++) {
    for (let x = 0; x < TILE; x++) {
      if (data[y * TILE + x] === 0) continue
      if (x < x0) x0 = x
      if (x >= x1) x1 = x + 1
      if (y < y0) y0 = y
      y1 = y + 1
    }
  }
  return x1 === 0 ? null : [tx * TILE + x0, ty * TILE + y0, tx * TILE + x1, ty * TILE + y1]
}
