import { decode, encode } from '@msgpack/msgpack'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Connection, type ConnectionState, type Dial } from '../src/net/connection'
import { ApiError, type Ticket } from '../src/net/api'
import { manifest } from './support'

class FakeSocket {
  static readonly OPEN = 1
  readyState = 1
  bufferedAmount = 0
  binaryType = ''
  sent: Uint8Array[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  send(data: Uint8Array): void {
    this.sent.push(data)
  }
  close(code = 1000): void {
    this.onclose?.({ code, reason: '' })
  }
  say(...messages: object[]): void {
    this.onmessage?.({ data: encode(messages).slice().buffer })
  }
}

const WELCOME = { t: 'welcome', protocol: 1, you: { id: 'm', user: 'u', name: 'A', color: '#000000', role: 'editor' }, position: [1, 10, null], canvas: {}, members: [], manifest: manifest() }

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', FakeSocket)
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function open(ticket: () => Promise<Ticket> = async () => ({ ticket: 't' }) as Ticket) {
  const sockets: FakeSocket[] = []
  const dial: Dial = { ticket, client: 'tab', position: () => [1, 10, null], open: () => (sockets.push(new FakeSocket()), sockets.at(-1) as unknown as WebSocket) }
  const connection = new Connection(dial)
  const states: ConnectionState['kind'][] = []
  connection.on('state', (state) => states.push(state.kind))
  connection.start()
  await vi.advanceTimersByTimeAsync(0)
  return { connection, sockets, states }
}

test('R1 hello is the first frame, and welcome makes it live', async () => {
  const { connection, sockets, states } = await open()
  sockets[0]?.onopen?.()
  expect(sockets[0]?.sent).toHaveLength(1)
  expect(connection.live).toBe(false)
  sockets[0]?.say(WELCOME)
  expect(connection.live).toBe(true)
  expect(states).toEqual(['connecting', 'live'])
})

test('R8 codes below 4500 come back after a wait, with a new ticket', async () => {
  const { connection, sockets } = await open()
  sockets[0]?.say(WELCOME)
  sockets[0]?.close(4000)
  expect(connection.state.kind).toBe('waiting')
  await vi.advanceTimersByTimeAsync(1000)
  expect(sockets).toHaveLength(2)
})

test('R8 codes from 4500 on are final, with the reason that the server gave', async () => {
  const { connection, sockets } = await open()
  sockets[0]?.say(WELCOME, { t: 'problem', code: 'revoked', message: 'the link was revoked' })
  sockets[0]?.close(4500)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sockets).toHaveLength(1)
  expect(connection.state).toMatchObject({ kind: 'ended', code: 4500, reason: 'the link was revoked' })
})

test('a wrong link ends it, a server that is away does not', async () => {
  const wrong = await open(async () => Promise.reject(new ApiError(403, 'bad_link', 'wrong')))
  expect(wrong.connection.state.kind).toBe('ended')
  const away = await open(async () => Promise.reject(new ApiError(0, 'offline', 'away')))
  expect(away.connection.state.kind).toBe('waiting')
})

test('R10 a kind of message that this build does not know is passed by', async () => {
  const { connection, sockets } = await open()
  sockets[0]?.say(WELCOME, { t: 'from_the_future', x: 1 })
  expect(connection.live).toBe(true)
})

test('C4 a frame that does not fit is answered by joining afresh, not by guessing', async () => {
  const { connection, sockets } = await open()
  sockets[0]?.say(WELCOME)
  const stop = connection.on('message', () => {
    throw new Error('epoch 2 on a document of epoch 1')
  })
  expect(() => sockets[0]?.say({ t: 'change', change: {} })).toThrow()
  stop()
  expect(connection.state.kind).toBe('waiting')
  await vi.advanceTimersByTimeAsync(1000)
  sockets[1]?.onopen?.()
  const hello = decode(sockets[1]?.sent[0] ?? new Uint8Array()) as { position: unknown }[]
  expect(hello[0]?.position).toBeNull()
})
