// What the mask bar is set to: the prompt and its settings, with a history of prompts.
import type { Job, Lora, ModelFacts } from '../../protocol/types'
import type { Wish } from '../../session/edits'

type Ability = NonNullable<ModelFacts['takes']>[number]

const KEY = 'nanobana.prompts'
const MODEL_KEY = 'nanobana.model'

/** Nothing where the browser keeps nothing for this page. */
function kept(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    return // it holds for as long as the page is open
  }
}

class WishState {
  /** By name, as it was picked last; null: the usual one. It stays while nobody serves it. */
  model = $state<string | null>(kept(MODEL_KEY))
  prompt = $state('')
  negative = $state('')
  seed = $state<number | null>(null)
  variations = $state(1)
  strength = $state(1)
  quality = $state<Wish['quality']>('balanced')
  detail = $state(false)
  steps = $state<number | null>(null)
  guidance = $state<number | null>(null)
  style = $state<string | null>(null)
  loras = $state<Lora[]>([])
  feather = $state<number | null>(null)
  grow = $state<number | null>(null)
  exactEdge = $state(false)
  onto = $state<Wish['onto']>('auto')
  reference = $state.raw<{ blob: string; url: string } | null>(null)
  #prompts: string[] = []
  #at = -1

  constructor() {
    try {
      this.#prompts = JSON.parse(kept(KEY) ?? '[]') as string[]
    } catch {
      this.#prompts = []
    }
  }

  /** Of the models that are served the one that is picked, else the usual one, which comes first. */
  of(models: readonly ModelFacts[]): ModelFacts | null {
    return models.find(({ name }) => name === this.model) ?? models[0] ?? null
  }

  choose(model: string): void {
    this.model = model
    keep(MODEL_KEY, model)
  }

  /** As it is set, without what that model does not take: that stays here for when another one does. */
  read(mode: Wish['mode'], layer: string | null, facts: ModelFacts | null): Wish {
    const { prompt, seed, variations, strength, quality, feather, grow, exactEdge } = this
    const takes = (what: Ability): boolean => facts?.takes?.includes(what) ?? false
    return {
      mode,
      model: this.model !== null && facts?.name === this.model ? this.model : null,
      prompt: prompt.trim(),
      negative: takes('negative') ? this.negative : '',
      seed,
      variations,
      strength,
      quality,
      detail: takes('detail') && this.detail,
      steps: takes('steps') ? this.steps : null,
      guidance: takes('guidance') ? this.guidance : null,
      style: this.style !== null && (facts?.styles ?? []).includes(this.style) ? this.style : null,
      loras: this.loras.filter((lora) => (facts?.loras ?? []).includes(lora.name)).map(({ name, weight }) => ({ name, weight })),
      feather,
      grow,
      exactEdge,
      layer,
      onto: this.onto,
      reference: this.reference?.blob ?? null,
    }
  }

  remember(): void {
    const prompt = this.prompt.trim()
    this.#at = -1
    if (prompt === '') return
    this.#prompts = [prompt, ...this.#prompts.filter((other) => other !== prompt)].slice(0, 40)
    keep(KEY, JSON.stringify(this.#prompts))
  }

  /** Alt+↑ older, Alt+↓ newer. */
  walk(by: number): void {
    this.#at = Math.max(-1, Math.min(this.#prompts.length - 1, this.#at + by))
    this.prompt = this.#prompts[this.#at] ?? ''
  }

  reuse(job: Job, what: 'prompt' | 'seed' | 'all'): void {
    if (what !== 'seed') this.prompt = job.prompt
    if (what !== 'prompt') this.seed = job.results[0]?.seed ?? job.seed
    if (what !== 'all') return
    if (job.model !== '') this.choose(job.model)
    this.negative = job.negative
    this.strength = job.strength
    this.quality = job.quality as Wish['quality']
    this.variations = Math.max(1, job.variations)
    this.detail = job.detail
    this.steps = job.steps
    this.guidance = job.guidance
    this.style = job.style
    this.loras = [...job.loras]
    this.feather = job.feather
    this.grow = job.grow
    this.exactEdge = job.exact_edge
    this.onto = job.onto
  }
}

export const wish = new WishState()
