// Small care for sentences that come from elsewhere.

/** With a capital and a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  const whole = /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`
  return whole.charAt(0).toUpperCase() + whole.slice(1)
}

const ago = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'narrow' })

/** How long ago, in a word or two. */
export function when(ms: number): string {
  const seconds = Math.round((ms - Date.now()) / 1000)
  if (seconds > -60) return 'now'
  if (seconds > -3600) return ago.format(Math.round(seconds / 60), 'minute')
  if (seconds > -86_400) return ago.format(Math.round(seconds / 3600), 'hour')
  return ago.format(Math.round(seconds / 86_400), 'day')
}
