// The selected part of the picture as a PNG on the clipboard: as everybody sees it, soft where the mask is.
import type { Mask } from '../core/mask'
import { height, width } from '../protocol/geometry'
import { exportPng } from '../net/api'

/** Must be called in the gesture itself: the picture may come later, the clipboard is asked at once. */
export function copyOut(canvas: string, mask: Mask): Promise<void> {
  const box = mask.box()
  if (box === null) return Promise.resolve()
  const selected = mask.crop(box)
  const picture = (async () => {
    const image = await createImageBitmap(await exportPng(canvas, box))
    const sheet = new OffscreenCanvas(width(box), height(box))
    const ctx = sheet.getContext('2d')
    if (ctx === null) throw new Error('this browser has no 2D canvas')
    const stencil = new ImageData(width(box), height(box))
    for (let i = 0; i < selected.data.length; i++) stencil.data[i * 4 + 3] = selected.data[i]!
    ctx.putImageData(stencil, 0, 0)
    ctx.globalCompositeOperation = 'source-in'
    ctx.drawImage(image, 0, 0)
    return sheet.convertToBlob({ type: 'image/png' })
  })()
  return navigator.clipboard.write([new ClipboardItem({ 'image/png': picture })])
}
