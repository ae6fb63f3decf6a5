// Draws the picture: checkerboard, layers from cached tiles at the right mip level, provisional strokes, results.
import { MAX_MIP, TILE, type Box, type Layer } from '../protocol/types'
import { grow, intersect, isEmpty, overlaps, tileBox, tilesOf } from '../protocol/geometry'
import { isShown, seen, tree, type Node } from '../protocol/stack'
import type { Document } from './document'
import { Holds, type Hold } from './holds'
import { drawInSlot, drawOverSlots, onDevice, type Context } from './placing'
import type { Provisional, Provisionals } from './provisional'
import type { Results, Shown } from './results'
import type { TileStore, Wanted } from './tiles'
import type { View } from './view'

export interface LiveStroke {
  layer: string
  path: Path2D
  color: string
  opacity: number
  mode: 'over' | 'erase'
  /** The mask that it is cut to, over its box. */
  cut: { box: Box; image: OffscreenCanvas } | null
}

export interface Theme {
  surround: string
  checkA: string
  checkB: string
}

interface ShownTile {
  url: string
  seq: number
}

const BLENDS: Record<Layer['blend'], GlobalCompositeOperation> = { normal: 'source-over', multiply: 'multiply', screen: 'screen', overlay: 'overlay' }

/** Beside those of groups, which are nested less deep. */
const CUT_SHEET = 16

export class Picture {
  live: LiveStroke | null = null
  theme: Theme = { surround: '#1d1c1a', checkA: '#fff', checkB: '#ddd' }
  /** True when the last frame showed every visible tile at its current name. */
  complete = false
  readonly holds = new Holds()
  /** Pixels that were put down are on the screen as tiles. */
  landed: () => void = () => undefined
  readonly #shown = new Map<string, ShownTile>()
  /** By how deep in groups they are used. */
  readonly #sheets: OffscreenCanvas[] = []
  #check: CanvasPattern | null = null
  #checkColors = ''

  /** An earlier canvas that is looked at instead; strokes and results of today are left out then. */
  #past: Document | null = null
  #mips: string

  constructor(
    private readonly now: Document,
    private readonly tiles: TileStore,
    private readonly provisionals: Provisionals,
    private readonly results: Results,
    private readonly view: View,
    private readonly base: string,
  ) {
    this.#mips = base
    now.on('reset', () => this.#past === null && this.#shown.clear())
  }

  private get document(): Document {
    return this.#past ?? this.now
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

  blobUrl(name: string): string {
    return `${this.base}/blobs/${name}`
  }

  draw(ctx: CanvasRenderingContext2D): void {
    const { view, document } = this
    ctx.setTransform(1, 0, 0, 1, 0, 0)
    ctx.fillStyle = this.theme.surround
    ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height)
    const bounds: Box = [0, 0, document.canvas.width, document.canvas.height]
    const visible = intersect(view.visible(), bounds)
    if (isEmpty(visible)) {
      this.complete = true
      return
    }
    const level = view.level(MAX_MIP)
    this.#request(visible, bounds, level)
    this.complete = true
    ctx.save()
    ctx.beginPath()
    ctx.rect(...this.#device(bounds))
    ctx.clip()
    this.#checkerboard(ctx)
    ctx.imageSmoothingEnabled = view.scale * view.dpr < 2
    ctx.imageSmoothingQuality = 'low'
    this.#layers(ctx, visible, level)
    for (const shown of this.#past === null ? this.results.shown() : []) {
      if (!overlaps(shown.box, visible)) continue
      this.#result(ctx, shown, visible, level)
      this.results.drawn(shown)
    }
    ctx.restore()
    if (this.#past === null) this.#forget(visible, level)
  }

  /** A result, left out where a sharper part of it is drawn: drawn twice, its soft edge would be too dense. */
  #result(ctx: CanvasRenderingContext2D, shown: Shown, visible: Box, level: number): void {
    ctx.save()
    if (shown.except.length > 0) {
      const clip = new Path2D()
      clip.rect(...this.#device(shown.box))
      for (const box of shown.except) clip.rect(...this.#device(box))
      ctx.clip(clip, 'evenodd')
    }
    drawOverSlots(ctx, this.view, shown.image, shown.box, visible, level)
    ctx.restore()
  }

  /** Tells the tile store what this view needs: visible slots first, then one ring. */
  #request(visible: Box, bounds: Box, level: number): void {
    const side = TILE * 2 ** level
    const cx = (visible[0] + visible[2]) / 2
    const cy = (visible[1] + visible[3]) / 2
    const results = this.#past === null ? this.results.wanted(visible, this.view.scale * this.view.dpr) : []
    const wanted: Wanted[] = results.map((url, i) => ({ url, priority: -1000 + i }))
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

  #url(layer: string, level: number, tx: number, ty: number): string {
    return this.#addressIn(this.document, this.#mips, layer, level, tx, ty)
  }

  #addressIn(document: Document, mips: string, layer: string, level: number, tx: number, ty: number): string {
    if (level === 0) {
      const name = document.tile(layer, tx, ty)?.name ?? ''
      return name === '' ? '' : this.blobUrl(name)
    }
    const mip = document.mip(layer, level, tx, ty)
    return mip === undefined ? '' : `${mips}/mips/${layer}/${level}/${tx}/${ty}/${mip.key}`
  }

  /** All layers. Where one is blended they meet on a sheet of their own, so that none is blended with the checkerboard. */
  #layers(ctx: CanvasRenderingContext2D, visible: Box, level: number): void {
    const nodes = tree(this.document.layers)
    if (nodes.every(({ layer }) => layer.blend === 'normal')) {
      for (const node of nodes) this.#node(ctx, node, visible, level, 0)
      return
    }
    const sheet = this.#sheet(ctx, 0)
    for (const node of nodes) this.#node(sheet, node, visible, level, 1)
    ctx.drawImage(sheet.canvas, 0, 0)
  }

  /** A layer or a group; one that is not just laid over what is there comes by way of a sheet. */
  #node(ctx: Context, { layer, inside }: Node, visible: Box, level: number, depth: number): void {
    if (!isShown(layer)) return
    const provisional = this.#past === null ? this.provisionals.of(layer.id) : []
    const live = this.#past === null && this.live?.layer === layer.id ? this.live : null
    const erased = live?.mode === 'erase' || provisional.some((item) => item.mode === 'erase')
    const holds = this.#past === null ? this.#held(layer.id, visible, level) : []
    const apart = holds.length > 0 || layer.group || erased || layer.opacity < 1 || layer.blend !== 'normal'
    const target = apart ? this.#sheet(ctx, depth) : ctx
    if (layer.group) for (const node of inside) this.#node(target, node, visible, level, depth + 1)
    else if (holds.every(({ lifted }) => lifted.hole !== null)) for (const [tx, ty] of tilesOf(visible, level)) this.#slot(target, layer.id, level, tx, ty, provisional)
    for (const hold of holds) this.#hold(target, hold)
    if (live !== null) this.#live(target, live)
    if (target === ctx) return
    ctx.globalAlpha = layer.opacity
    ctx.globalCompositeOperation = BLENDS[layer.blend]
    ctx.drawImage(target.canvas, 0, 0)
    ctx.globalCompositeOperation = 'source-over'
    ctx.globalAlpha = 1
  }

