// What may be done to a layer in the list: where it goes when it is dragged or stepped, and whether it can be merged down.
import { around, block, isLocked } from '../protocol/stack'
import type { Layer } from '../protocol/types'

export interface Place {
  index: number
  parent: string
}

const groupOf = (layers: readonly Layer[], id: string): Layer | undefined => around(layers, id)[0]

/** Dropped onto a group it goes into it, on top; onto a layer it takes that one's place. Null: it is there already. */
export function dropped(layers: readonly Layer[], id: string, onto: string): Place | null {
  const part = block(layers, id)
  const target = layers.find((layer) => layer.id === onto)
  if (target === undefined || part.includes(target) || part.length === 0) return null
  const rest = layers.filter((layer) => !part.includes(layer))
  const at = rest.indexOf(target)
  if (target.group) return { index: at, parent: target.id }
  const rises = layers.indexOf(part[0]!) < layers.indexOf(target)
  return { index: rises ? at + 1 : at, parent: groupOf(layers, onto)?.id ?? '' }
}

/** One step up (1) or down (-1) past its neighbour; at the edge of a group, out of it. Null: there is nowhere to go. */
export function stepped(layers: readonly Layer[], id: string, by: 1 | -1): Place | null {
  const part = block(layers, id)
  const rest = layers.filter((layer) => !part.includes(layer))
  const group = groupOf(layers, id)
  const siblings = layers.filter((layer) => groupOf(layers, layer.id) === group)
  const neighbour = siblings[siblings.findIndex((layer) => layer.id === id) + by]
  const past = neighbour ?? group
  if (past === undefined) return null
  const index = by === 1 ? rest.indexOf(past) + 1 : rest.indexOf(block(rest, past.id)[0]!)
  return { index, parent: (neighbour === undefined ? groupOf(layers, past.id) : group)?.id ?? '' }
}

/** Why a layer, or a group, cannot be merged into the one beneath it; null where it can. The server says the same (C1). */
export function whyNotMerged(layers: readonly Layer[], layer: Layer): string | null {
  const below = layers[layers.indexOf(block(layers, layer.id)[0]!) - 1]
  if (below === undefined || groupOf(layers, below.id) !== groupOf(layers, layer.id)) return 'There is no layer beneath this one'
  if (below.group) return 'What is beneath is a group: merge what is in it first'
  if (!below.visible || !layer.visible) return 'Only layers that show are merged: show both first'
  return isLocked(layers, layer) || isLocked(layers, below) ? 'One of both is locked' : null
}
