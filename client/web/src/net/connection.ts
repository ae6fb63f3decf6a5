// The socket: ticket, hello, frames both ways, reconnecting with jitter and resuming by position (R1, R5, R8).
import { CLOSE_BANNED, PROTOCOL_VERSION, type ClientMessage, type Position, type Problem, type ServerMessage, type Welcome } from '../protocol/types'
import { frame, readFrame } from '../protocol/codec'
import { Emitter } from '../core/emitter'
import { ApiError, type Ticket } from './api'

export type ConnectionState =
  /** since: when the connection was lost, in ms of the clock; 0 before the first. */
  | { kind: 'connecting'; since: number }
  | { kind: 'live' }
  | { kind: 'waiting'; until: number; since: number }
  | { kind: 'ended'; code: number; reason: string }

interface Events {
  state: ConnectionState
  message: ServerMessage
  welcome: Welcome
}

export interface Dial {
  ticket(): Promise<Ticket>
  open(): WebSocket
  client: string
  position(): Position | null
}

const FIRST_MS = 300
const MOST_MS = 15_000
const QUIET_MS = 25_000
/** A whole manifest is asked for at most this often. */
const REFRESH_MS = 5000

export class Connection extends Emitter<Events> {
  state: ConnectionState = { kind: 'connecting', since: 0 }
  lastProblem: Problem | null = null
  #socket: WebSocket | null = null
  #attempt = 0
  #since = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #ping: ReturnType<typeof setInterval> | undefined
  #heard = 0
  #closed = false
  #fresh = false
  #refreshed = 0

  constructor(private readonly dial: Dial) {
    super()
  }

  get live(): boolean {
    return this.state.kind === 'live'
  }

  start(): void {
    void this.#connect()
    if (typeof window === 'undefined') return
    window.addEventListener('online', this.#wake)
    document.addEventListener('visibilitychange', this.#wake)
  }

  stop(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#ping)
    this.#socket?.close(1000)
    window.removeEventListener('online', this.#wake)
    document.removeEventListener('visibilitychange', this.#wake)
  }

  /** False when there is no live socket; nothing is kept here, that is the outbox's work. */
  send(messages: readonly ClientMessage[]): boolean {
    if (!this.live || this.#socket?.readyState !== WebSocket.OPEN) return false
    this.#socket.send(frame(messages))
    return true
  }

  /** Volatile messages are dropped rather than piled up. */
  sendVolatile(message: ClientMessage): void {
    if (this.roomy) this.send([message])
  }

  /** Little waits in the socket: what may be lost is worth sending. */
  get roomy(): boolean {
    return (this.#socket?.bufferedAmount ?? 0) < 65_536
  }

  /** Try again now instead of when the wait is over. */
  readonly retry = (): void => {
    if (this.state.kind !== 'waiting') return
    clearTimeout(this.#timer)
    void this.#connect()
  }

  /** A fresh ticket and hello on a new socket, resuming where we are: e.g. with a new name. */
  renew(): void {
    if (this.live) this.#socket?.close(1000)
    else this.retry()
  }

  /** Joins afresh, with a whole manifest: what we have does not fit what the server says (C4, C8). */
  refresh(): void {
    const soonAgain = Date.now() - this.#refreshed < REFRESH_MS
    this.#refreshed = Date.now()
    this.#fresh = true
    if (soonAgain) this.lastProblem = { t: 'problem', code: '', message: '', retry_ms: REFRESH_MS }
    this.drop()
  }

  /** After an end, e.g. to watch a full room. */
  again(): void {
    if (this.state.kind === 'ended') void this.#connect()
  }

  /** Breaks the socket, as a bad network would. */
  drop(): void {
    const socket = this.#socket
    if (socket === null) return
    this.#lost(4000, '')
    socket.close(1000)
  }

  readonly #wake = (): void => {
    if (document.visibilityState === 'visible') this.retry()
  }

  #become(state: ConnectionState): void {
    this.state = state
    this.emit('state', state)
  }

  async #connect(): Promise<void> {
    this.#become({ kind: 'connecting', since: this.#since })
    let ticket: Ticket
    try {
      ticket = await this.dial.ticket()
    } catch (error) {
      const final = error instanceof ApiError && [401, 403, 404, 410].includes(error.status)
      if (final) this.#become({ kind: 'ended', code: error.code === 'banned' ? CLOSE_BANNED : error.status, reason: error.message })
      else this.#later(error instanceof ApiError ? (error.retryMs ?? 0) : 0)
      return
    }
    if (this.#closed) return
    const socket = this.dial.open()
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    socket.onopen = () => {
      socket.send(frame([{ t: 'hello', protocol: PROTOCOL_VERSION, ticket: ticket.ticket, client: this.dial.client, position: this.#fresh ? null : this.dial.position() }]))
    }
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      if (socket === this.#socket) this.#receive(event.data)
    }
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code, event.reason)
    }
  }

  #receive(data: ArrayBuffer): void {
    this.#heard = performance.now()
    try {
      for (const message of readFrame(data)) {
        if (message.t === 'welcome') this.#welcome(message)
        else if (message.t === 'problem') this.lastProblem = message
        this.emit('message', message)
      }
    } catch (error) {
      // a frame that does not fit what we have: start again from a manifest rather than guess
      this.refresh()
      throw error
    }
  }

  #welcome(message: Welcome): void {
    this.#attempt = 0
    this.#since = 0
    this.#fresh = false
    clearInterval(this.#ping)
    this.#ping = setInterval(() => {
      if (performance.now() - this.#heard > QUIET_MS * 2) this.#socket?.close(4000)
      else this.send([{ t: 'ping', n: 1 }])
    }, QUIET_MS)
    this.#become({ kind: 'live' })
    this.emit('welcome', message)
  }

  #lost(code: number, reason: string): void {
    this.#socket = null
    clearInterval(this.#ping)
    if (this.#closed) return
    if (code >= 4500 && code <= 4999) {
      this.#become({ kind: 'ended', code, reason: this.lastProblem?.message ?? reason })
      return
    }
    this.#later(this.lastProblem?.retry_ms ?? 0)
    this.lastProblem = null
  }

  #later(least = 0): void {
    if (this.#since === 0) this.#since = Date.now()
    const base = Math.min(MOST_MS, FIRST_MS * 2 ** this.#attempt)
    const wait = Math.max(least, base * (0.5 + Math.random()))
    this.#attempt++
    this.#become({ kind: 'waiting', until: Date.now() + wait, since: this.#since })
    this.#timer = setTimeout(() => void this.#connect(), wait)
  }
}
