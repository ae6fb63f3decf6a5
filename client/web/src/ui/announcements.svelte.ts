// What a screen reader is told of the room: who is live, what became of edits, whom one follows.
import type { Job, Member } from '../protocol/types'

export class Announcements {
  said = $state('')
  readonly #lives = new Set<string>()

  say(text: string): void {
    this.said = text
  }

  followed(member: Member | null): void {
    this.said = member === null ? 'Following ended' : `Following ${member.name}`
  }

  /** An edit is in a new state. */
  job({ state, live, user_name }: Job, isMine: boolean): void {
    const isNews = !this.#lives.has(live) // a session is told of once
    if (live !== '') this.#lives.add(live)
    if (state === 'accepted') this.said = 'Result accepted'
    else if (live !== '' && isNews) this.said = isMine ? 'You are live' : `${user_name} is live`
    else if (live !== '') return
    else if (state === 'staged') this.said = isMine ? 'Your result is ready' : `A result by ${user_name} is ready`
    else if (state === 'queued') this.said = `${isMine ? 'Your edit' : `An edit by ${user_name}`} is queued`
  }
}
