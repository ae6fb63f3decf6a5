// How the parts of a session hear of each other.
import { opKey } from '../protocol/codec'
import { receive } from './arrivals'
import { wireMoves } from './moves'
import type { Session } from './session'

export function wire(session: Session): void {
  const picture = (): void => session.loop.dirty('picture')
  const overlay = (): void => session.loop.dirty('overlay')
  session.view.on('change', () => {
    session.look()
    picture()
    overlay()
  })
  session.lookback.on('change', () => {
    picture()
    session.emit('state', null)
  })
  session.tiles.on('loaded', (url) => {
    if (!session.results.isAhead(url)) picture()
  })
  session.tiles.on('missing', (url) => missing(session, url))
  session.results.on('change', () => {
    picture()
    session.emit('state', null)
  })
  session.presence.on('redraw', overlay)
  session.presence.on('members', () => session.look())
  session.presence.on('cursors', () => session.loop.wake())
  session.presence.on('said', (text) => session.emit('said', text))
  session.tools.on('redraw', (what) => session.loop.dirty(what))
  session.tools.on('undo', () => session.undo())
  session.tools.on('redo', () => session.redo())
  session.tools.on('refused', (text) => session.emit('toast', { tone: 'info', text }))
  session.tools.on('masked', () => {
    session.acted('mask')
    session.live.touch()
  })
  session.on('job', (job) => session.live.settled(job))
  session.live.on('change', () => {
    session.overlay.maskQuiet = session.live.isOn && session.live.staged !== null
    overlay()
    session.emit('state', null)
  })
  session.tools.on('painted', (stroke) => {
    if (session.activeLayer !== null && session.painting.paint(stroke, session.activeLayer, session.bounds(), session.tools.clips ? session.mask : null) > 0) {
      session.acted('op')
      session.live.touch()
    }
    picture()
  })
  session.mask.on('change', overlay)
  wireMoves(session)
  session.document.on('reset', () => onReset(session))
  session.connection.on('welcome', () => {
    session.sender.reconnected()
    session.live.touch()
  })
  session.connection.on('message', (message) => receive(session, message))
  session.sender.on('unsaved', (count) => session.emit('unsaved', count))
  session.sender.on('renamed', ({ from, to }) => {
    session.live.renamed(from, opKey(to))
    session.picture.holds.rename(from, opKey(to))
    const item = [...session.provisionals.all()].find((p) => p.key === from)
    if (item === undefined) return
    session.provisionals.drop(from)
    session.provisionals.add({ ...item, key: opKey(to) })
  })
  session.sender.on('held', (text) => session.emit('toast', { tone: 'info', text }))
  session.sender.on('refused', ({ op, code, message }) => {
    session.provisionals.drop(opKey(op.op))
    if (session.picture.holds.drop(opKey(op.op))) session.picture.landed()
    picture()
    if (op.t === 'edit' && op.edit.live != null) {
      session.live.refused(`${op.op[0]}-${op.op[1]}`, message)
      return
    }
    if (code === 'nothing_to_undo' || code === 'nothing_to_redo') session.emit('said', message)
    else session.emit('toast', { tone: op.t === 'undo' || op.t === 'redo' ? 'info' : 'error', text: message })
  })
}

/** Bytes of a name that should be there are gone: after a moment for the change to arrive, read the manifest (C8). */
function missing(session: Session, url: string): void {
  if (!url.includes('/blobs/')) return
  const name = url.slice(url.lastIndexOf('/') + 1)
  setTimeout(() => {
    if (Object.values(session.document.tileNames()).includes(name)) session.connection.refresh()
  }, 1500)
}

function onReset(session: Session): void {
  void session.threads.load()
  for (const item of session.provisionals.all()) if (!session.outbox.pending().some((p) => opKey(p.op.op) === item.key)) session.provisionals.drop(item.key)
  session.holding.clear()
  session.picture.holds.clear()
  session.chooseLayer()
  if (session.tools.state.tool === 'move') void session.mover.begin()
  session.fitOnce()
  session.loop.dirty('picture')
  session.loop.dirty('overlay')
}
