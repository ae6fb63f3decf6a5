// Pictures that are being brought in: client-side upload first, then the server cutting them into tiles.
import type { ImportProgress, OpId } from '../protocol/types'
import { opKey } from '../protocol/codec'
import type { Point } from '../protocol/geometry'
import { Emitter } from '../core/emitter'
import { type Imported, isOpenRaster, isTaken, type Placement, upload } from '../net/upload'

export interface ImportView {
  key: string
  name: string
  phase: 'upload' | 'tiles'
  /** 0…1 */
  part: number
}

/** What came in, and the op that brought it. */
export interface Brought extends Imported {
  op: OpId
}

export class Imports extends Emitter<{ change: ImportView[]; failed: string }> {
  readonly #running = new Map<string, ImportView>()

  constructor(
    private readonly canvas: string,
    private readonly nextId: () => OpId,
  ) {
    super()
  }

  list(): ImportView[] {
    return [...this.#running.values()]
  }

  receive(message: ImportProgress): void {
    const item = this.#running.get(opKey(message.op))
    if (item === undefined) return
    this.#set({ ...item, phase: 'tiles', part: message.of === 0 ? 1 : message.done / message.of })
  }

  async bring(file: Blob, name: string, place: Omit<Placement, 'op' | 'name'>): Promise<Brought | null> {
    if (!isTaken(file, name)) {
      this.emit('failed', `${name} is not a JPEG, PNG or WebP picture, nor an OpenRaster file. The canvas is unchanged.`)
      return null
    }
    const op = this.nextId()
    const key = opKey(op)
    this.#set({ key, name, phase: 'upload', part: 0 })
    try {
      const imported = await upload(this.canvas, isOpenRaster(file, name) ? 'import.ora' : 'images', file, { ...place, op, name }, (part) => {
        const item = this.#running.get(key)
        if (item?.phase === 'upload') this.#set({ ...item, part })
      })
      return { ...imported, op }
    } catch (error) {
      this.emit('failed', `${name} was not added: ${error instanceof Error ? error.message : String(error)}`)
      return null
    } finally {
      this.#running.delete(key)
      this.emit('change', this.list())
    }
  }

  #set(item: ImportView): void {
    this.#running.set(item.key, item)
    this.emit('change', this.list())
  }
}

/** Where a picture's corner goes: centred on a point or on the canvas, never beyond the canvas's own corner. */
export async function placeFor(file: Blob, canvas: { width: number; height: number }, at: Point | null): Promise<Point> {
  const size = await sizeOf(file)
  if (size === null) return { x: 0, y: 0 }
  const centre = at ?? { x: canvas.width / 2, y: canvas.height / 2 }
  return { x: Math.max(0, Math.round(centre.x - size.width / 2)), y: Math.max(0, Math.round(centre.y - size.height / 2)) }
}

/** Upright size of a picture file, or null where the browser cannot read it (the server has the last word). */
async function sizeOf(file: Blob): Promise<{ width: number; height: number } | null> {
  const url = URL.createObjectURL(file)
  try {
    const image = new Image()
    image.src = url
    await image.decode()
    return { width: image.naturalWidth, height: image.naturalHeight }
  } catch {
    return null
  } finally {
    URL.revokeObjectURL(url)
  }
}
