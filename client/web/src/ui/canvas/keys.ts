// The keyboard: one table of shortcuts, for the listener and for the sheet that `?` opens.
import { tinykeys } from 'tinykeys'
import { rectangle } from '../../core/raster'
import { intersect, isEmpty, outward } from '../../protocol/geometry'
import type { ToolName } from '../../core/strokes'
import { copyOut } from '../../session/copy-out'
import { putDown } from '../../session/moves'
import type { CanvasState } from '../state.svelte'

export interface Shortcut {
  keys: string[]
  /** How the sheet writes it. */
  shown: string[]
  what: string
  group: 'Tools' | 'Mask' | 'Generate' | 'View' | 'Edit' | 'Together'
  run?: (event: KeyboardEvent) => unknown
}

export interface Commands {
  generate: () => void
  generateFirst: () => void
  help: () => void
  exportPng: () => void
  fitSelection: () => void
}

/** What a text field leaves to the canvas. */
const WHILE_TYPING: ReadonlySet<string> = new Set(['$mod+Enter', '$mod+Shift+Enter'])

/** One press of an arrow key, in CSS pixels. */
const PAN = 80

const TOOLS: [key: string, tool: ToolName, what: string][] = [
  ['b', 'mask', 'Mask brush'],
  ['r', 'rect', 'Rectangle mask'],
  ['l', 'lasso', 'Lasso mask'],
  ['p', 'paint', 'Paint brush'],
  ['e', 'erase', 'Eraser'],
  ['v', 'move', 'Move, scale and turn a layer or what is masked'],
  ['h', 'hand', 'Hand'],
  ['i', 'pick', 'Colour picker'],
]

