// Draws the picture: checkerboard, layers and groups with what is held or drawn in them, results.
import { MAX_MIP, type Box, type Layer } from '../protocol/types'
import { intersect, isEmpty, overlaps, tilesOf } from '../protocol/geometry'
import { isShown, tree, type Node } from '../protocol/stack'
import { Checkerboard } from './checkerboard'
import { drawHold, Holds, type Hold } from './holds'
import { drawStroke, type LiveStroke } from './live-stroke'
import { drawOverSlots, onDevice, type Context } from './placing'
import type { Provisionals } from './provisional'
import type { Results, Shown } from './results'
import { Sheets } from './sheets'
import type { Slots } from './slots'
import type { View } from './view'

export interface Theme {
  surround: string
  checkA: string
  checkB: string
}

const BLENDS: Record<Layer['blend'], GlobalCompositeOperation> = { normal: 'source-over', multiply: 'multiply', screen: 'screen', overlay: 'overlay' }

/** Beside those of groups, which are nested less deep. */
const CUT_SHEET = 16

/** An earlier canvas is shown without the strokes, held pixels and results of today. */
export class Picture {
  live: LiveStroke | null = null
  theme: Theme = { surround: '#1d1c1a', checkA: '#fff', checkB: '#ddd' }
  readonly holds = new Holds()
  /** Pixels that were put down are on the screen as tiles. */
  landed: () => void = () => undefined
  /** By how deep in groups they are used. */
  readonly #sheets = new Sheets()
  readonly #checkerboard = new Checkerboard()

  constructor(
    private readonly slots: Slots,
    private readonly provisionals: Provisionals,
    private readonly results: Results,
    private readonly view: View,
  ) {}

  /** True when the last frame showed every visible tile at its current name. */
  get complete(): boolean {
    return this.slots.complete
  }

  draw(ctx: CanvasRenderingContext2D): void {
    const { view, slots } = this
    const { canvas } = slots.document
    ctx.setTransform(1, 0, 0, 1, 0, 0)
    ctx.fillStyle = this.theme.surround
    ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height)
    const bounds: Box = [0, 0, canvas.width, canvas.height]
    const visible = intersect(view.visible(), bounds)
    slots.complete = true
    if (isEmpty(visible)) return
    const level = view.level(MAX_MIP)
    slots.want(slots.isNow ? this.results.wanted(visible, view.scale * view.dpr) : [], visible, bounds, level)
    ctx.save()
    ctx.beginPath()
    ctx.rect(...onDevice(view, bounds))
    ctx.clip()
    this.#checkerboard.draw(ctx, this.theme.checkA, this.theme.checkB)
    ctx.imageSmoothingEnabled = view.scale * view.dpr < 2
    ctx.imageSmoothingQuality = 'low'
    this.#layers(ctx, visible, level)
    for (const shown of slots.isNow ? this.results.shown() : []) {
      if (!overlaps(shown.box, visible)) continue
      this.#result(ctx, shown, visible, level)
      this.results.drawn(shown)
    }
    ctx.restore()
    if (slots.isNow) this.#forget(visible, level)
  }

  /** A result, left out where a sharper part of it is drawn: drawn twice, its soft edge would be too dense. */
  #result(ctx: CanvasRenderingContext2D, shown: Shown, visible: Box, level: number): void {
    ctx.save()
    if (shown.except.length > 0) {
      const clip = new Path2D()
      clip.rect(...onDevice(this.view, shown.box))
      for (const box of shown.except) clip.rect(...onDevice(this.view, box))
      ctx.clip(clip, 'evenodd')
    }
    drawOverSlots(ctx, this.view, shown.image, shown.box, visible, level)
    ctx.restore()
  }

  /** All layers. Where one is blended they meet on a sheet of their own, so that none is blended with the checkerboard. */
  #layers(ctx: CanvasRenderingContext2D, visible: Box, level: number): void {
    const nodes = tree(this.slots.document.layers)
    if (nodes.every(({ layer }) => layer.blend === 'normal')) {
      for (const node of nodes) this.#node(ctx, node, visible, level, 0)
      return
    }
    const sheet = this.#sheets.get(ctx, 0)
    for (const node of nodes) this.#node(sheet, node, visible, level, 1)
    ctx.drawImage(sheet.canvas, 0, 0)
  }

  /** A layer or a group; one that is not just laid over what is there comes by way of a sheet. */
  #node(ctx: Context, { layer, inside }: Node, visible: Box, level: number, depth: number): void {
    if (!isShown(layer)) return
    const { isNow } = this.slots
    const provisional = isNow ? this.provisionals.of(layer.id) : []
    const live = isNow && this.live?.layer === layer.id ? this.live : null
    const erased = live?.mode === 'erase' || provisional.some((item) => item.mode === 'erase')
    const holds = isNow ? this.#held(layer.id, visible, level) : []
    const apart = holds.length > 0 || layer.group || erased || layer.opacity < 1 || layer.blend !== 'normal'
    const target = apart ? this.#sheets.get(ctx, depth) : ctx
    if (layer.group) for (const node of inside) this.#node(target, node, visible, level, depth + 1)
    else if (holds.every(({ lifted }) => lifted.hole !== null)) for (const place of tilesOf(visible, level)) this.slots.draw(target, layer.id, level, place, provisional)
    for (const hold of holds) drawHold(target, this.view, hold)
    if (live !== null) drawStroke(target, this.view, live, () => this.#sheets.get(target, CUT_SHEET))
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
      if (!this.slots.isHere(layer, visible, level)) return !(this.slots.complete = false)
      this.holds.drop(key)
      queueMicrotask(this.landed)
      return false
    })
    return left.map(([, hold]) => hold)
  }

  /** Provisionals whose tiles are all on the screen have done their work. */
  #forget(visible: Box, level: number): void {
    for (const { key, layer, box, seq } of this.provisionals.all()) {
      if (seq !== null && !this.slots.lacks(layer, intersect(box, visible), level, seq)) this.provisionals.drop(key)
    }
  }
}
