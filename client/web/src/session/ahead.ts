// Tells the engines of a mask that is ready, so that an idle one prepares while the prompt is typed (E9).
import { INLINE } from '../protocol/types'
import type { Mask } from '../core/mask'
import type { MaskCopier } from '../core/mask-copy'
import type { Tools } from '../core/tools'
import type { Connection } from '../net/connection'

/** After a change that is no stroke, e.g. an undo: another may follow. */
const REST_MS = 200

export interface Foretelling {
  connection: Pick<Connection, 'sendVolatile'>
  tools: Tools
  mask: Mask
  copier: MaskCopier
  silent(): boolean
  /** Of the edit that may come. */
  model(): string | null
}

/** From now on, whenever the mask rests; what it answers is to be called when something else of the wish changed. */
export function foretell({ connection, tools, mask, copier, silent, model }: Foretelling): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const soon = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void tell(), ms)
  }
  const tell = async (): Promise<void> => {
    const copy = copier.copy()
    if (copy === null || tools.drawing || silent()) return
    const png = await copy.png
    // what is too large to travel in a message is prepared by nobody; what has changed meanwhile is told anew
    if (png.length <= INLINE && copy === copier.copy()) connection.sendVolatile({ t: 'prepare', box: copy.coverage.box, png, model: model() })
  }
  tools.on('masked', () => soon(0))
  mask.on('change', () => soon(REST_MS))
  return () => soon(REST_MS)
}
