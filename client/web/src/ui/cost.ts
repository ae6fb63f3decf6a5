// What an edit recomputed, in words for people.
import type { Cost } from '../protocol/types'

/** Below it nobody would have noticed. */
const LEAST_MS = 50

/** In one line, e.g. "Recomputed 12 % of the picture · about 1.4 s saved"; of time only what its engine knows. */
export function recomputed(cost: Cost): string {
  const share = `Recomputed ${part(cost.cells / cost.cells_of)} of the picture`
  return cost.saved_ms !== null && cost.saved_ms >= LEAST_MS ? `${share} · about ${seconds(cost.saved_ms)} saved` : share
}

/** The rest of it, a sentence each. */
export function inDetail(cost: Cost): string[] {
  const lines = [`Changed pixels in ${whole(cost.tiles)} of ${whole(cost.tiles_of)} ${cost.tiles_of === 1 ? 'tile' : 'tiles'} at the most.`]
  if (cost.encoded !== null) lines.push(`Read ${part(cost.encoded)} of the picture into the model${cost.decoded === null ? '' : `, and ${part(cost.decoded)} back out of it`}.`)
  else if (cost.decoded !== null) lines.push(`Read ${part(cost.decoded)} of the picture back out of the model.`)
  if (cost.saved_ms === null) lines.push('How long the whole picture would have taken is not known.')
  else if (cost.saved_ms < LEAST_MS) lines.push('The whole picture would have taken no longer, as far as is known.')
  return lines
}

function part(share: number): string {
  if (share === 0) return 'nothing'
  if (share < 0.01) return 'less than 1 %'
  if (share < 1) return `${Math.min(99, Math.round(share * 100))} %`
  return share < 1.05 ? 'all' : `${share.toFixed(1)} times all`
}

const whole = (count: number) => count.toLocaleString()

function seconds(ms: number): string {
  const s = ms / 1000
  if (s < 0.095) return `${s.toFixed(2)} s`
  if (s < 9.95) return `${s.toFixed(1)} s`
  return s < 90 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`
}
