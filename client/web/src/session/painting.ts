// Finished strokes become paint ops, shown at once and replaced by the server's tiles when they come (R2, C11).
import { INLINE, type Box, type Op } from '../protocol/types'
import { height, width, type Point } from '../protocol/geometry'
import { opKey } from '../protocol/codec'
import { patches, type Brush, type Patch } from '../core/brush'
import { encodePng } from '../core/png'
import type { Provisionals } from '../core/provisional'
import type { Sender } from '../net/sender'

export interface Finished {
  outline: Point[]
  mode: 'over' | 'erase'
  brush: Brush
}

export class Painting {
  constructor(
    private readonly provisionals: Provisionals,
    private readonly sender: Sender,
  ) {}

  /** Queues the ops of a stroke; how many there are. */
  paint(stroke: Finished, layer: string, within: Box): number {
    const found = patches(stroke.outline, stroke.brush, within)
    for (const patch of found) this.#lay(patch, layer, stroke.mode)
    return found.length
  }

  #lay(patch: Patch, layer: string, mode: 'over' | 'erase'): void {
    const op = this.sender.nextId()
    const { box } = patch
    const [w, h] = [width(box), height(box)]
    this.provisionals.add({ key: opKey(op), layer, box, image: toCanvas(patch), imageWidth: w, imageHeight: h, mode, seq: null })
    void this.sender.push(async () => {
      const png = await encodePng({ width: w, height: h, channels: 4, data: patch.data })
      const message: Op = { t: 'paint', op, layer, box, mode }
      if (png.length <= INLINE) return { op: { ...message, png } }
      return { op: message, upload: { bytes: png, field: 'blob' } }
    })
  }
}

function toCanvas({ box, data }: Patch): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width(box), height(box))
  const pixels = new ImageData(new Uint8ClampedArray(data), width(box), height(box))
  canvas.getContext('2d')?.putImageData(pixels, 0, 0)
  return canvas
}
