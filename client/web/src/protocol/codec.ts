// Frames: a msgpack array of messages, both ways (R1).
import { decode, encode } from '@msgpack/msgpack'
import type { ClientMessage, OpId, ServerMessage } from './types'

export function frame(messages: readonly ClientMessage[]): Uint8Array<ArrayBuffer> {
  return encode(messages, { ignoreUndefined: true })
}

/** What a server sent. Messages of a kind that this build does not know are the caller's to ignore (R10). */
export function readFrame(data: ArrayBuffer): ServerMessage[] {
  const value: unknown = decode(new Uint8Array(data))
  if (!Array.isArray(value)) throw new TypeError('a frame must be an array of messages')
  return value as ServerMessage[]
}

export const opKey = (op: OpId): string => `${op[0]}-${op[1]}`
