// The first thing on a new canvas: a picture, a blank sheet, or a sheet that a prompt fills.
import { grow } from '../../protocol/geometry'
import { rectangle } from '../../core/raster'
import { bringImage, blank } from '../../session/bringing'
import type { CanvasState } from '../state.svelte'
import type { FirstStep } from '../route.svelte'
import { generate } from './generate'
import { wish } from './wish.svelte'

/** Side of a canvas that a prompt fills. */
const PROMPTED = 768
/** Left unmasked all around: small models then know what the sheet is like, large ones reach over it (E1). */
const FRAME = 48

export async function takeFirstStep(state: CanvasState, first: NonNullable<FirstStep>): Promise<void> {
  const { session } = state
  if (first.kind === 'file') return bringImage(session, first.file, first.file.name)
  if (first.kind === 'blank') return blank(session, first.width, first.height)
  await blank(session, PROMPTED, PROMPTED)
  session.mask.begin()
  session.mask.add(rectangle(grow(session.bounds(), -FRAME)), session.bounds())
  session.mask.finish()
  wish.prompt = first.prompt
  if (state.engines > 0) await generate(state, 'fill')
  else state.toasts.show('No engine is connected yet. Everything is masked and the prompt is set: press Generate when one is there.')
}
