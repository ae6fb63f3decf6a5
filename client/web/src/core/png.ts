// The PNG codec as promises: in a worker where there is one, else here.
import { decodeGray as decodeHere, encodePixels as encodeHere, type Pixels } from './png-codec'

interface Reply {
  id: number
  result?: unknown
  error?: string
}

let worker: Worker | null = null
let counter = 0
const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()

function ask<T>(request: object): Promise<T> {
  if (worker === null) {
    worker = new Worker(new URL('./png.worker.ts', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const entry = waiting.get(data.id)
      waiting.delete(data.id)
      if (data.error === undefined) entry?.resolve(data.result as never)
      else entry?.reject(new Error(data.error))
    }
  }
  const id = ++counter
  return new Promise<T>((resolve, reject) => {
    waiting.set(id, { resolve, reject })
    worker?.postMessage({ id, ...request })
  })
}

export async function encodePng(pixels: Pixels): Promise<Uint8Array> {
  return typeof Worker === 'undefined' ? encodeHere(pixels) : ask({ encode: pixels })
}

export async function decodeGray(png: Uint8Array): Promise<Pixels> {
  return typeof Worker === 'undefined' ? decodeHere(png) : ask({ decode: png })
}
