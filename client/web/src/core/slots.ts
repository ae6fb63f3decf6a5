// The tiles of a view: which are wanted, which is on the screen in each slot, and what stands in until the right one is there.
import { MAX_MIP, TILE, type Box } from '../protocol/types'
import { grow, intersect, overlaps, tileBox, tilesOf } from '../protocol/geometry'
import { seen } from '../protocol/stack'
import type { Document } from './document'
import { drawInSlot, onDevice, type Context } from './placing'
import type { Provisional } from './provisional'
import type { TileStore, Wanted } from './tiles'
import type { View } from './view'

interface ShownTile {
  url: string
  seq: number
}

export class Slots {
  /** False once a slot was drawn that has not its tile of the current name; set before all are drawn. */
  complete = false
  readonly #shown = new Map<string, ShownTile>()
  /** An earlier canvas that is looked at instead. */
  #past: Document | null = null
  #mips: string

  constructor(
    private readonly now: Document,
    private readonly tiles: TileStore,
    private readonly view: View,
    private readonly base: string,
  ) {
    this.#mips = base
    now.on('reset', () => this.isNow && this.#shown.clear())
  }

  get document(): Document {
    return this.#past ?? this.now
  }

  get isNow(): boolean {
    return this.#past === null
  }

  /** Shows another document, whose mip tiles are under `base`; null: the canvas of now again. */
  lookAt(past: Document | null, base: string): void {
    this.#past = past
    this.#mips = base
    this.#shown.clear()
  }

  /** Where the tile of a layer of now is had; '' for none. */
  address(layer: string, level: number, tx: number, ty: number): string {
    return this.#addressIn(this.now, this.base, layer, level, tx, ty)
  }

  /** Tells the tile store what this view needs: `first` before all, then visible slots, then one ring. */
  want(first: readonly string[], visible: Box, bounds: Box, level: number): void {
    const side = TILE * 2 ** level
    const cx = (visible[0] + visible[2]) / 2
    const cy = (visible[1] + visible[3]) / 2
    const wanted: Wanted[] = first.map((url, i) => ({ url, priority: -1000 + i }))
    const ring = intersect(grow(visible, side), bounds)
    for (const layer of seen(this.document.layers)) {
      for (const [tx, ty] of tilesOf(ring, level)) {
        const url = this.#url(layer.id, level, tx, ty)
        if (url === '') continue
        const box = tileBox(tx, ty, level)
        const distance = Math.hypot((box[0] + side / 2 - cx) / side, (box[1] + side / 2 - cy) / side)
        wanted.push({ url, priority: distance + (overlaps(box, visible) ? 0 : 500) })
      }
    }
    this.tiles.want(wanted)
  }

  /** Whether all visible tiles of a layer have been fetched. */
  isHere(layer: string, visible: Box, level: number): boolean {
    return tilesOf(visible, level).every(([tx, ty]) => {
      const url = this.#url(layer, level, tx, ty)
      return url === '' || this.tiles.get(url) !== undefined
    })
  }

  /** A slot's tile, and over it what its author sees ahead of it. */
  draw(ctx: Context, layer: string, level: number, [tx, ty]: readonly [number, number], provisional: readonly Provisional[]): void {
    const id = `${layer}/${level}/${tx}/${ty}`
    const box = tileBox(tx, ty, level)
    const url = this.#url(layer, level, tx, ty)
    const seq = this.document.seqAt(layer, level, tx, ty)
    const bitmap = url === '' ? undefined : this.tiles.get(url)
    if (url === '' || bitmap !== undefined) this.#shown.set(id, { url, seq })
    else this.complete = false
    const shown = this.#shown.get(id)
    const image = bitmap ?? (shown !== undefined && shown.url !== '' ? this.tiles.get(shown.url) : undefined)
    if (image !== undefined) ctx.drawImage(image, ...onDevice(this.view, box))
    else if (url !== '' && shown === undefined) this.#standIn(ctx, layer, level, tx, ty)
    for (const item of provisional) {
      if (item.seq !== null && shown !== undefined && shown.seq >= item.seq) continue
      if (!overlaps(item.box, box)) continue
      ctx.globalCompositeOperation = item.mode === 'erase' ? 'destination-out' : 'source-over'
      drawInSlot(ctx, this.view, item.image, item.box, box)
      ctx.globalCompositeOperation = 'source-over'
    }
  }

  /** Whether a visible slot does not show the change at seq yet that touched it. */
  lacks(layer: string, touched: Box, level: number, seq: number): boolean {
    return tilesOf(touched, level).some(([tx, ty]) => {
      const shown = this.#shown.get(`${layer}/${level}/${tx}/${ty}`)
      const isIn = this.document.seqAt(layer, level, tx, ty) >= seq // a stroke may leave a tile of its box alone
      return isIn && (shown === undefined || shown.seq < seq)
    })
  }

  #url(layer: string, level: number, tx: number, ty: number): string {
    return this.#addressIn(this.document, this.#mips, layer, level, tx, ty)
  }

  #addressIn(document: Document, mips: string, layer: string, level: number, tx: number, ty: number): string {
    if (level === 0) {
      const name = document.tile(layer, tx, ty)?.name ?? ''
      return name === '' ? '' : `${this.base}/blobs/${name}`
    }
    const mip = document.mip(layer, level, tx, ty)
    return mip === undefined ? '' : `${mips}/mips/${layer}/${level}/${tx}/${ty}/${mip.key}`
  }

  /** A coarser or finer tile that is there already, until the right one is. */
  #standIn(ctx: Context, layer: string, level: number, tx: number, ty: number): void {
    const box = tileBox(tx, ty, level)
    for (let up = level + 1; up <= Math.min(MAX_MIP, level + 4); up++) {
      const shift = up - level
      const image = this.#seenAt(layer, up, tx >> shift, ty >> shift)
      if (image === undefined) continue
      const side = image.width / 2 ** shift
      const mask = 2 ** shift - 1
      ctx.drawImage(image, (tx & mask) * side, (ty & mask) * side, side, side, ...onDevice(this.view, box))
      return
    }
    if (level === 0) return
    for (let y = ty * 2; y < ty * 2 + 2; y++) {
      for (let x = tx * 2; x < tx * 2 + 2; x++) {
        const image = this.#seenAt(layer, level - 1, x, y)
        if (image !== undefined) ctx.drawImage(image, ...onDevice(this.view, tileBox(x, y, level - 1)))
      }
    }
  }

  #seenAt(layer: string, level: number, tx: number, ty: number): ImageBitmap | undefined {
    const shown = this.#shown.get(`${layer}/${level}/${tx}/${ty}`)
    return shown === undefined || shown.url === '' ? undefined : this.tiles.peek(shown.url)
  }
}
