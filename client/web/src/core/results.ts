// What running and staged jobs look like: previews clipped to their mask, variations, and when each was first drawn.
import type { Box, Job, Preview, Variation } from '../protocol/types'
import { height, overlaps, width } from '../protocol/geometry'
import type { Document } from './document'
import { TERMINAL } from './document'
import { Emitter } from './emitter'
import { decodeGray } from './png'
import type { TileStore } from './tiles'

export interface Shown {
  job: Job
  box: Box
  /** Boxes inside it where something sharper is drawn instead. */
  except: Box[]
  /** Of any size; it is stretched over the box. */
  image: CanvasImageSource
  full: boolean
}

interface Stencil {
  box: Box
  canvas: OffscreenCanvas
}

interface Running {
  preview: Preview
  stencil: Stencil | null
  image: OffscreenCanvas | null
  imageBox: Box | null
  drawing: boolean
}

export interface Mark {
  firstPreview?: number
  staged?: number
}

export class Results extends Emitter<{ change: string }> {
  readonly marks = new Map<string, Mark>()
  /** Which variation of a staged job is on show. */
  readonly chosen = new Map<string, number>()
  /** Hold-to-compare: staged results step aside. */
  comparing = false
  /** An edit that is over, to be looked at once more. */
  past: Job | null = null
  readonly #running = new Map<string, Running>()
  /** By live session, the result that stays on the screen until the next one is there: no flicker in between. */
  readonly #held = new Map<string, Shown>()
  readonly #document: Document
  readonly #tiles: TileStore
  readonly #blobUrl: (name: string) => string

