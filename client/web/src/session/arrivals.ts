// What arrives from the server, and where it goes: replica, previews, presence, imports, answers.
import type { Change, Checksum, Member, Role, ServerMessage } from '../protocol/types'
import { opKey } from '../protocol/codec'
import type { Provisional } from '../core/provisional'
import type { Session } from './session'

export function receive(session: Session, message: ServerMessage): void {
  const { document, presence, results, sender, imports } = session
  switch (message.t) {
    case 'welcome':
      presence.welcome(message.you, message.members)
      session.role = message.you.role
      session.engines = (message.model ?? '') === '' ? 0 : Math.max(1, session.engines)
      session.overlay.maskColor = message.you.color
      session.showing.silent = session.readOnly
      document.canvas = message.canvas
      if (message.manifest != null) document.load(message.manifest)
      session.showing.again()
      break
    case 'resync':
      document.load(message.manifest)
      break
    case 'checksum':
      compare(session, message)
      break
    case 'ack':
      sender.acked(message.op, message.seq)
      break
    case 'reject':
      sender.rejected(message.op, message.code, message.message, message.retry_ms ?? null)
      break
    case 'change':
      applyChange(session, message.change)
      break
    case 'preview':
      void results.receive(message)
      break
    case 'member_moving':
      if (message.member !== presence.you?.id) session.holding.receive(message)
      return
    case 'left':
      session.holding.forget(message.id)
      presence.receive(message)
      break
    case 'import':
      imports.receive(message)
      break
    case 'engines':
      session.engines = message.count
      session.models = message.models ?? []
      session.loading = message.loading ?? ''
      break
    case 'joined':
      presence.receive(message)
      if (message.member.id === presence.you?.id) becomes(session, message.member)
      break
    case 'problem':
      if (message.code !== 'not_allowed') session.emit('said', message.message)
      break
    default:
      presence.receive(message)
      return
  }
  session.emit('state', null)
}

const NOW: Record<Role, string> = {
  owner: 'You are an owner of this canvas now.',
  editor: 'You may change this canvas now.',
  commenter: 'You may comment here now, and change nothing.',
  viewer: 'You are watching now, and change nothing.',
}

/** An owner gave this person another role (R7). */
function becomes(session: Session, { role }: Member): void {
  if (session.role === role) return
  session.role = role
  session.showing.silent = session.readOnly
  if (session.readOnly) session.live.toggle(false)
  session.emit('toast', { tone: 'info', text: NOW[role] })
}

function applyChange(session: Session, change: Change): void {
  const { document, provisionals, presence, loop } = session
  const { job } = change
  const before = job === null ? undefined : document.jobs.get(job.id)?.state
  const accepted = job?.state === 'accepted' ? lastLook(session, change) : []
  if (!document.apply(change)) return
  if (change.about !== null) tellTaken(session, change.user, change.about)
  if (change.thread !== null) session.threads.apply(change.thread, change.seq)
  provisionals.settle(opKey(change.op), change.seq)
  session.picture.holds.settle(opKey(change.op), change.seq)
  session.holding.changed(change)
  const held = session.mover.held?.layer
  if (held !== undefined && change.tiles.some(([layer]) => layer === held)) void session.mover.again()
  for (const look of accepted) provisionals.add(look)
  presence.painted(change.user)
  if (change.layers !== null) session.chooseLayer()
  if (change.canvas !== null) session.fitOnce()
  if (job !== null && before !== job.state) session.emit('job', job)
  if (!isQueued(change)) loop.dirty('picture')
  loop.dirty('overlay')
}

/** Whether an edit begins to wait and nothing else: that is seen in the outlines only. */
function isQueued({ job, tiles, layers, canvas }: Change): boolean {
  return job?.state === 'queued' && tiles.length === 0 && layers === null && canvas === null
}

/** An owner took somebody's work back: both are told. */
function tellTaken(session: Session, owner: string, about: string): void {
  const { you } = session.presence
  const name = (user: string): string => session.presence.people().find((member) => member.user === user)?.name ?? 'an owner'
  if (you?.user === about) session.emit('toast', { tone: 'info', text: `${name(owner)} took back what you did in the last minutes. What others did over it stays.` })
  else if (you?.user === owner) session.emit('toast', { tone: 'info', text: 'Taken back. Ctrl+Shift+Z brings it back.' })
}

/** Says so if this page's copy is not what the store has at the same position; the answer is a manifest (R9). */
function compare({ document, connection }: Session, { position, sum }: Checksum): void {
  if (position[0] !== document.position[0] || position[1] !== document.seq) return
  const mine = document.sum()
  if (mine !== sum) connection.send([{ t: 'diverged', position, sum: mine }])
}

/** An accepted result stays on the screen as it was until its tiles are there. */
function lastLook({ results }: Session, { job, tiles, seq }: Change): Provisional[] {
  const layer = tiles[0]?.[0]
  if (job === null || layer === undefined) return []
  const looks = results.shown().filter((item) => item.job.id === job.id && item.full)
  // where parts are here, the small picture beneath them is left out: together they would be too dense
  const whole = looks.some(({ except }) => except.length > 0) ? looks.filter(({ except }) => except.length === 0) : looks
  return whole.map(({ box, image }, index) => {
    return { key: `${job.id}/${index}`, layer, box, image, mode: 'over', seq }
  })
}
