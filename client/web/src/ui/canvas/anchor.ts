// Keeps a floating bar beside a box of the canvas, on the screen and clear of the edges.
import { computePosition, flip, offset, shift, size } from '@floating-ui/dom'
import type { Box } from '../../protocol/types'
import type { View } from '../../core/view'

export async function beside(bar: HTMLElement, box: Box, view: View): Promise<void> {
  if (view.screenWidth < 640) {
    // a phone has no room beside the mask: dock above the tools
    const x = (view.screenWidth - bar.offsetWidth) / 2
    bar.style.transform = `translate(${Math.round(x)}px, ${Math.round(view.screenHeight - view.insets.bottom - bar.offsetHeight)}px)`
    return
  }
  const at = view.boxToScreen(box)
  const left = Math.max(at.x, view.insets.left)
  const top = Math.max(at.y, view.insets.top)
  const right = Math.min(at.x + at.width, view.screenWidth - view.insets.right)
  const bottom = Math.min(at.y + at.height, view.screenHeight - view.insets.bottom)
  const rect = new DOMRect(left, top, Math.max(0, right - left), Math.max(0, bottom - top))
  const padding = { top: view.insets.top + 50, right: 12, bottom: Math.max(12, view.insets.bottom - 8), left: view.screenWidth < 640 ? 8 : 64 }
  const { x, y } = await computePosition({ getBoundingClientRect: () => rect }, bar, {
    strategy: 'fixed',
    placement: 'bottom',
    middleware: [offset(14), flip({ padding, fallbackPlacements: ['top', 'right', 'left'] }), shift({ padding, crossAxis: true }), size({ padding: 8 })],
  })
  bar.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`
}
