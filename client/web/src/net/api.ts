// The HTTP side: canvases, tickets, blobs, pictures, links, export.
import type { Box, Job, Moments, Role, Thread } from '../protocol/types'

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryMs: number | null = null,
  ) {
    super(message)
  }
}

export interface Created {
  canvas: string
  /** Secrets by what they are for: owner, edit, comment, view. */
  links: Record<string, string>
  /** Their IDs by the same names. */
  ids: Record<string, string>
}

export interface Ticket {
  ticket: string
  role: Role
  user: string
  user_key?: string
  access: string
  expires_ms: number
}

export interface Link {
  id: string
  role: Role
  created_ms: number
  state: 'open' | 'used_up' | 'expired' | 'revoked'
  expires_ms: number | null
  max_uses: number | null
  /** People who came by it. */
  used: number
  /** The link that this browser came by. */
  yours: boolean
}

/** What an owner decided about somebody. */
export interface Decided {
  user: string
  name: string
  color: string
  /** Instead of their link's. */
  role: Role | null
  banned: boolean
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, { credentials: 'same-origin', ...init })
  } catch {
    throw new ApiError(0, 'offline', 'The server cannot be reached. Nothing is lost; try again in a moment.')
  }
  if (response.ok) return response
  throw await failure(response)
}

async function failure(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as { code?: string; message?: string; retry_ms?: number }
    return new ApiError(response.status, body.code ?? 'error', body.message ?? response.statusText, body.retry_ms ?? null)
  } catch {
    return new ApiError(response.status, 'error', `The server answered ${response.status}.`)
  }
}

function send(method: string, path: string, body: unknown = {}): Promise<Response> {
  return request(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

const post = (path: string, body: unknown): Promise<Response> => send('POST', path, body)

export async function createCanvas(options: { title?: string; width?: number; height?: number } = {}): Promise<Created> {
  return (await post('/api/canvases', options)).json() as Promise<Created>
}

/** A file that "Save canvas file" gave becomes a new canvas. */
export async function openCanvasFile(file: File): Promise<Created> {
  return (await request('/api/canvases/file', { method: 'POST', body: file })).json() as Promise<Created>
}

/** Where the whole canvas can be had as one file, its history in it. */
export function canvasFileAt(canvas: string): string {
  return `/api/canvases/${canvas}/file?history=true`
}

export interface Credentials {
  secret: string
  name?: string
  color?: string
  user?: string
  user_key?: string
  /** Come as a viewer, because the room is full. */
  watch?: boolean
}

export async function ticket(canvas: string, credentials: Credentials): Promise<Ticket> {
  return (await post(`/api/canvases/${canvas}/tickets`, credentials)).json() as Promise<Ticket>
}

export async function putBlob(canvas: string, bytes: Uint8Array | Blob): Promise<string> {
  const body = bytes instanceof Blob ? bytes : new Blob([bytes.slice()])
  const response = await request(`/api/canvases/${canvas}/blobs`, { method: 'PUT', body })
  return ((await response.json()) as { name: string }).name
}

export async function links(canvas: string): Promise<Link[]> {
  return (await request(`/api/canvases/${canvas}/links`)).json() as Promise<Link[]>
}

export async function createLink(canvas: string, wanted: { role: Role; expires_s?: number; max_uses?: number }): Promise<{ id: string; secret: string }> {
  return (await post(`/api/canvases/${canvas}/links`, wanted)).json() as Promise<{ id: string; secret: string }>
}

export async function revokeLink(canvas: string, id: string): Promise<void> {
  await request(`/api/canvases/${canvas}/links/${id}`, { method: 'DELETE' })
}

/** Everybody about whom an owner decided something. */
export async function decided(canvas: string): Promise<Decided[]> {
  return (await request(`/api/canvases/${canvas}/people`)).json() as Promise<Decided[]>
}

export async function setRole(canvas: string, user: string, role: Role): Promise<void> {
  await send('PUT', `/api/canvases/${canvas}/people/${user}/role`, { role })
}

/** Ends all that somebody has open here; they may come again. */
export async function kick(canvas: string, user: string): Promise<void> {
  await send('POST', `/api/canvases/${canvas}/people/${user}/kick`)
}

/** `links`: revoke those by which they came, too. */
export async function ban(canvas: string, user: string, links: boolean): Promise<void> {
  await send('PUT', `/api/canvases/${canvas}/people/${user}/ban`, { links })
}

export async function forgive(canvas: string, user: string): Promise<void> {
  await send('DELETE', `/api/canvases/${canvas}/people/${user}/ban`)
}

/** Every thread of comments; changes up to `seq` are in it. */
export async function comments(canvas: string): Promise<{ seq: number; threads: Thread[] }> {
  return (await request(`/api/canvases/${canvas}/comments`)).json() as Promise<{ seq: number; threads: Thread[] }>
}

/** Answers until when it can be taken back, ms; null: it cannot. */
export async function deleteCanvas(canvas: string): Promise<number | null> {
  const response = await request(`/api/canvases/${canvas}`, { method: 'DELETE' })
  return ((await response.json()) as { until_ms: number | null }).until_ms
}

export async function takeBack(canvas: string, secret: string): Promise<void> {
  await post(`/api/canvases/${canvas}/take-back`, { secret })
}

export interface Used {
  used: number
  /** null: unlimited. */
  budget: number | null
}

export interface Storage {
  canvas: Used
  store: Used
}

export async function storage(canvas: string): Promise<Storage> {
  return (await request(`/api/canvases/${canvas}/storage`)).json() as Promise<Storage>
}

/** Of the edits of a day: mine, or those of all who came by my link where they have less left. */
export interface Day {
  per_day: number
  left: number
  next_s: number
  is_shared: boolean
}

/** What an edit would count against; null where nothing is counted. */
export async function allowance(canvas: string): Promise<Day | null> {
  return ((await (await request(`/api/canvases/${canvas}/allowance`)).json()) as { day: Day | null }).day
}

export interface PastEdit {
  seq: number
  job: Job
}

/** Edits that ended, newest first; `before` is the last one's seq of the page before. */
export async function pastEdits(canvas: string, before: number | null): Promise<{ edits: PastEdit[]; more: boolean }> {
  const query = before === null ? '' : `?before=${before}`
  return (await request(`/api/canvases/${canvas}/edits${query}`)).json() as Promise<{ edits: PastEdit[]; more: boolean }>
}

/** What happened before a change, newest first; null: up to now, with all named versions. */
export async function moments(canvas: string, before: number | null): Promise<Moments> {
  const query = before === null ? '' : `?before=${before}`
  return (await request(`/api/canvases/${canvas}/past${query}`)).json() as Promise<Moments>
}

/** What shows of the canvas, or of a box of it. */
export async function exportPng(canvas: string, box: Box | null = null): Promise<Blob> {
  const query = box === null ? '' : `?box=${box.join(',')}`
  return (await request(`/api/canvases/${canvas}/export.png${query}`)).blob()
}

export async function sample(): Promise<File> {
  const blob = await (await request('/api/sample')).blob()
  return new File([blob], 'Sample picture', { type: blob.type })
}
