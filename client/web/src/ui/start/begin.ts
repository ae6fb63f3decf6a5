// Starting a canvas: make it, remember its links, go there with the first picture in hand.
import { createCanvas, openCanvasFile, sample } from '../../net/api'
import { route, type FirstStep } from '../route.svelte'

const LINKS = 'nanobana.links'

export interface KnownLinks {
  owner: string
  edit: string
  view: string
}

/** The links' secrets that this browser got when it made a canvas; the server tells them only once. */
export function knownLinks(canvas: string): KnownLinks | null {
  try {
    return ((JSON.parse(localStorage.getItem(LINKS) ?? '{}') as Record<string, KnownLinks>)[canvas] ?? null) as KnownLinks | null
  } catch {
    return null
  }
}

export function rememberLinks(canvas: string, links: KnownLinks): void {
  try {
    const all = JSON.parse(localStorage.getItem(LINKS) ?? '{}') as Record<string, KnownLinks>
    localStorage.setItem(LINKS, JSON.stringify({ ...all, [canvas]: links }))
  } catch {
    // not kept: the owner can make new links any time
  }
}

/** What "Save canvas file" gives; it is no picture. */
export const CANVAS_FILE = '.nanobana'

export async function begin(first: FirstStep): Promise<void> {
  if (first?.kind === 'file' && first.file.name.endsWith(CANVAS_FILE)) {
    const made = await openCanvasFile(first.file)
    rememberLinks(made.canvas, made.links)
    route.go(`/c/${made.canvas}#${made.links.owner}`)
    return
  }
  const title = first?.kind === 'file' ? first.file.name.replace(/\.[a-z]+$/i, '').slice(0, 80) : first?.kind === 'prompt' ? first.prompt.slice(0, 80) : ''
  const size = first?.kind === 'blank' ? { width: first.width, height: first.height } : {}
  const made = await createCanvas({ title, ...size })
  rememberLinks(made.canvas, made.links)
  route.go(`/c/${made.canvas}#${made.links.owner}`, first)
}

export async function beginWithSample(): Promise<void> {
  await begin({ kind: 'file', file: await sample() })
}