  constructor(document: Document, tiles: TileStore, blobUrl: (name: string) => string) {
    super()
    this.#document = document
    this.#tiles = tiles
    this.#blobUrl = blobUrl
    document.on('change', ({ job }) => {
      if (job === null) return
      if (TERMINAL.has(job.state)) this.#running.delete(job.id)
      if (job.state === 'staged') this.#tiles.hurry(job.results.map((variation) => this.#blobUrl(variation.blob)))
    })
    document.on('reset', () => this.#running.clear())
  }

  progress(job: string): Preview | undefined {
    return this.#running.get(job)?.preview
  }

  /**
   * Addresses of the variations that should be fetched now, of results that are staged or will be in a moment. Of one in
   * parts: its small picture, and the parts that are in view where the screen shows more than that picture has.
   */
  wanted(visible: Box, scale: number): string[] {
    const urls: string[] = this.past === null ? [] : this.past.results.map((variation) => this.#blobUrl(variation.blob))
    for (const { preview } of this.#running.values()) urls.push(...(preview.patches ?? []).map(this.#blobUrl))
    for (const job of this.#document.jobs.values()) {
      if (job.state !== 'staged') continue
      const chosen = this.chosen.get(job.id) ?? 0
      const order = [...job.results.slice(chosen), ...job.results.slice(0, chosen)]
      urls.push(...order.map((variation) => this.#blobUrl(variation.blob)))
      if (order[0] === undefined || !this.#needsParts(job, order[0], scale)) continue
      for (const [box, blob] of order[0].parts ?? []) if (overlaps(box, visible)) urls.push(this.#blobUrl(blob))
    }
    return urls
  }

  /** Whether an address is of a result that is no more than made ready: nothing on the screen changes with its pixels. */
  isAhead(url: string): boolean {
    for (const [job, { preview }] of this.#running) {
      if (this.#document.jobs.get(job)?.state !== 'staged' && preview.patches?.some((name) => this.#blobUrl(name) === url)) return true
    }
    return false
  }

  /** What to draw over the layers, oldest job first. */
  shown(): Shown[] {
    const found: Shown[] = []
    const lives = new Map<string, Shown | null>()
    for (const job of this.#document.jobs.values()) {
      if (TERMINAL.has(job.state)) continue
      const staged = job.state === 'staged' ? this.#staged(job) : []
      const shown = staged[0] ?? this.#preview(job)
      if (job.live !== '') lives.set(`${job.user}/${job.live}`, this.#steadier(lives.get(`${job.user}/${job.live}`), shown))
      else if (staged.length > 0) found.push(...staged)
      else if (shown !== null) found.push(shown)
    }
    for (const key of this.#held.keys()) if (!lives.has(key)) this.#held.delete(key)
    for (const [key, shown] of lives) {
      const steady = shown?.full ? shown : (this.#held.get(key) ?? shown)
      if (steady?.full) this.#held.set(key, steady)
      if (steady !== null) found.push(steady)
    }
    if (this.comparing) return []
    return this.past === null ? found : [...found, ...this.#staged(this.past)]
  }

  /** Called by the picture right after it drew one. */
  drawn(shown: Shown): void {
    const mark = this.marks.get(shown.job.id) ?? {}
    if (shown.full) mark.staged ??= performance.now()
    else mark.firstPreview ??= performance.now()
    this.marks.set(shown.job.id, mark)
  }

  async receive(preview: Preview): Promise<void> {
    const known = this.#document.jobs.get(preview.job)
    if (known !== undefined && (TERMINAL.has(known.state) || known.state === 'staged')) return
    let entry = this.#running.get(preview.job)
    if (entry === undefined) {
      entry = { preview, stencil: null, image: null, imageBox: null, drawing: false }
      this.#running.set(preview.job, entry)
    }
    entry.preview = preview
    this.#expect(preview)
    if (preview.alpha != null && preview.box != null) entry.stencil = await stencil(preview.alpha, preview.box)
    if (preview.jpeg == null || preview.box == null || entry.drawing) return
    entry.drawing = true
    try {
      entry.stencil ??= await this.#maskStencil(known)
      const latest = entry.preview.jpeg != null ? entry.preview : preview
      await compose(entry, latest)
      this.emit('change', preview.job)
    } finally {
      entry.drawing = false
    }
  }

  /** A result that is stored but not staged yet: its pixels are made ready, and shown once it is. */
  #expect({ patches = [], patch }: Preview): void {
    const urls = patches.map(this.#blobUrl)
    if (urls[0] !== undefined && patch != null) this.#tiles.give(urls[0], patch)
    if (urls.length > 0) this.#tiles.hurry(urls)
  }

  #preview(job: Job): Shown | null {
    const running = this.#running.get(job.id)
    if (!running?.image || !running.imageBox) return null
    const { image, imageBox } = running
    return { job, box: imageBox, except: [], image, full: false }
  }

  /** Of two pictures of one session: a result before a preview, then the newer. */
  #steadier(older: Shown | null | undefined, newer: Shown | null): Shown | null {
    if (older == null || newer === null) return older ?? newer
    return older.full && !newer.full ? older : newer
  }

  /** A staged result's picture, and over it those of its parts that are here; parts do not overlap. */
  #staged(job: Job): Shown[] {
    const variation = job.results[this.chosen.get(job.id) ?? 0]
    if (variation === undefined || job.result_box === null) return []
    const parts = (variation.parts ?? []).flatMap(([box, blob]) => this.#shownBlob(job, box, blob))
    if (parts.length > 0 && parts.length === (variation.parts ?? []).length) return parts
    return [...this.#shownBlob(job, job.result_box, variation.blob, parts.map(({ box }) => box)), ...parts]
  }

  #shownBlob(job: Job, box: Box, blob: string, except: Box[] = []): Shown[] {
    const image = this.#tiles.get(this.#blobUrl(blob))
    if (image === undefined) return []
    return [{ job, box, except, image, full: true }]
  }

  /** Whether a result in parts is shown larger than its small picture. */
  #needsParts(job: Job, variation: Variation, scale: number): boolean {
    const image = this.#tiles.peek(this.#blobUrl(variation.blob))
    return image === undefined || job.result_box === null || width(job.result_box) * scale > image.width
  }

  /** For who joined after the first preview: the user's own mask is close to the composite mask. */
  async #maskStencil(job: Job | undefined): Promise<Stencil | null> {
    if (job === undefined || job.mask === '') return null
    const response = await fetch(this.#blobUrl(job.mask), { credentials: 'same-origin' }).catch(() => null)
    if (response?.ok !== true) return null
    return stencil(new Uint8Array(await response.arrayBuffer()), job.box)
  }
}

/** A gray PNG as a canvas whose alpha is the gray value. */
async function stencil(png: Uint8Array, box: Box): Promise<Stencil> {
  const gray = await decodeGray(png)
  const canvas = new OffscreenCanvas(gray.width, gray.height)
  const image = new ImageData(gray.width, gray.height)
  for (let i = 0; i < gray.data.length; i++) image.data[i * 4 + 3] = gray.data[i]!
  canvas.getContext('2d')?.putImageData(image, 0, 0)
  return { box, canvas }
}

async function compose(entry: Running, { jpeg, box }: Preview): Promise<void> {
  if (jpeg == null || box == null) return
  const picture = await createImageBitmap(new Blob([jpeg.slice()], { type: 'image/jpeg' }))
  const canvas = new OffscreenCanvas(Math.max(picture.width, 1), Math.max(picture.height, 1))
  const ctx = canvas.getContext('2d')
  if (ctx === null) return
  ctx.drawImage(picture, 0, 0)
  picture.close()
  if (entry.stencil === null) return
  const sx = canvas.width / width(box)
  const sy = canvas.height / height(box)
  const at = entry.stencil.box
  ctx.globalCompositeOperation = 'destination-in'
  ctx.drawImage(entry.stencil.canvas, (at[0] - box[0]) * sx, (at[1] - box[1]) * sy, width(at) * sx, height(at) * sy)
  entry.image = canvas
  entry.imageBox = box
}
