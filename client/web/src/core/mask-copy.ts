// The mask as an edit carries it: cropped and encoded once per change, for the edit and for who prepares for it.
import { height, width } from '../protocol/geometry'
import type { Mask } from './mask'
import { encodePng } from './png'
import type { Coverage } from './raster'

export interface MaskCopy {
  coverage: Coverage
  /** Gray, of exactly the coverage's box. */
  png: Promise<Uint8Array>
}

export class MaskCopier {
  #newest: MaskCopy | null = null

  constructor(private readonly mask: Mask) {
    mask.on('change', () => (this.#newest = null))
  }

  /** What is masked now; null for nothing. */
  copy(): MaskCopy | null {
    const box = this.mask.box()
    if (box === null) return null
    if (this.#newest === null) {
      const coverage = this.mask.crop(box)
      this.#newest = { coverage, png: encodeMask(coverage) }
    }
    return this.#newest
  }
}

export function encodeMask({ box, data }: Coverage): Promise<Uint8Array> {
  return encodePng({ width: width(box), height: height(box), channels: 1, data })
}
