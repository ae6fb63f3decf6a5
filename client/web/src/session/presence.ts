// The others in the room: members, cursors that glide, strokes and masks in progress.
import { TILE, type Box, type Cursors, type Member, type MemberLook, type MemberMask, type MemberStroke, type ServerMessage } from '../protocol/types'
import { Emitter } from '../core/emitter'
import type { Others } from '../core/others'
import { decodeGray } from '../core/png'

export interface GlidingCursor {
  id: string
  member: Member
  x: number
  y: number
  toX: number
  toY: number
  /** What they are saying at it. */
  chat: string
  /** Hides it when it rests. */
  idle: ReturnType<typeof setTimeout>
}

interface Events {
  members: Member[]
  cursors: null
  redraw: null
  /** Somebody sees another part of the canvas. */
  look: Member
  said: string
}

const IDLE_MS = 12_000

export class Presence extends Emitter<Events> {
  readonly members = new Map<string, Member>()
  readonly cursors = new Map<string, GlidingCursor>()
  you: Member | null = null
  readonly #looks = new Map<string, Box>()
  #decoded: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(private readonly others: Others) {
    super()
  }

  welcome(you: Member, members: readonly Member[]): void {
    this.you = you
    for (const id of this.members.keys()) this.others.forget(id)
    this.members.clear()
    for (const id of this.cursors.keys()) this.#hide(id)
    for (const member of [...members, you]) this.members.set(member.id, member)
    this.emit('members', this.people())
  }

  /** One entry per person, me first. */
  people(): Member[] {
    const found = new Map<string, Member>()
    const mine = this.you
    if (mine !== null) found.set(mine.user, mine)
    for (const member of this.members.values()) if (!found.has(member.user)) found.set(member.user, member)
    return [...found.values()]
  }

  receive(message: ServerMessage): void {
    switch (message.t) {
      case 'joined':
        if (message.member.id !== this.you?.id && !this.members.has(message.member.id)) this.emit('said', `${message.member.name} joined`)
        this.members.set(message.member.id, message.member)
        if (message.member.id === this.you?.id) this.you = message.member
        this.emit('members', this.people())
        break
      case 'left':
        this.#left(message.id)
        break
      case 'cursors':
        this.#cursors(message)
        break
      case 'member_chat':
        this.#chat(message.member, message.chat.text ?? '')
        break
      case 'member_look':
        this.#look(message)
        break
      case 'member_stroke':
        this.#stroke(message)
        break
      case 'member_mask':
        this.#mask(message)
        break
      default:
    }
  }

  /** Moves every cursor towards where it was last seen; true while any is still moving. */
  glide(): boolean {
    let moving = false
    for (const cursor of this.cursors.values()) {
      const dx = cursor.toX - cursor.x
      const dy = cursor.toY - cursor.y
      if (Math.abs(dx) + Math.abs(dy) > 0.2) {
        cursor.x += dx * 0.35
        cursor.y += dy * 0.35
        moving = true
      }
    }
    if (moving) this.emit('cursors', null)
    return moving
  }

  #left(id: string): void {
    const member = this.members.get(id)
    this.members.delete(id)
    this.#looks.delete(id)
    this.#hide(id)
    this.others.forget(id)
    if (member !== undefined && ![...this.members.values()].some((other) => other.user === member.user)) this.emit('said', `${member.name} left`)
    this.emit('members', this.people())
    this.emit('cursors', null)
    this.emit('redraw', null)
  }

  #cursors({ rows }: Cursors): void {
    for (const [id, x, y] of rows) {
      const member = this.members.get(id)
      if (member === undefined || id === this.you?.id) continue
      if (x === null || y === null) {
        this.#hide(id)
        continue
      }
      const known = this.cursors.get(id)
      clearTimeout(known?.idle)
      const idle = setTimeout(() => this.#hide(id), IDLE_MS)
      if (known === undefined) this.cursors.set(id, { id, member, x, y, toX: x, toY: y, chat: '', idle })
      else Object.assign(known, { toX: x, toY: y, member, idle })
    }
    this.emit('cursors', null)
  }

  #hide(id: string): void {
    clearTimeout(this.cursors.get(id)?.idle)
    if (this.cursors.delete(id)) this.emit('cursors', null)
  }

  /** Words need a cursor to stand at; whoever types does not rest. */
  #chat(id: string, chat: string): void {
    const cursor = this.cursors.get(id)
    if (cursor === undefined) return
    if (chat !== '' && cursor.chat === '') this.emit('said', `${cursor.member.name} says something at their cursor`)
    cursor.chat = chat
    clearTimeout(cursor.idle)
    cursor.idle = setTimeout(() => this.#hide(id), IDLE_MS)
    this.emit('cursors', null)
  }

  #look({ member: id, look }: MemberLook): void {
    const member = this.members.get(id)
    if (member === undefined || id === this.you?.id) return
    this.#looks.delete(id)
    this.#looks.set(id, [look.x0, look.y0, look.x1, look.y1])
    this.emit('look', member)
  }

  /** What a person sees, where they said so: of several tabs the newest. */
  lookOf(user: string): Box | undefined {
    return [...this.#looks].findLast(([id]) => this.members.get(id)?.user === user)?.[1]
  }

  #stroke({ member, stroke }: MemberStroke): void {
    if (member === this.you?.id) return
    const key = `${member}/${stroke.id}`
    const { strokes } = this.others
    const known = strokes.get(key)
    const color = this.members.get(member)?.color ?? '#888888'
    const keep = known === undefined || stroke.kind === 'mask-rect' ? [] : known.stroke.points
    if (stroke.points.length > 0 || known !== undefined) {
      strokes.set(key, { member, stroke: { ...stroke, points: stroke.points.length === 0 ? (known?.stroke.points ?? []) : [...keep, ...stroke.points] }, color })
    }
    if (stroke.done) setTimeout(() => this.#fade(key), stroke.points.length === 0 && keep.length === 0 ? 0 : 1200)
    this.emit('redraw', null)
  }

  #fade(key: string): void {
    if (this.others.strokes.delete(key)) this.emit('redraw', null)
  }

  /** Tiles of this user's stroke are here: its trace may go. */
  painted(user: string): void {
    for (const [key, { member, stroke }] of this.others.strokes) {
      if (this.members.get(member)?.user === user && stroke.done === true && !stroke.kind.startsWith('mask')) this.others.strokes.delete(key)
    }
    this.emit('redraw', null)
  }

  /** Tiles are decoded in turn, so that an older one never covers a newer. */
  #mask({ member, tile, png }: MemberMask): void {
    if (member === this.you?.id) return
    this.#waiting++
    this.#decoded = this.#decoded.then(async () => {
      const data = png == null ? null : await decodeGray(png).then((gray) => (gray.data.length === TILE * TILE ? gray.data : null)).catch(() => null)
      this.#waiting--
      const who = this.members.get(member)
      if (who !== undefined && tile != null) this.others.setMask(member, who.color, tile, data)
      else this.others.clearMask(member)
      if (this.#waiting === 0) this.#fadeMaskStrokes()
      this.emit('redraw', null)
    })
  }

  /** The masks that these strokes made are here. */
  #fadeMaskStrokes(): void {
    for (const [key, { stroke }] of this.others.strokes) {
      if (stroke.kind.startsWith('mask') && stroke.done === true) this.others.strokes.delete(key)
    }
  }
}
