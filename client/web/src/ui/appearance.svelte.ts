// Dark, light or as the system says; remembered.
export type Appearance = 'system' | 'dark' | 'light'

const KEY = 'nanobana.theme'
const system = matchMedia('(prefers-color-scheme: light)')

class AppearanceState {
  choice = $state<Appearance>((localStorage.getItem(KEY) as Appearance | null) ?? 'system')
  #system = $state(system.matches)

  constructor() {
    system.addEventListener('change', () => {
      this.#system = system.matches
      this.apply()
    })
    this.apply()
  }

  get resolved(): 'dark' | 'light' {
    return this.choice === 'system' ? (this.#system ? 'light' : 'dark') : this.choice
  }

  set(choice: Appearance): void {
    this.choice = choice
    localStorage.setItem(KEY, choice)
    this.apply()
  }

  apply(): void {
    document.documentElement.dataset['theme'] = this.resolved
  }
}

export const appearance = new AppearanceState()
