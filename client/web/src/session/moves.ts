// How the move tool meets the rest of a session: what it lifts, how it puts it down, and who is shown it.
import { INLINE, type Op } from '../protocol/types'
import { opKey } from '../protocol/codec'
import { lift, type Lifted } from '../core/lift'
import { cornersOf, pointOf, type Affine } from '../core/placement'
import { Holding } from './holding'
import { Mover } from './mover'
import type { Session } from './session'
import { whyNot } from './why'

export function moverOf(session: Session): Mover {
  const { document, tiles, slots, picture, mask } = session
  return new Mover(picture.holds, session.view, {
    layer: () => session.activeLayer,
    whyNot: () => whyNot(session, 'move'),
    masked: () => !mask.isEmpty && session.mover.placed?.layer !== session.activeLayer,
    lift: (layer, masked) => lift(document, tiles, (...at) => slots.address(...at), layer, masked ? mask : null),
    fix: (lifted, matrix) => fix(session, lifted, matrix),
  })
}

/** One op, undone with the one that brought a picture in while that is being placed; the mask goes with it, as it goes with an edit. */
function fix(session: Session, { layer, hole }: Lifted, matrix: Affine): string {
  const { sender, copier, mask } = session
  const op = sender.nextId()
  const copy = hole === null ? null : copier.copy()
  const group = broughtBy(session, layer)
  void sender.push(async () => {
    const message: Op = { t: 'transform', op, layer, matrix, group }
    if (copy === null) return { op: message }
    const png = await copy.png
    const { box } = copy.coverage
    if (png.length <= INLINE) return { op: { ...message, box, mask_png: png } }
    return { op: { ...message, box }, upload: { bytes: png, field: 'mask_blob' } }
  })
  if (copy !== null) {
    mask.clear()
    mask.forgetHistory()
  }
  if (group === null) session.acted('op')
  return opKey(op)
}

/** Number of the op that brought a layer in, while it is being placed and I did nothing else since. */
function broughtBy({ mover: { placed }, steps }: Session, layer: string): number | null {
  return placed?.layer === layer && placed.steps === steps.count ? placed.n : null
}

/** Puts down what is held; who was only placing a picture has their tool back. False where nothing is held. */
export function putDown({ mover, tools }: Session): boolean {
  if (mover.back !== null) tools.set({ tool: mover.back })
  else if (mover.changed) mover.fix()
  else return false
  return true
}

export function holdingOf(session: Session): Holding {
  const { document, tiles, slots, picture, presence, others } = session
  return new Holding(picture.holds, {
    colorOf: (member) => presence.members.get(member)?.color ?? '#888888',
    userOf: (member) => presence.members.get(member)?.user,
    lift: async (layer, member, masked) => {
      const mask = masked ? others.maskOf(member) : null
      return masked && mask === null ? null : lift(document, tiles, (...at) => slots.address(...at), layer, mask)
    },
    redraw: () => redraw(session),
  })
}

function redraw({ loop }: Session): void {
  loop.dirty('picture')
  loop.dirty('overlay')
}

export function wireMoves(session: Session): void {
  const { mover, tools, overlay, picture, showing } = session
  overlay.holds = () => picture.holds.all()
  let tool = tools.state.tool
  tools.on('settings', ({ tool: now }) => {
    if (now === tool) return
    tool = now
    overlay.hover = null
    if (now === 'move') void mover.begin()
    else mover.leave()
  })
  session.on('activeLayer', () => tool === 'move' && mover.held?.layer !== session.activeLayer && take(session))
  session.mask.on('change', () => tool === 'move' && !mover.changed && void mover.begin())
  picture.landed = () => {
    if (tool === 'move' && mover.held === null) void mover.begin()
    redraw(session)
  }
  mover.on('moving', (moving) => {
    showing.holds(moving)
    session.loop.wake()
  })
  session.presence.on('members', () => mover.repeat())
  mover.on('refused', (text) => session.emit('toast', { tone: 'info', text }))
  mover.on('change', () => {
    const { held } = mover
    const at = (across: number, down: number) => pointOf(held!.box, held!.place, across, down)
    overlay.grip = held === null ? null : { corners: cornersOf(held.box, held.place), sides: [at(0, -1), at(1, 0), at(0, 1), at(-1, 0)], knob: mover.knob, masked: held.masked }
    redraw(session)
    session.emit('state', null)
  })
  session.view.on('change', () => mover.held !== null && mover.emit('change', null))
}

/** Another layer was chosen with the tool in hand: what is held is put down, and that one lifted, unless a picture was only to be placed. */
function take({ mover, tools, activeLayer }: Session): void {
  mover.fix()
  if (mover.placed?.layer !== activeLayer) mover.placed = null
  if (mover.placed === null && mover.back !== null) tools.set({ tool: mover.back })
  else void mover.begin()
}
