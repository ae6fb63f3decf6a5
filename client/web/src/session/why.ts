// Why a tool cannot be used now, as a sentence; a first paint stroke makes the layer that it needs.
import type { ToolName } from '../core/strokes'
import type { Session } from './session'

export function whyNot(session: Session, tool: ToolName): string | null {
  if (session.readOnly) return 'You are watching: this link does not let you change the canvas.'
  if (!session.hasSize) return 'The canvas has no size yet: add a picture or start a blank one.'
  if (tool !== 'paint' && tool !== 'erase') return null
  if (session.document.layers.length === 0 && tool === 'paint') session.addLayer('Paint')
  const layer = session.document.layers.find((item) => item.id === session.activeLayer)
  if (layer !== undefined && !layer.visible) return `“${layer.name}” is hidden: show it or choose another layer.`
  return session.activeLayer === null ? 'There is no layer to work on.' : null
}
