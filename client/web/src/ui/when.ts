// How long ago something was, in few words.
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'narrow' })

export function when(ms: number): string {
  const seconds = Math.round((ms - Date.now()) / 1000)
  if (seconds > -60) return 'now'
  if (seconds > -3600) return ago.format(Math.round(seconds / 60), 'minute')
  if (seconds > -86_400) return ago.format(Math.round(seconds / 3600), 'hour')
  return ago.format(Math.round(seconds / 86_400), 'day')
}
