// How the canvas page's components reach the open canvas.
import { getContext, setContext } from 'svelte'
import type { CanvasState } from '../state.svelte'

const KEY = Symbol('canvas')

export const provideCanvas = (state: CanvasState): CanvasState => setContext(KEY, state)
export const useCanvas = (): CanvasState => getContext<CanvasState>(KEY)