  /** What is held of a layer; pixels that were put down until their tiles are here. */
  #held(layer: string, visible: Box, level: number): Hold[] {
    const left = this.holds.of(layer).filter(([key, { seq }]) => {
      if (seq === null) return true
      if (!this.#isHere(layer, visible, level)) return !(this.complete = false)
      this.holds.drop(key)
      queueMicrotask(this.landed)
      return false
    })
    return left.map(([, hold]) => hold)
  }

  #isHere(layer: string, visible: Box, level: number): boolean {
    return tilesOf(visible, level).every(([tx, ty]) => {
      const url = this.#url(layer, level, tx, ty)
      return url === '' || this.tiles.get(url) !== undefined
    })
  }

  /** Held pixels where they are held; where they were there is nothing. */
  #hold(ctx: Context, { lifted: { box, image, hole }, matrix }: Hold): void {
    const { scale, x, y, dpr } = this.view
    const size = [box[0], box[1], box[2] - box[0], box[3] - box[1]] as const
    ctx.save()
    ctx.imageSmoothingQuality = 'high'
    if (hole !== null) {
      ctx.globalCompositeOperation = 'destination-out'
      ctx.drawImage(hole, ...this.#device(box))
      ctx.globalCompositeOperation = 'source-over'
    }
    ctx.setTransform(scale * dpr, 0, 0, scale * dpr, x * dpr, y * dpr)
    ctx.transform(...matrix)
    ctx.drawImage(image, ...size)
    ctx.restore()
  }

  #slot(ctx: Context, layer: string, level: number, tx: number, ty: number, provisional: Provisional[]): void {
    const id = `${layer}/${level}/${tx}/${ty}`
    const box = tileBox(tx, ty, level)
    const url = this.#url(layer, level, tx, ty)
    const seq = this.document.seqAt(layer, level, tx, ty)
    const bitmap = url === '' ? undefined : this.tiles.get(url)
    if (url === '' || bitmap !== undefined) this.#shown.set(id, { url, seq })
    else this.complete = false
    const shown = this.#shown.get(id)
    const image = bitmap ?? (shown !== undefined && shown.url !== '' ? this.tiles.get(shown.url) : undefined)
    if (image !== undefined) ctx.drawImage(image, ...this.#device(box))
    else if (url !== '' && shown === undefined) this.#standIn(ctx, layer, level, tx, ty)
    for (const item of provisional) {
      if (item.seq !== null && shown !== undefined && shown.seq >= item.seq) continue
      if (!overlaps(item.box, box)) continue
      ctx.globalCompositeOperation = item.mode === 'erase' ? 'destination-out' : 'source-over'
      drawInSlot(ctx, this.view, item.image, item.box, box)
      ctx.globalCompositeOperation = 'source-over'
    }
  }

  /** A coarser or finer tile that is there already, until the right one is. */
  #standIn(ctx: Context, layer: string, level: number, tx: number, ty: number): void {
    const box = tileBox(tx, ty, level)
    for (let up = level + 1; up <= Math.min(MAX_MIP, level + 4); up++) {
      const shift = up - level
      const shown = this.#shown.get(`${layer}/${up}/${tx >> shift}/${ty >> shift}`)
      const image = shown === undefined || shown.url === '' ? undefined : this.tiles.peek(shown.url)
      if (image === undefined) continue
      const side = image.width / 2 ** shift
      const mask = 2 ** shift - 1
      ctx.drawImage(image, (tx & mask) * side, (ty & mask) * side, side, side, ...this.#device(box))
      return
    }
    if (level === 0) return
    for (let y = ty * 2; y < ty * 2 + 2; y++) {
      for (let x = tx * 2; x < tx * 2 + 2; x++) {
        const shown = this.#shown.get(`${layer}/${level - 1}/${x}/${y}`)
        const image = shown === undefined || shown.url === '' ? undefined : this.tiles.peek(shown.url)
        if (image !== undefined) ctx.drawImage(image, ...this.#device(tileBox(x, y, level - 1)))
      }
    }
  }

  #live(ctx: Context, { path, color, opacity, mode, cut }: LiveStroke): void {
    const { scale, x, y, dpr } = this.view
    const sheet = cut === null ? ctx : this.#sheet(ctx, CUT_SHEET)
    ctx.save()
    ctx.globalAlpha = opacity
    ctx.globalCompositeOperation = mode === 'erase' ? 'destination-out' : 'source-over'
    sheet.fillStyle = color
    sheet.setTransform(scale * dpr, 0, 0, scale * dpr, x * dpr, y * dpr)
    sheet.fill(path)
    if (cut !== null) {
      sheet.setTransform(1, 0, 0, 1, 0, 0)
      sheet.globalCompositeOperation = 'destination-in'
      sheet.drawImage(cut.image, ...this.#device(cut.box))
      sheet.globalCompositeOperation = 'source-over'
      ctx.drawImage(sheet.canvas, 0, 0)
    }
    ctx.restore()
  }

  /** Provisionals whose tiles are all on the screen have done their work. */
  #forget(visible: Box, level: number): void {
    for (const item of this.provisionals.all()) {
      const { seq } = item
      if (seq === null) continue
      const waiting = tilesOf(intersect(item.box, visible), level).some(([tx, ty]) => {
        const shown = this.#shown.get(`${item.layer}/${level}/${tx}/${ty}`)
        const isIn = this.document.seqAt(item.layer, level, tx, ty) >= seq // a stroke may leave a tile of its box alone
        return isIn && (shown === undefined || shown.seq < seq)
      })
      if (!waiting) this.provisionals.drop(item.key)
    }
  }

  /** An empty canvas of the target's size. */
  #sheet(ctx: Context, depth: number): OffscreenCanvasRenderingContext2D {
    const { width, height } = ctx.canvas
    const canvas = (this.#sheets[depth] ??= new OffscreenCanvas(width, height))
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width
      canvas.height = height
    }
    const sheet = canvas.getContext('2d')
    if (sheet === null) throw new Error('this browser has no 2D canvas')
    sheet.clearRect(0, 0, width, height)
    sheet.imageSmoothingEnabled = ctx.imageSmoothingEnabled
    return sheet
  }

  #checkerboard(ctx: CanvasRenderingContext2D): void {
    const colors = this.theme.checkA + this.theme.checkB
    if (this.#check === null || this.#checkColors !== colors) {
      const tile = new OffscreenCanvas(16, 16)
      const c = tile.getContext('2d')
      if (c === null) return
      c.fillStyle = this.theme.checkA
      c.fillRect(0, 0, 16, 16)
      c.fillStyle = this.theme.checkB
      c.fillRect(0, 0, 8, 8)
      c.fillRect(8, 8, 8, 8)
      this.#check = ctx.createPattern(tile, 'repeat')
      this.#checkColors = colors
    }
    if (this.#check === null) return
    ctx.fillStyle = this.#check
    ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height)
  }

  #device(box: Box): [x: number, y: number, w: number, h: number] {
    return onDevice(this.view, box)
  }
}
