// Why a tool cannot be used now, as a sentence; a first paint stroke makes the layer that it needs.
import type { ToolName } from '../core/strokes'
import { around, isLocked } from '../protocol/stack'
import type { Session } from './session'

export function whyNot(session: Session, tool: ToolName): string | null {
  if (session.readOnly) return `You are ${session.role === 'commenter' ? 'here to comment' : 'watching'}: this link does not let you change the canvas.`
  if (!session.hasSize) return 'The canvas has no size yet: add a picture or start a blank one.'
  if (session.lookback.seq !== null && (tool === 'paint' || tool === 'erase' || tool === 'move')) return 'This is an earlier moment: go back to now to change it.'
  if (tool !== 'paint' && tool !== 'erase' && tool !== 'move') return null
  if (session.document.layers.length === 0 && tool === 'paint') session.addLayer('Paint')
  const { layers } = session.document
  const layer = layers.find((item) => item.id === session.activeLayer)
  if (layer === undefined) return session.activeLayer === null ? 'There is no layer to work on.' : null
  if (layer.group) return `“${layer.name}” is a group: choose a layer in it.`
  const hidden = [layer, ...around(layers, layer.id)].find((item) => !item.visible)
  if (hidden !== undefined) return `“${hidden.name}” is hidden: show it or choose another layer.`
  return isLocked(layers, layer) ? `“${layer.name}” is locked: unlock it or choose another layer.` : null
}
