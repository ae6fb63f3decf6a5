// Frames: a msgpack array of messages, both ways (R1). What a sender left out at its default is put back here.
import { decode, encode } from '@msgpack/msgpack'
import type { CanvasInfo, Change, ClientMessage, Job, Layer, Manifest, OpId, ServerMessage } from './types'

export function frame(messages: readonly ClientMessage[]): Uint8Array<ArrayBuffer> {
  return encode(messages, { ignoreUndefined: true })
}

/** What a server sent. Messages of a kind that this build does not know are the caller's to ignore (R10). */
export function readFrame(data: ArrayBuffer): ServerMessage[] {
  const value: unknown = decode(new Uint8Array(data))
  if (!Array.isArray(value)) throw new TypeError('a frame must be an array of messages')
  return (value as ServerMessage[]).map(whole)
}

export const opKey = (op: OpId): string => `${op[0]}-${op[1]}`

function whole(message: ServerMessage): ServerMessage {
  switch (message.t) {
    case 'change':
      return { ...message, change: wholeChange(message.change) }
    case 'welcome':
      return { ...message, canvas: wholeCanvas(message.canvas), manifest: message.manifest == null ? null : wholeManifest(message.manifest) }
    case 'resync':
      return { ...message, manifest: wholeManifest(message.manifest) }
    default:
      return message
  }
}

const NO_CHANGE = { tiles: [], layers: null, canvas: null, job: null, undoes: null, thread: null, restores: null, version: null, about: null }
const NO_CANVAS = { title: '', width: 0, height: 0, used_bytes: 0, budget_bytes: 0 }
const NO_LAYER = { visible: true, opacity: 1, blend: 'normal', locked: false, group: false, parent: '' } as const
const NO_JOB = {
  user_name: '',
  color: '',
  mode: 'fill',
  prompt: '',
  negative: '',
  seed: 0,
  strength: 1,
  quality: 'balanced',
  detail: false,
  steps: null,
  guidance: null,
  style: null,
  loras: [],
  variations: 1,
  mask: '',
  layer: null,
  result_box: null,
  results: [],
  timing: null,
  cost: null,
  understood: '',
  notice: '',
  error_code: '',
  error: '',
  created_ms: 0,
}

const wholeCanvas = (canvas: CanvasInfo): CanvasInfo => ({ ...NO_CANVAS, ...canvas })
const wholeLayer = (layer: Layer): Layer => ({ ...NO_LAYER, ...layer })
const wholeJob = (job: Job): Job => ({ ...NO_JOB, ...job })

function wholeChange(sent: Change): Change {
  const change = { ...NO_CHANGE, ...sent }
  return {
    ...change,
    layers: change.layers?.map(wholeLayer) ?? null,
    canvas: change.canvas === null ? null : wholeCanvas(change.canvas),
    job: change.job === null ? null : wholeJob(change.job),
  }
}

function wholeManifest(manifest: Manifest): Manifest {
  return { ...manifest, canvas: wholeCanvas(manifest.canvas), layers: manifest.layers.map(wholeLayer), jobs: manifest.jobs.map(wholeJob) }
}
