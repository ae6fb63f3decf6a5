// Pointers, wheel and touch to tool strokes and camera moves: palm rejection, pinch, two- and three-finger taps.
import type { Point } from '../protocol/geometry'
import type { Sample } from './brush'
import type { View } from './view'

export interface Modifiers {
  alt: boolean
  shift: boolean
}

/** What the input drives: the tool in hand. */
export interface StrokeTarget {
  /** Whether the tool in hand only moves the camera. */
  readonly pans: boolean
  /** Whether two fingers pull what the tool holds, instead of the camera. */
  readonly pinches: boolean
  down(sample: Sample, modifiers: Modifiers, isTouch: boolean): void
  move(samples: Sample[], modifiers: Modifiers): void
  up(modifiers: Modifiers): void
  /** The stroke was none after all (a second finger came down): leave no trace. */
  abort(): void
  hover(at: Point | null, modifiers: Modifiers): void
  /** Two fingers went from one pair of canvas points to another; then they let go. */
  pinch(from: readonly [Point, Point], to: readonly [Point, Point]): void
  pinched(): void
  undo(): void
  redo(): void
}

interface Finger {
  start: Point
  now: Point
}

const TAP_MS = 260
const TAP_SLOP = 14

export class Input {
  spaceHeld = false
  #penSeen = false
  #drawing: number | null = null
  #panning: { id: number; last: Point } | null = null
  readonly #fingers = new Map<number, Finger>()
  #gesture: { began: number; most: number; moved: boolean } | null = null
  #element: HTMLElement | null = null

  constructor(
    private readonly view: View,
    private readonly target: StrokeTarget,
  ) {}

  /** Starts listening; the answer stops. */
  attach(element: HTMLElement): () => void {
    this.#element = element
    const stop = new AbortController()
    const options = { signal: stop.signal }
    element.addEventListener('pointerdown', (e) => this.#down(e), options)
    element.addEventListener('pointermove', (e) => this.#move(e), options)
    element.addEventListener('pointerup', (e) => this.#up(e, false), options)
    element.addEventListener('pointercancel', (e) => this.#up(e, true), options)
    element.addEventListener('pointerleave', () => this.target.hover(null, { alt: false, shift: false }), options)
    element.addEventListener('wheel', (e) => this.#wheel(e), { ...options, passive: false })
    element.addEventListener('contextmenu', (e) => e.preventDefault(), options)
    return () => stop.abort()
  }

  #point(event: MouseEvent): Point {
    const rect = this.#element?.getBoundingClientRect()
    return { x: event.clientX - (rect?.left ?? 0), y: event.clientY - (rect?.top ?? 0) }
  }

  #sample(event: PointerEvent): Sample {
    const at = this.view.toCanvas(this.#point(event))
    return { ...at, pressure: event.pointerType === 'pen' ? event.pressure : 0.5 }
  }

  #down(event: PointerEvent): void {
    event.preventDefault()
    // no mouse events follow, so the focus would stay in a field and keep the shortcuts to itself
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
    this.#element?.setPointerCapture?.(event.pointerId)
    const at = this.#point(event)
    if (event.pointerType === 'pen') this.#penSeen = true
    if (event.pointerType === 'touch') {
      this.#fingers.set(event.pointerId, { start: at, now: at })
      this.#gesture ??= { began: event.timeStamp, most: 0, moved: false }
      this.#gesture.most = Math.max(this.#gesture.most, this.#fingers.size)
      if (this.#fingers.size > 1 || this.#penSeen || this.target.pans) {
        if (this.#drawing !== null) this.target.abort()
        this.#drawing = null
        return
      }
    } else if (event.button === 1 || this.spaceHeld || (event.button === 0 && this.target.pans)) {
      this.#panning = { id: event.pointerId, last: at }
      return
    } else if (event.button !== 0 && event.button !== 5) return
    this.#drawing = event.pointerId
    this.target.down(this.#sample(event), modifiers(event), event.pointerType === 'touch')
  }

  #move(event: PointerEvent): void {
    const at = this.#point(event)
    if (this.#panning?.id === event.pointerId) {
      this.view.pan(at.x - this.#panning.last.x, at.y - this.#panning.last.y)
      this.#panning.last = at
    } else if (this.#drawing === event.pointerId) {
      const events = event.getCoalescedEvents?.() ?? []
      this.target.move((events.length > 0 ? events : [event]).map((e) => this.#sample(e)), modifiers(event))
    } else if (this.#fingers.has(event.pointerId)) this.#finger(event.pointerId, at)
    const finger = this.#fingers.get(event.pointerId)
    if (finger !== undefined) {
      finger.now = at
      if (this.#gesture !== null && Math.hypot(at.x - finger.start.x, at.y - finger.start.y) > TAP_SLOP) this.#gesture.moved = true
    }
    this.target.hover(this.view.toCanvas(at), modifiers(event))
  }

  /** One finger pans (where it may not paint); two pan and zoom about their middle. */
  #finger(id: number, at: Point): void {
    const before = this.#fingers.get(id)?.now
    if (before === undefined) return
    const others = [...this.#fingers].filter(([other]) => other !== id).map(([, finger]) => finger.now)
    const other = others[0]
    if (other === undefined) {
      this.view.pan(at.x - before.x, at.y - before.y)
      return
    }
    if (this.target.pinches && !this.#penSeen) {
      const [from, still, to] = [before, other, at].map((p) => this.view.toCanvas(p)) as [Point, Point, Point]
      this.target.pinch([from, still], [to, still])
      return
    }
    const factor = Math.hypot(at.x - other.x, at.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y))
    this.view.zoomAt({ x: (before.x + other.x) / 2, y: (before.y + other.y) / 2 }, factor)
    this.view.pan((at.x - before.x) / 2, (at.y - before.y) / 2)
  }

  #up(event: PointerEvent, cancelled: boolean): void {
    if (this.#panning?.id === event.pointerId) this.#panning = null
    if (this.#drawing === event.pointerId) {
      this.#drawing = null
      if (cancelled) this.target.abort()
      else this.target.up(modifiers(event))
    }
    if (this.#fingers.delete(event.pointerId) && this.#fingers.size === 0) this.#endGesture(event.timeStamp)
  }

  /** Times are those of the fingers: a page that was busy meanwhile has not made a tap longer. */
  #endGesture(ended: number): void {
    const gesture = this.#gesture
    this.#gesture = null
    if (gesture !== null && gesture.most > 1 && gesture.moved && this.target.pinches) this.target.pinched()
    if (gesture === null || gesture.moved || ended - gesture.began > TAP_MS) return
    if (gesture.most === 2) this.target.undo()
    if (gesture.most === 3) this.target.redo()
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault()
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? this.view.screenHeight : 1
    if (event.ctrlKey || event.metaKey) {
      const step = Math.max(-80, Math.min(80, event.deltaY * unit))
      this.view.zoomAt(this.#point(event), Math.exp(-step * (event.deltaMode === 0 && Math.abs(event.deltaY) < 20 ? 0.012 : 0.004)))
    } else if (event.shiftKey && event.deltaX === 0) this.view.pan(-event.deltaY * unit, 0)
    else this.view.pan(-event.deltaX * unit, -event.deltaY * unit)
  }
}

function modifiers(event: MouseEvent): Modifiers {
  return { alt: event.altKey, shift: event.shiftKey }
}