export function shortcuts(state: CanvasState, commands: Commands): Shortcut[] {
  const { session } = state
  const { tools, view } = session
  const scale = (to: number) => () => view.setScale(to)
  const list: Shortcut[] = TOOLS.map(([key, tool, what]) => ({ keys: [key], shown: [key.toUpperCase()], what, group: 'Tools', run: () => tools.set({ tool }) }))
  list.push(
    { keys: ['['], shown: ['['], what: 'Smaller brush', group: 'Tools', run: () => tools.setSize(tools.size / 1.2 - 0.5) },
    { keys: [']'], shown: [']'], what: 'Larger brush', group: 'Tools', run: () => tools.setSize(tools.size * 1.2 + 0.5) },
    { keys: ['m'], shown: ['M'], what: 'Paint inside the mask only', group: 'Tools', run: () => tools.set({ inMask: !tools.state.inMask }) },
    { keys: ['Shift+ArrowLeft', 'Shift+ArrowRight', 'Shift+ArrowUp', 'Shift+ArrowDown'], shown: ['←', '↑', '→', '↓'], what: 'Nudge what is held; with Shift by 10', group: 'Tools', run: (event) => nudge(state, event, 10) },
    { keys: ['Shift', 'Alt'], shown: ['Shift', 'Alt'], what: 'While scaling: let the ratio go, keep the middle', group: 'Tools' },
    { keys: ['x'], shown: ['X'], what: 'Swap colours', group: 'Tools', run: () => swapColors(state) },
    { keys: ['Alt'], shown: ['Alt', 'drag'], what: 'Take away from the mask', group: 'Mask' },
    { keys: ['Shift'], shown: ['Shift'], what: 'Straight line, square', group: 'Mask' },
    { keys: ['q'], shown: ['Q'], what: 'Show or hide the mask', group: 'Mask', run: () => state.toggleMask() },
    { keys: ['Shift+V'], shown: ['Shift', 'V'], what: 'Invert the mask', group: 'Mask', run: () => invertMask(state) },
    { keys: ['$mod+a'], shown: ['Ctrl', 'A'], what: 'Mask everything in view', group: 'Mask', run: () => maskView(state) },
    { keys: ['$mod+c'], shown: ['Ctrl', 'C'], what: 'Copy the masked part as a picture', group: 'Mask', run: () => copySelection(state) },
    { keys: ['$mod+d'], shown: ['Ctrl', 'D'], what: 'Clear the mask', group: 'Mask', run: () => clearMask(state) },
    { keys: ['$mod+Enter'], shown: ['Ctrl', 'Enter'], what: 'Generate', group: 'Generate', run: commands.generate },
    { keys: ['$mod+Shift+Enter'], shown: ['Ctrl', 'Shift', 'Enter'], what: 'Generate before my others', group: 'Generate', run: commands.generateFirst },
    { keys: ['Alt+ArrowUp'], shown: ['Alt', '↑ ↓'], what: 'In the prompt: one of my earlier prompts', group: 'Generate' },
    { keys: ['$mod+ArrowUp'], shown: ['Ctrl', '↑ ↓'], what: 'In the prompt: the word at the cursor weighs more or less', group: 'Generate' },
    { keys: ['Shift+L'], shown: ['Shift', 'L'], what: 'Live: generate while painting', group: 'Generate', run: () => !session.readOnly && session.live.toggle() },
    { keys: ['Shift+X'], shown: ['Shift', 'X'], what: 'Cancel my running edit', group: 'Generate', run: () => cancelNewest(state) },
    { keys: ['Enter'], shown: ['Enter'], what: 'Put down what is held, accept the result, or write the prompt', group: 'Generate', run: () => acceptOrPrompt(state) },
    { keys: ['Escape'], shown: ['Esc'], what: 'Give back what is held, discard the result, or clear the mask', group: 'Generate', run: () => discardOrClear(state) },
    { keys: ['ArrowLeft'], shown: ['←'], what: 'Previous variation', group: 'Generate', run: (event) => nudge(state, event, 1) || walkOrPan(state, -1) },
    { keys: ['ArrowRight'], shown: ['→'], what: 'Next variation', group: 'Generate', run: (event) => nudge(state, event, 1) || walkOrPan(state, 1) },
    { keys: ['\\'], shown: ['\\', 'hold'], what: 'Compare with before', group: 'Generate', run: () => state.compare(true) },
    { keys: ['Space'], shown: ['Space', 'drag'], what: 'Pan', group: 'View', run: () => (session.input.spaceHeld = true) },
    { keys: ['ArrowUp', 'ArrowDown'], shown: ['←', '↑', '→', '↓'], what: 'Pan, while no result waits', group: 'View', run: (event) => nudge(state, event, 1) || view.pan(0, event.key === 'ArrowUp' ? PAN : -PAN) },
    { keys: ['$mod+0', 'Shift+1'], shown: ['Ctrl', '0'], what: 'Fit the canvas', group: 'View', run: () => session.fit() },
    { keys: ['$mod+1'], shown: ['Ctrl', '1'], what: '100 %', group: 'View', run: scale(1) },
    { keys: ['$mod+2'], shown: ['Ctrl', '2'], what: '200 %', group: 'View', run: scale(2) },
    { keys: ['Shift+2'], shown: ['Shift', '2'], what: 'Fit the mask', group: 'View', run: commands.fitSelection },
    { keys: ['$mod+='], shown: ['Ctrl', '+'], what: 'Zoom in', group: 'View', run: () => view.zoomAt(view.centre(), 1.25) },
    { keys: ['$mod+-'], shown: ['Ctrl', '−'], what: 'Zoom out', group: 'View', run: () => view.zoomAt(view.centre(), 0.8) },
    { keys: ['/'], shown: ['/'], what: 'Say something at the cursor', group: 'Together', run: () => state.chat() },
    { keys: ['Shift+C'], shown: ['Shift', 'C'], what: 'Show or hide the others’ cursors', group: 'Together', run: () => state.toggleCursors() },
    { keys: ['c'], shown: ['C'], what: 'Pin a comment', group: 'Together', run: () => state.comments.pin() },
    { keys: ['$mod+z'], shown: ['Ctrl', 'Z'], what: 'Undo my last change', group: 'Edit', run: () => session.undo() },
    { keys: ['$mod+Shift+Z', '$mod+y'], shown: ['Ctrl', 'Shift', 'Z'], what: 'Redo', group: 'Edit', run: () => session.redo() },
    { keys: ['$mod+Shift+E'], shown: ['Ctrl', 'Shift', 'E'], what: 'Export as PNG', group: 'Edit', run: commands.exportPng },
    { keys: ['Shift+?'], shown: ['?'], what: 'This sheet', group: 'Edit', run: commands.help },
  )
  return list
}

