// The frame loop: draws only what is dirty, marches the mask's edge, and glides the cursors.
import type { Overlay } from '../core/overlay'
import type { Picture } from '../core/picture'

const MARCH_MS = 110

export interface LoopParts {
  picture: Picture
  overlay: Overlay
  /** Whether anything dashed is on the screen. */
  marches(): boolean
  glide(now: number): boolean
  /** Sends what is due 30 times a second; true while something is held back. */
  tick(now: number): boolean
  drawn(): void
}

export class Loop {
  #picture: CanvasRenderingContext2D | null = null
  #overlay: CanvasRenderingContext2D | null = null
  #pictureDirty = true
  #overlayDirty = true
  #frame = 0
  #marched = 0
  readonly #calm = typeof matchMedia === 'undefined' ? null : matchMedia('(prefers-reduced-motion: reduce)')
  readonly #timer: ReturnType<typeof setInterval>
  frames = 0

  constructor(private readonly parts: LoopParts) {
    this.#timer = setInterval(() => {
      if (this.parts.marches() && this.#calm?.matches !== true) this.dirty('overlay')
    }, MARCH_MS)
  }

  /** Nothing has changed since the picture was last drawn. */
  get drawn(): boolean {
    return !this.#pictureDirty
  }

  attach(picture: HTMLCanvasElement, overlay: HTMLCanvasElement): void {
    this.#picture = picture.getContext('2d', { alpha: false })
    this.#overlay = overlay.getContext('2d')
    this.dirty('picture')
    this.dirty('overlay')
  }

  stop(): void {
    clearInterval(this.#timer)
    cancelAnimationFrame(this.#frame)
  }

  dirty(what: 'picture' | 'overlay'): void {
    if (what === 'picture') this.#pictureDirty = true
    else this.#overlayDirty = true
    this.wake()
  }

  wake(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((now) => this.#step(now))
  }

  #step(now: number): void {
    this.#frame = 0
    const held = this.parts.tick(now)
    if (now - this.#marched > MARCH_MS && this.#calm?.matches !== true) {
      this.#marched = now
      this.parts.overlay.phase = (this.parts.overlay.phase - 1.5) % 1000
    }
    if (this.#pictureDirty && this.#picture !== null) {
      this.#pictureDirty = false
      this.parts.picture.draw(this.#picture)
      this.frames++
      this.parts.drawn()
    }
    if (this.#overlayDirty && this.#overlay !== null) {
      this.#overlayDirty = false
      this.parts.overlay.draw(this.#overlay)
    }
    if (this.parts.glide(now) || held) this.wake()
  }
}
