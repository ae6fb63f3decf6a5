// The list of layers as the tree that it stands for: the browser's half of nanobana.protocol.stack (C1).
import type { Layer } from './types'

export interface Node {
  layer: Layer
  /** What a group holds, bottom to top. */
  inside: Node[]
}

/** The top level, bottom to top. */
export function tree(layers: readonly Layer[]): Node[] {
  const groupOf = groupsOf(layers)
  const nodes = new Map(layers.map((layer) => [layer.id, { layer, inside: [] as Node[] }]))
  const top: Node[] = []
  for (const layer of layers) {
    const group = nodes.get(groupOf.get(layer.id) ?? '')
    ;(group?.inside ?? top).push(nodes.get(layer.id)!)
  }
  return top
}

/** The groups that a layer is in, the nearest first. */
export function around(layers: readonly Layer[], id: string): Layer[] {
  const groupOf = groupsOf(layers)
  const found: Layer[] = []
  for (let at = groupOf.get(id); at !== undefined; at = groupOf.get(at)) found.push(layers.find((layer) => layer.id === at)!)
  return found
}

/** A layer, or a group with all that is in it, as they stand in the list. */
export function block(layers: readonly Layer[], id: string): Layer[] {
  return layers.filter((layer) => layer.id === id || around(layers, layer.id).some((group) => group.id === id))
}

/** Whether it is locked, or a group around it is. */
export function isLocked(layers: readonly Layer[], layer: Layer): boolean {
  return layer.locked || around(layers, layer.id).some((group) => group.locked)
}

export const isShown = (layer: Layer): boolean => layer.visible && layer.opacity > 0

/** The layers with pixels that show: neither they nor a group around them hidden or faded away; bottom to top. */
export function seen(layers: readonly Layer[]): Layer[] {
  const of = ({ layer, inside }: Node): Layer[] => (!isShown(layer) ? [] : layer.group ? inside.flatMap(of) : [layer])
  return tree(layers).flatMap(of)
}

/** The group of each layer that is in one. Groups that undo has put into each other are at the top level. */
function groupsOf(layers: readonly Layer[]): Map<string, string> {
  const groups = new Set(layers.filter((layer) => layer.group).map((layer) => layer.id))
  const named = new Map(layers.filter((layer) => groups.has(layer.parent)).map((layer) => [layer.id, layer.parent]))
  return new Map([...named].filter(([id]) => !isRing(named, id)))
}

function isRing(named: ReadonlyMap<string, string>, id: string): boolean {
  const passed = new Set([id])
  let at = named.get(id)
  for (; at !== undefined && !passed.has(at); at = named.get(at)) passed.add(at)
  return at === id
}
