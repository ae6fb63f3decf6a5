// What the mask bar is set to: the prompt and its settings, with a history of prompts.
import type { Job } from '../../protocol/types'
import type { Wish } from '../../session/edits'

const KEY = 'nanobana.prompts'

class WishState {
  prompt = $state('')
  negative = $state('')
  seed = $state<number | null>(null)
  variations = $state(1)
  strength = $state(1)
  quality = $state<Wish['quality']>('balanced')
  exactEdge = $state(false)
  reference = $state.raw<{ blob: string; url: string } | null>(null)
  #prompts: string[] = []
  #at = -1

  constructor() {
    try {
      this.#prompts = JSON.parse(localStorage.getItem(KEY) ?? '[]') as string[]
    } catch {
      this.#prompts = []
    }
  }

  read(mode: Wish['mode'], layer: string | null): Wish {
    const { prompt, negative, seed, variations, strength, quality, exactEdge } = this
    return { mode, prompt: prompt.trim(), negative, seed, variations, strength, quality, exactEdge, layer, reference: this.reference?.blob ?? null }
  }

  remember(): void {
    const prompt = this.prompt.trim()
    this.#at = -1
    if (prompt === '') return
    this.#prompts = [prompt, ...this.#prompts.filter((other) => other !== prompt)].slice(0, 40)
    localStorage.setItem(KEY, JSON.stringify(this.#prompts))
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
    this.negative = job.negative
    this.strength = job.strength
    this.quality = job.quality as Wish['quality']
    this.variations = Math.max(1, job.variations)
  }
}

export const wish = new WishState()
