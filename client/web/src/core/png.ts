// The PNG codec as promises: in a worker; here, where there is none or where it could not be loaded.
import { decodeGray as decodeHere, encodePixels as encodeHere, type Pixels } from './png-codec'

type Work = { encode: Pixels } | { decode: Uint8Array }

interface Reply {
  id: number
  result?: unknown
  error?: string
}

interface Waiting {
  work: Work
  resolve: (value: never) => void
  reject: (error: Error) => void
}

let worker: Worker | null = null
let broken = typeof Worker === 'undefined'
let counter = 0
const waiting = new Map<number, Waiting>()

/** Loads the worker before it is needed: without a connection it could not be loaded later. */
export function warm(): void {
  if (broken || worker !== null) return
  worker = new Worker(new URL('./png.worker.ts', import.meta.url), { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    const entry = waiting.get(data.id)
    waiting.delete(data.id)
    if (data.error === undefined) entry?.resolve(data.result as never)
    else entry?.reject(new Error(data.error))
  }
  worker.onerror = () => {
    broken = true
    worker = null
    for (const { work, resolve, reject } of waiting.values()) here(work).then(resolve as (value: unknown) => void, reject)
    waiting.clear()
  }
}

async function here(work: Work): Promise<unknown> {
  return 'encode' in work ? encodeHere(work.encode) : decodeHere(work.decode)
}

function ask<T>(work: Work): Promise<T> {
  warm()
  if (worker === null) return here(work) as Promise<T>
  const id = ++counter
  return new Promise<T>((resolve, reject) => {
    waiting.set(id, { work, resolve, reject })
    worker?.postMessage({ id, ...work })
  })
}

export const encodePng = (pixels: Pixels): Promise<Uint8Array> => ask({ encode: pixels })
export const decodeGray = (png: Uint8Array): Promise<Pixels> => ask({ decode: png })
