// Behaviour 20: what Ctrl+↑ and Ctrl+↓ make of a word.
import { expect, test } from 'vitest'
import { type Field, weighed } from '../src/ui/canvas/weigh'

/** A text with its selection between bars, or its cursor at the only one. */
function field(marked: string): Field {
  const [before = '', ...rest] = marked.split('|')
  return { text: [before, ...rest].join(''), start: before.length, end: before.length + (rest.length > 1 ? rest[0]!.length : 0) }
}

function after(marked: string, ...steps: (1 | -1)[]): string {
  const { text, start, end } = steps.reduce(weighed, field(marked))
  return `${text.slice(0, start)}|${text.slice(start, end)}|${text.slice(end)}`
}

test('behaviour 20: the word at the cursor weighs more or less, and stays selected for the next step', () => {
  expect(after('a gol|den dog', 1)).toBe('a (|golden|:1.1) dog')
  expect(after('a golden| dog', 1, 1)).toBe('a (|golden|:1.2) dog')
  expect(after('a golden d|og', -1)).toBe('a golden (|dog|:0.9)')
  expect(after('ein gr|üner Hund', 1)).toBe('ein (|grüner|:1.1) Hund')
})

test('behaviour 20: several words weigh together, and back at 1.0 nothing is left of it', () => {
  expect(after('a| golden dog |here', 1)).toBe('a (|golden dog|:1.1) here')
  expect(after('a| golden dog |here', 1, -1)).toBe('a |golden dog| here')
  expect(after('a (gol|den:0.9) dog', 1)).toBe('a |golden| dog')
})

test('behaviour 20: weights end where the engine no longer takes them, and between words there is nothing to weigh', () => {
  expect(after('(d|og:3.0)', 1)).toBe('(|dog|:3.0)')
  expect(after('(d|og:0.1)', -1)).toBe('(|dog|:0.1)')
  expect(after('a , | dog', 1)).toBe('a , || dog')
})
