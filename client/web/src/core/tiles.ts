// Fetches tile bitmaps by content name: nearest to the centre first, a few at a time, kept by bytes (LRU).
import { Emitter } from './emitter'

export interface Wanted {
  /** The address that answers with exactly these bytes for ever; also the cache key. */
  url: string
  /** Smaller is fetched sooner. */
  priority: number
}

type Fetcher = (url: string, signal: AbortSignal) => Promise<ImageBitmap>

export interface TileOptions {
  parallel?: number
  budgetBytes?: number
  fetcher?: Fetcher
  now?: () => number
}

interface Failure {
  times: number
  until: number
}

export class Gone extends Error {}

export class TileStore extends Emitter<{ loaded: string; missing: string; idle: null }> {
  readonly #bitmaps = new Map<string, ImageBitmap>()
  readonly #inFlight = new Map<string, AbortController>()
  readonly #failed = new Map<string, Failure>()
  #wanted: Wanted[] = []
  #bytes = 0
  readonly #parallel: number
  readonly #budget: number
  readonly #fetch: Fetcher
  readonly #now: () => number

  constructor(options: TileOptions = {}) {
    super()
    this.#parallel = options.parallel ?? 8
    this.#budget = options.budgetBytes ?? 256 * 2 ** 20
    this.#fetch = options.fetcher ?? fetchBitmap
    this.#now = options.now ?? (() => performance.now())
  }

  get bytes(): number {
    return this.#bytes
  }

  get busy(): boolean {
    return this.#inFlight.size > 0
  }

  get(url: string): ImageBitmap | undefined {
    const bitmap = this.#bitmaps.get(url)
    if (bitmap === undefined) return undefined
    this.#bitmaps.delete(url)
    this.#bitmaps.set(url, bitmap)
    return bitmap
  }

  /** Like get, without counting as a use. */
  peek(url: string): ImageBitmap | undefined {
    return this.#bitmaps.get(url)
  }

  /** Replaces the list of what is wanted now; what is no longer wanted and not yet finished is given up. */
  want(list: Wanted[]): void {
    this.#wanted = list.filter((item) => !this.#bitmaps.has(item.url)).sort((a, b) => a.priority - b.priority)
    const urls = new Set(this.#wanted.map((item) => item.url))
    for (const [url, controller] of this.#inFlight) if (!urls.has(url)) controller.abort()
    this.#pump()
  }

  /** Wanted at once, before the next frame says what is. */
  hurry(urls: readonly string[]): void {
    this.#wanted = [...urls.map((url) => ({ url, priority: -Infinity })), ...this.#wanted]
    this.#pump()
  }

  /** The bytes of an address have come some other way: they are not fetched any more. */
  give(url: string, bytes: Uint8Array): void {
    if (!this.#bitmaps.has(url) && !this.#inFlight.has(url)) void this.#load(url, () => bitmapOf(new Blob([bytes.slice()])))
  }

  /** A tile at once, whatever is wanted for the screen. */
  async fetched(url: string): Promise<ImageBitmap> {
    const known = this.get(url)
    if (known !== undefined) return known
    const bitmap = await this.#fetch(url, new AbortController().signal)
    this.put(url, bitmap)
    return bitmap
  }

  put(url: string, bitmap: ImageBitmap): void {
    if (this.#bitmaps.has(url)) return
    this.#bitmaps.set(url, bitmap)
    this.#bytes += bitmap.width * bitmap.height * 4
    for (const [oldest, old] of this.#bitmaps) {
      if (this.#bytes <= this.#budget || oldest === url) break
      this.#bitmaps.delete(oldest)
      this.#bytes -= old.width * old.height * 4
      old.close()
    }
  }

  clear(): void {
    for (const controller of this.#inFlight.values()) controller.abort()
    for (const bitmap of this.#bitmaps.values()) bitmap.close()
    this.#bitmaps.clear()
    this.#bytes = 0
  }

  #pump(): void {
    const now = this.#now()
    for (const { url } of this.#wanted) {
      if (this.#inFlight.size >= this.#parallel) return
      if (this.#inFlight.has(url) || this.#bitmaps.has(url)) continue
      if ((this.#failed.get(url)?.until ?? 0) > now) continue
      void this.#load(url)
    }
    if (this.#inFlight.size === 0) this.emit('idle', null)
  }

  async #load(url: string, from: Fetcher = this.#fetch): Promise<void> {
    const controller = new AbortController()
    this.#inFlight.set(url, controller)
    try {
      const bitmap = await from(url, controller.signal)
      this.#failed.delete(url)
      this.put(url, bitmap)
      this.emit('loaded', url)
    } catch (error) {
      if (controller.signal.aborted) return
      const times = (this.#failed.get(url)?.times ?? 0) + 1
      const wait = Math.min(30_000, 250 * 2 ** times)
      this.#failed.set(url, { times, until: this.#now() + wait })
      if (error instanceof Gone) this.emit('missing', url)
      setTimeout(() => this.#pump(), wait + 5)
    } finally {
      this.#inFlight.delete(url)
      this.#pump()
    }
  }
}

async function fetchBitmap(url: string, signal: AbortSignal): Promise<ImageBitmap> {
  const response = await fetch(url, { signal, credentials: 'same-origin' })
  if (response.status === 404 || response.status === 409) throw new Gone(url)
  if (!response.ok) throw new Error(`${response.status} for ${url}`)
  return bitmapOf(await response.blob())
}

function bitmapOf(bytes: Blob): Promise<ImageBitmap> {
  return createImageBitmap(bytes, { premultiplyAlpha: 'premultiply', colorSpaceConversion: 'none' })
}
