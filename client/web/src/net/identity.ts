// Who this browser is: a remembered name, colour and user ID, the canvases it has seen, and this tab's client ID.

export interface Identity {
  name: string
  named: boolean
  user: string
  userKey: string
}

export interface Recent {
  id: string
  secret: string
  title: string
  role: string
  seen: number
}

const KEY = 'nanobana.identity'
const COACHED = 'nanobana.coached'
const RECENT = 'nanobana.recent'
const FRUIT = ['Apricot', 'Bergamot', 'Cherry', 'Damson', 'Elder', 'Fig', 'Guava', 'Juniper', 'Kiwi', 'Lime', 'Mango', 'Nectarine', 'Olive', 'Papaya', 'Quince', 'Rowan', 'Sloe', 'Tamarind']
const MOOD = ['Bright', 'Calm', 'Clever', 'Gentle', 'Happy', 'Kind', 'Merry', 'Patient', 'Quick', 'Sunny', 'Warm', 'Witty']

const pick = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] ?? ''

export function randomId(length = 16): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length))
  return Array.from(bytes, (b) => 'abcdefghijklmnopqrstuvwxyz012345'[b & 31]).join('')
}

function read<T>(key: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') as T | null
  } catch {
    return null
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // private windows may refuse: the person is then new next time, and nothing else is lost
  }
}

export function identity(): Identity {
  const known = read<Identity>(KEY)
  if (known !== null && typeof known.user === 'string') return known
  const fresh = { name: `${pick(MOOD)} ${pick(FRUIT)}`, named: false, user: randomId(), userKey: '' }
  write(KEY, fresh)
  return fresh
}

export function remember(change: Partial<Identity>): Identity {
  const next = { ...identity(), ...change }
  write(KEY, next)
  return next
}

/** Whether this browser has had the first hints. */
export const coached = {
  get done(): boolean {
    return read<boolean>(COACHED) === true
  },
  remember(): void {
    write(COACHED, true)
  },
}

export function recent(): Recent[] {
  return (read<Recent[]>(RECENT) ?? []).sort((a, b) => b.seen - a.seen)
}

export function visit(canvas: Omit<Recent, 'seen'>): void {
  const others = recent().filter((item) => item.id !== canvas.id)
  write(RECENT, [{ ...canvas, seen: Date.now() }, ...others].slice(0, 24))
}

export function forgetCanvas(id: string): void {
  write(RECENT, recent().filter((item) => item.id !== id))
}

/** Holds a client ID for this tab alone; false if another tab holds it (a duplicated tab copies session storage). */
export function hold(client: string): Promise<boolean> {
  if (!('locks' in navigator)) return Promise.resolve(true)
  return new Promise((resolve) => {
    void navigator.locks.request(`nanobana.${client}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      return lock === null ? undefined : new Promise<void>(() => undefined)
    })
  })
}
