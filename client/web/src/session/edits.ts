// Edits as a person meets them: generate from the mask, cancel, walk variations, accept or discard.
import { INLINE, type EditParams, type Job, type Lora, type Op } from '../protocol/types'
import { TERMINAL, type Document } from '../core/document'
import type { Mask } from '../core/mask'
import { encodeMask, type MaskCopier, type MaskCopy } from '../core/mask-copy'
import type { Coverage } from '../core/raster'
import type { Results } from '../core/results'
import type { Sender } from '../net/sender'

export interface Wish {
  mode: 'fill' | 'erase'
  /** By name; null: whatever is the usual one. */
  model: string | null
  prompt: string
  negative: string
  seed: number | null
  variations: number
  strength: number
  quality: 'draft' | 'balanced' | 'best'
  detail: boolean
  steps: number | null
  guidance: number | null
  style: string | null
  loras: readonly Lora[]
  feather: number | null
  grow: number | null
  exactEdge: boolean
  layer: string | null
  /** Where the result goes: where it fits, onto that layer, or onto a new one. */
  onto: 'auto' | 'layer' | 'new'
  reference: string | null
  /** Ahead of my other edits that wait. */
  front?: boolean
}

export class Edits {
  /** Masks of my own jobs, so that one can be tried again. */
  readonly #asked = new Map<string, { coverage: Coverage; wish: Wish }>()

  constructor(
    private readonly document: Document,
    private readonly mask: Mask,
    private readonly copier: MaskCopier,
    private readonly results: Results,
    private readonly sender: Sender,
    private readonly me: () => { user: string; role: string } | null,
  ) {}

  /** Queues an edit of the mask, which is gone at once, and back if that fails; the answer is its job ID, or null for no mask. */
  async generate(wish: Wish): Promise<string | null> {
    const copy = this.copier.copy()
    if (copy === null) return null
    const sent = this.#submit(copy, wish)
    this.mask.clear() // not once it is sent: what somebody paints until then is another mask
    this.mask.forgetHistory()
    try {
      return await sent
    } catch (error) {
      this.mask.add(copy.coverage, copy.coverage.box)
      throw error
    }
  }

  /**
   * Queues an edit of a live session; the mask stays. Its job ID is told before it is sent, because answers may be quick.
   * `before` is the one whose place it takes.
   */
  async show(wish: Wish, live: string, before: string | null, begun: (job: string) => void): Promise<string | null> {
    const copy = this.copier.copy()
    if (copy === null) return null
    if (before !== null) this.#asked.delete(before)
    return this.#submit(copy, { ...wish, variations: 1, quality: 'draft', detail: false, steps: null }, live, begun)
  }

  /** The same region and wish with a new seed; a staged result of it is discarded first. */
  async again(job: Job): Promise<string | null> {
    const asked = this.#asked.get(job.id)
    if (asked === undefined) return null
    if (job.state === 'staged') this.decide(job, false)
    return this.#submit({ ...asked, png: encodeMask(asked.coverage) }, { ...asked.wish, seed: null })
  }

  canRepeat(job: Job): boolean {
    return this.#asked.has(job.id)
  }

  async #submit({ coverage, png: encoding }: MaskCopy, wish: Wish, live: string | null = null, begun?: (job: string) => void): Promise<string> {
    const op = this.sender.nextId()
    const id = `${op[0]}-${op[1]}`
    begun?.(id)
    const { box } = coverage
    const edit: EditParams = {
      mode: wish.mode,
      box,
      prompt: wish.mode === 'erase' ? '' : wish.prompt,
      negative: wish.negative,
      variations: wish.mode === 'erase' ? 1 : wish.variations,
      strength: wish.strength,
      quality: wish.quality,
      detail: wish.detail,
      steps: wish.steps,
      guidance: wish.guidance,
      style: wish.style,
      loras: [...wish.loras],
      exact_edge: wish.exactEdge,
      front: wish.front ?? false,
      feather: wish.feather,
      grow: wish.grow,
      layer: wish.layer,
      onto: wish.onto === 'layer' && wish.layer === null ? 'auto' : wish.onto,
    }
    if (wish.seed !== null) edit.seed = wish.seed
    if (wish.model !== null && wish.mode !== 'erase') edit.model = wish.model
    if (live !== null) edit.live = live
    if (wish.reference !== null) edit.references = [{ blob: wish.reference, weight: 1 }]
    this.#asked.set(id, { coverage, wish })
    await this.sender.push(async () => {
      const png = await encoding
      if (png.length <= INLINE) return { op: { t: 'edit', op, edit: { ...edit, mask_png: png } } }
      return { op: { t: 'edit', op, edit }, upload: { bytes: png, field: 'mask_blob' } }
    })
    return id
  }

  cancel(job: Job): void {
    this.#push({ t: 'cancel', op: this.sender.nextId(), job: job.id })
  }

  decide(job: Job, accept: boolean, newLayer = false): void {
    const variation = this.results.chosen.get(job.id) ?? 0
    this.#push({ t: 'decide', op: this.sender.nextId(), job: job.id, accept, variation, new_layer: newLayer })
  }

  walk(job: Job, by: number): void {
    const count = Math.max(1, job.results.length)
    const next = ((this.results.chosen.get(job.id) ?? 0) + by + count) % count
    this.results.chosen.set(job.id, next)
    this.results.emit('change', job.id)
  }

  /** Jobs that are not over, oldest first. */
  open(): Job[] {
    return [...this.document.jobs.values()].filter((job) => !TERMINAL.has(job.state))
  }

  /** The same with one job for each live session: its result, else the newest. */
  shown(): Job[] {
    const open = this.open()
    const ofSession = (job: Job): Job[] => open.filter((other) => other.live === job.live && other.user === job.user)
    return open.filter((job) => {
      if (job.live === '') return true
      const all = ofSession(job)
      return job === (all.findLast((other) => other.state === 'staged') ?? all.at(-1))
    })
  }

  mine(job: Job): boolean {
    return job.user === this.me()?.user
  }

  mayDecide(job: Job): boolean {
    const me = this.me()
    return me !== null && (me.role === 'editor' || me.role === 'owner') && (job.user === me.user || me.role === 'owner')
  }

  /** The staged result that the keyboard means: my newest. */
  current(): Job | null {
    return this.open().findLast((job) => job.state === 'staged' && this.mine(job)) ?? null
  }

  #push(op: Op): void {
    void this.sender.push(op)
  }
}
