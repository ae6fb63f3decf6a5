// Starting a canvas: make it, remember its links, go there with the first picture in hand.
import { createCanvas, type Created, openCanvasFile, sample } from '../../net/api'
import { route, type FirstStep } from '../route.svelte'

const LINKS = 'nanobana.links'

/** Secret by link ID. */
type Known = Record<string, string>

function all(): Record<string, Known> {
  try {
    return JSON.parse(localStorage.getItem(LINKS) ?? '{}') as Record<string, Known>
  } catch {
    return {}
  }
}

/** The secrets of links that this browser made, by link ID; the server tells them only once. */
export function knownLinks(canvas: string): Known {
  return all()[canvas] ?? {}
}

export function rememberLinks(canvas: string, links: Known): void {
  try {
    localStorage.setItem(LINKS, JSON.stringify({ ...all(), [canvas]: { ...knownLinks(canvas), ...links } }))
  } catch {
    // not kept: the owner can make new links any time
  }
}

/** Keeps the links of a canvas that was just made, and goes there as its owner. */
function enter(made: Created, first: FirstStep = null): void {
  rememberLinks(made.canvas, Object.fromEntries(Object.entries(made.ids).map(([name, id]) => [id, made.links[name] ?? ''])))
  route.go(`/c/${made.canvas}#${made.links['owner'] ?? ''}`, first)
}

/** What "Save canvas file" gives; it is no picture. */
export const CANVAS_FILE = '.nanobana'

export async function begin(first: FirstStep): Promise<void> {
  if (first?.kind === 'file' && first.file.name.endsWith(CANVAS_FILE)) {
    enter(await openCanvasFile(first.file))
    return
  }
  const title = first?.kind === 'file' ? first.file.name.replace(/\.[a-z]+$/i, '').slice(0, 80) : first?.kind === 'prompt' ? first.prompt.slice(0, 80) : ''
  const size = first?.kind === 'blank' ? { width: first.width, height: first.height } : {}
  enter(await createCanvas({ title, ...size }), first)
}

export async function beginWithSample(): Promise<void> {
  await begin({ kind: 'file', file: await sample() })
}
