// Encodes and decodes PNGs off the main thread.
import { decodeGray, encodePixels, type Pixels } from './png-codec'

type Request = { id: number; encode: Pixels } | { id: number; decode: Uint8Array }

self.onmessage = (event: MessageEvent<Request>) => {
  const request = event.data
  try {
    const result = 'encode' in request ? encodePixels(request.encode) : decodeGray(request.decode)
    self.postMessage({ id: request.id, result })
  } catch (error) {
    self.postMessage({ id: request.id, error: String(error) })
  }
}
