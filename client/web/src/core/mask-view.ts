// How a mask looks: its tiles tinted and outlined, each made when it is first seen and kept until it changes.
import { TILE, type Box } from '../protocol/types'
import { grow, overlaps, tileBox } from '../protocol/geometry'
import { parseColor } from './brush'
import { contour } from './contour'
import type { Mask, MaskTile } from './mask'

interface Look {
  /** Null where the whole tile is masked. */
  image: OffscreenCanvas | null
  color: string
}

export class MaskView {
  readonly #looks = new Map<MaskTile, Look>()
  readonly #edges = new Map<MaskTile, Path2D | null>()

  constructor(
    private readonly mask: Mask,
    private readonly tint: number,
  ) {
    mask.on('change', (box) => this.#changed(box))
  }

  draw(ctx: CanvasRenderingContext2D, color: string, visible: Box, crisp: boolean): void {
    const smoothing = ctx.imageSmoothingEnabled
    ctx.imageSmoothingEnabled = !crisp
    ctx.fillStyle = `rgb(${parseColor(color).join(' ')} / ${this.tint})`
    for (const tile of this.#seen(visible)) {
      const { image } = this.#look(tile, color)
      if (image === null) ctx.fillRect(tile.tx * TILE, tile.ty * TILE, TILE, TILE)
      else ctx.drawImage(image, tile.tx * TILE, tile.ty * TILE)
    }
    ctx.imageSmoothingEnabled = smoothing
  }

  /** The outline's parts. */
  *edges(visible: Box): Generator<Path2D> {
    for (const tile of this.#seen(visible)) {
      let edge = this.#edges.get(tile)
      if (edge === undefined) this.#edges.set(tile, (edge = this.#trace(tile)))
      if (edge !== null) yield edge
    }
  }

  *#seen(visible: Box): Generator<MaskTile> {
    for (const tile of this.mask.tiles.values()) if (overlaps(tileBox(tile.tx, tile.ty), visible)) yield tile
  }

  #look(tile: MaskTile, color: string): Look {
    let look = this.#looks.get(tile)
    if (look === undefined || look.color !== color) {
      const full = tile.data.every((value) => value === 255)
      look = { image: full ? null : tinted(tile.data, color, this.tint), color }
      this.#looks.set(tile, look)
    }
    return look
  }

  #trace({ tx, ty, data }: MaskTile): Path2D | null {
    const lines = contour({ box: tileBox(tx, ty), data }, (x, y) => this.mask.at(x, y))
    if (lines.length === 0) return null
    const path = new Path2D()
    for (const { points, closed } of lines) {
      points.forEach((p, i) => (i === 0 ? path.moveTo(p.x, p.y) : path.lineTo(p.x, p.y)))
      if (closed) path.closePath()
    }
    return path
  }

  #changed(box: Box | null): void {
    const forget = (cache: Map<MaskTile, unknown>, reach: number): void => {
      for (const tile of cache.keys()) {
        const gone = this.mask.tiles.get(`${tile.tx},${tile.ty}`) !== tile
        if (gone || box === null || overlaps(tileBox(tile.tx, tile.ty), grow(box, reach))) cache.delete(tile)
      }
    }
    forget(this.#looks, 0)
    forget(this.#edges, 1)
  }
}

function tinted(data: Uint8Array, color: string, tint: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(TILE, TILE)
  const image = new ImageData(TILE, TILE)
  const [r, g, b] = parseColor(color)
  for (let i = 0, j = 0; i < data.length; i++, j += 4) {
    const a = data[i]!
    if (a === 0) continue
    image.data[j] = r
    image.data[j + 1] = g
    image.data[j + 2] = b
    image.data[j + 3] = a * tint
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0)
  return canvas
}
