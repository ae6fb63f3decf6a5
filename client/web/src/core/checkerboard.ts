// The checkerboard that is seen where the picture is transparent; its squares stay as they are at any zoom.

const SQUARE = 8

export class Checkerboard {
  #pattern: CanvasPattern | null = null
  #colors = ''

  draw(ctx: CanvasRenderingContext2D, a: string, b: string): void {
    if (this.#pattern === null || this.#colors !== a + b) {
      this.#pattern = patternOf(ctx, a, b)
      this.#colors = a + b
    }
    if (this.#pattern === null) return
    ctx.fillStyle = this.#pattern
    ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height)
  }
}

function patternOf(ctx: CanvasRenderingContext2D, a: string, b: string): CanvasPattern | null {
  const tile = new OffscreenCanvas(2 * SQUARE, 2 * SQUARE)
  const c = tile.getContext('2d')
  if (c === null) return null
  c.fillStyle = a
  c.fillRect(0, 0, 2 * SQUARE, 2 * SQUARE)
  c.fillStyle = b
  c.fillRect(0, 0, SQUARE, SQUARE)
  c.fillRect(SQUARE, SQUARE, SQUARE, SQUARE)
  return ctx.createPattern(tile, 'repeat')
}
