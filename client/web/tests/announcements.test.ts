import { expect, test } from 'vitest'
import { Announcements } from '../src/ui/announcements.svelte'
import { job } from './support'

/** What was said of these states of edits, one after the other; '' where nothing new was. */
function said(...states: [Parameters<typeof job>[1], boolean][]): string[] {
  const announcements = new Announcements()
  return states.map(([rest, isMine]) => {
    announcements.say('')
    announcements.job(job('j', rest), isMine)
    return announcements.said
  })
}

test('an edit is told of by whose it is and what became of it', () => {
  expect(said([{ state: 'queued' }, true], [{ state: 'running' }, true], [{ state: 'staged' }, false], [{ state: 'accepted' }, true], [{ state: 'discarded' }, true])).toEqual([
    'Your edit is queued',
    '',
    'A result by Ana is ready',
    'Result accepted',
    '',
  ])
})

test('a live session is told of once, and what was taken of it', () => {
  expect(said([{ live: 'l', state: 'queued' }, false], [{ live: 'l', state: 'staged' }, false], [{ live: 'l', state: 'accepted' }, false], [{ live: 'm', state: 'queued' }, true])).toEqual([
    'Ana is live',
    '',
    'Result accepted',
    'You are live',
  ])
})
