// The browser's half of nanobana.protocol.checksum: a CRC-32 over layers and tile names (R9).
import type { Layer } from './types'

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

/** @param tileNames `layer/tx/ty → name`, transparent ones left out. */
export function canvasSum(layers: readonly Layer[], tileNames: Readonly<Record<string, string>>): number {
  const rows = layers.map((layer) => `${layer.id} ${Number(layer.visible)}${Number(layer.locked)} ${layer.blend} ${layer.parent}`)
  rows.push(...Object.entries(tileNames).map(([place, name]) => `${place} ${name}`).sort())
  let crc = 0xffffffff
  for (const byte of new TextEncoder().encode(rows.join('\n'))) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
