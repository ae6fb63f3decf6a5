// Words that weigh more or less: Ctrl+↑ and Ctrl+↓ on a word of the prompt write and change `(word:1.1)`.
export interface Field {
  text: string
  start: number
  end: number
}

const STEP = 0.1
const LIGHTEST = 0.1
const HEAVIEST = 3

/** The word at the cursor, or what is selected, a step heavier (1) or lighter (-1); at 1.0 its brackets go. */
export function weighed(field: Field, by: 1 | -1): Field {
  const { text } = field
  let [start, end] = word(field)
  if (start === end) return field
  let weight = 1
  const around = brackets(text, start, end)
  if (around !== null) ({ start, end, weight } = around)
  const inner = around?.inner ?? text.slice(start, end)
  const next = Math.round(Math.min(HEAVIEST, Math.max(LIGHTEST, weight + by * STEP)) * 10) / 10
  const written = next === 1 ? inner : `(${inner}:${next.toFixed(1)})`
  const from = start + (next === 1 ? 0 : 1)
  return { text: text.slice(0, start) + written + text.slice(end), start: from, end: from + inner.length }
}

/** What is selected without the spaces around it, or the word that the cursor is in or at the end of. */
function word({ text, start, end }: Field): [number, number] {
  if (start !== end) {
    const picked = text.slice(start, end)
    const from = start + picked.length - picked.trimStart().length
    return [from, from + picked.trim().length]
  }
  const isPart = (at: number): boolean => at >= 0 && at < text.length && /[\p{L}\p{M}\p{N}'’-]/u.test(text[at]!)
  while (isPart(start - 1)) start--
  while (isPart(end)) end++
  return [start, end]
}

/** The weight that a part of the text has by brackets right around it. */
function brackets(text: string, start: number, end: number): (Field & { inner: string; weight: number }) | null {
  const weight = /^:(\d+(?:\.\d+)?)\)/.exec(text.slice(end))
  if (weight === null || text[start - 1] !== '(') return null
  return { text, start: start - 1, end: end + weight[0].length, inner: text.slice(start, end), weight: Number(weight[1]) }
}
