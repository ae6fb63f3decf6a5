// Empty canvases of a target's size, kept: what is not just laid over the picture is drawn on one first.
import type { Context } from './placing'

export class Sheets {
  readonly #kept: OffscreenCanvas[] = []

  /** The sheet of a number, empty. */
  get(ctx: Context, number: number): OffscreenCanvasRenderingContext2D {
    const { width, height } = ctx.canvas
    const canvas = (this.#kept[number] ??= new OffscreenCanvas(width, height))
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width
      canvas.height = height
    }
    const sheet = canvas.getContext('2d')
    if (sheet === null) throw new Error('this browser has no 2D canvas')
    sheet.setTransform(1, 0, 0, 1, 0, 0)
    sheet.clearRect(0, 0, width, height)
    sheet.imageSmoothingEnabled = ctx.imageSmoothingEnabled
    return sheet
  }
}
