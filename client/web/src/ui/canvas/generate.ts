// Generate and Erase from the mask bar or the keyboard.
import type { CanvasState } from '../state.svelte'
import { wish } from './wish.svelte'

export async function generate(state: CanvasState, mode: 'fill' | 'erase', front = false): Promise<void> {
  const { session, toasts } = state
  if (session.readOnly) return
  if (session.live.isOn && mode === 'fill') {
    session.live.touch()
    wish.remember()
    return
  }
  if (session.mask.isEmpty) {
    toasts.show('Paint a mask first: the mask is the part that will change.')
    return
  }
  try {
    const sent = session.edits.generate({ ...wish.read(mode, session.target, state.facts), front })
    session.acted('op') // before what is masked while it is being sent
    await sent
    wish.remember()
  } catch (error) {
    toasts.show(`The edit was not sent, the canvas is unchanged: ${error instanceof Error ? error.message : String(error)}`, 'error')
  }
}
