// Small care for sentences that come from elsewhere.

/** With a capital and a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  const whole = /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`
  return whole.charAt(0).toUpperCase() + whole.slice(1)
}