/** Starts listening; the answer stops. Typing in a field keeps its keys, those that generate excepted. */
export function listen(list: Shortcut[], state: CanvasState): () => void {
  const map: Record<string, (event: KeyboardEvent) => void> = {}
  for (const { keys, run } of list) {
    if (run === undefined) continue
    for (const key of keys) {
      map[key] = (event) => {
        if (typing(event) && !WHILE_TYPING.has(key)) return
        if (key === '$mod+c' && String(getSelection()) !== '') return // words are copied as ever
        if ((key === 'Enter' || key === 'Space') && isPressedByKey(event.target)) return
        if ((key === 'Escape' || key.includes('Arrow')) && document.querySelector('dialog[open], [popover]:popover-open') !== null) return
        if (key.includes('Arrow') && event.target instanceof HTMLElement && event.target.closest('[role=radiogroup], [role=listbox], input') !== null) return
        event.preventDefault()
        run(event)
      }
    }
  }
  const stop = tinykeys(window, map)
  const up = (event: KeyboardEvent): void => {
    if (event.code === 'Space') state.session.input.spaceHeld = false
    if (event.key === '\\') state.compare(false)
  }
  window.addEventListener('keyup', up)
  return () => {
    stop()
    window.removeEventListener('keyup', up)
  }
}

function typing(event: KeyboardEvent): boolean {
  const target = event.target
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input:not([type=range]):not([type=checkbox]), textarea, select'))
}

export function swapColors({ session: { tools } }: CanvasState): void {
  const { brush, second } = tools.state
  tools.set({ brush: { ...brush, color: second }, second: brush.color })
}

export function invertMask({ session }: CanvasState): void {
  if (!session.hasSize || session.readOnly) return
  session.mask.invert(session.bounds())
  session.acted('mask')
}

/** A region without dragging: zoom and pan to it with the keyboard, then mask what is in view. */
function maskView({ session }: CanvasState): void {
  if (!session.hasSize || session.readOnly) return
  const { insets, screenWidth, screenHeight } = session.view
  const a = session.view.toCanvas({ x: insets.left, y: insets.top })
  const b = session.view.toCanvas({ x: screenWidth - insets.right, y: screenHeight - insets.bottom })
  const box = intersect(outward(a.x, a.y, b.x, b.y), session.bounds())
  if (isEmpty(box)) return
  session.mask.begin()
  session.mask.add(rectangle(box), box)
  session.mask.finish()
  session.acted('mask')
}

/** What the move tool holds goes a step; false where it holds nothing. */
function nudge({ session: { mover } }: CanvasState, { key }: KeyboardEvent, by: number): boolean {
  if (mover.held === null) return false
  mover.nudge(key === 'ArrowLeft' ? -by : key === 'ArrowRight' ? by : 0, key === 'ArrowUp' ? -by : key === 'ArrowDown' ? by : 0)
  return true
}

function walkOrPan({ session: { edits, view } }: CanvasState, by: number): void {
  const job = edits.current()
  if (job === null) view.pan(-by * PAN, 0)
  else edits.walk(job, by)
}

export function clearMask({ session }: CanvasState): void {
  if (session.mask.isEmpty) return
  session.mask.clear()
  session.acted('mask')
}

/** What is under the mask, or nothing where there is none. */
export function copySelection({ session, toasts }: CanvasState): void {
  if (session.mask.isEmpty) return toasts.show('Mask a part first: that is what is copied.')
  copyOut(session.id, session.mask).then(
    () => toasts.show('Copied as a picture.'),
    (error: unknown) => toasts.show(`Nothing was copied: ${error instanceof Error ? error.message : String(error)}`, 'error'),
  )
}

function cancelNewest({ session: { edits } }: CanvasState): void {
  withJob(
    edits.open().findLast((job) => edits.mine(job) && job.state !== 'staged') ?? null,
    (job) => edits.cancel(job),
  )
}

function discardOrClear(state: CanvasState): void {
  const { session } = state
  if (session.tools.drawing) return session.tools.abort()
  if (session.mover.changed) return session.mover.reset()
  if (session.mover.back !== null) return session.tools.set({ tool: session.mover.back })
  if (state.followed !== null) return session.following.toggle(null)
  if (state.comments.isOpen) return state.comments.show(null)
  if (state.lookingBack !== null) return state.lookBack(null)
  if (state.looking !== null) return session.lookback.leave()
  if (session.live.isOn && !session.mask.isEmpty) return session.live.discard()
  const job = session.edits.current()
  if (job === null) clearMask(state)
  else session.edits.decide(job, false)
}

function acceptOrPrompt({ session }: CanvasState): void {
  const { edits, live } = session
  if (putDown(session)) return
  if (live.staged !== null) return live.accept()
  const job = edits.current()
  if (job === null) document.querySelector<HTMLInputElement>('[data-testid=prompt]')?.focus()
  else edits.decide(job, true)
}

/** Enter and the space bar are its own there. */
function isPressedByKey(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('button, summary')
}

function withJob<T>(job: T | null, act: (job: T) => void): void {
  if (job !== null) act(job)
}
