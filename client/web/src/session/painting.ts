// Finished strokes become paint ops, shown at once and replaced by the server's tiles when they come (R2, C11).
import { INLINE, type Box, type Op, type OpId } from '../protocol/types'
import { height, width, type Point } from '../protocol/geometry'
import { opKey } from '../protocol/codec'
import { patches, type Brush, type Patch } from '../core/brush'
import type { Mask } from '../core/mask'
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

  /** Queues the ops of a stroke, undone as one (C3); how many there are. */
  paint(stroke: Finished, layer: string, within: Box, mask: Mask | null): number {
    const found = patches(stroke.outline, stroke.brush, within, mask)
    let group: number | null = null
    for (const patch of found) {
      const op = this.sender.nextId()
      if (found.length > 1) group ??= op[1]
      this.#lay(op, patch, layer, stroke.mode, group)
    }
    return found.length
  }

  #lay(op: OpId, { box, data }: Patch, layer: string, mode: 'over' | 'erase', group: number | null): void {
    const [w, h] = [width(box), height(box)]
    this.provisionals.add({ key: opKey(op), layer, box, image: toCanvas(box, data), mode, seq: null })
    void this.sender.push(async () => {
      const png = await encodePng({ width: w, height: h, channels: 4, data })
      const message: Op = { t: 'paint', op, layer, box, mode, group }
      if (png.length <= INLINE) return { op: { ...message, png } }
      return { op: message, upload: { bytes: png, field: 'blob' } }
    })
  }
}

function toCanvas(box: Box, data: Uint8Array): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width(box), height(box))
  const pixels = new ImageData(new Uint8ClampedArray(data), width(box), height(box))
  canvas.getContext('2d')?.putImageData(pixels, 0, 0)
  return canvas
}
