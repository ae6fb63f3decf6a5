import { expect, test } from 'vitest'
import { Holds } from '../src/core/holds'
import type { Lifted } from '../src/core/lift'
import { View } from '../src/core/view'
import { Mover } from '../src/session/mover'

const PLACED = { layer: 'photo', n: 7, steps: 3 }

/** With a picture in hand that was just brought in. */
async function placing(): Promise<{ mover: Mover; holds: Holds; fixed: (typeof PLACED | null)[] }> {
  const fixed: (typeof PLACED | null)[] = []
  const holds = new Holds()
  const lifted = { layer: 'photo', box: [0, 0, 90, 60], hole: null } as unknown as Lifted
  const mover: Mover = new Mover(holds, new View(), {
    layer: () => 'photo',
    whyNot: () => null,
    masked: () => false,
    lift: () => Promise.resolve(lifted),
    fix: () => {
      fixed.push(mover.placed)
      return `c-${fixed.length}`
    },
  })
  mover.placed = PLACED
  await mover.begin()
  return { mover, holds, fixed }
}

test('the first move that is put down is the one that places a picture', async () => {
  const { mover, holds, fixed } = await placing()
  mover.nudge(10, 0)
  mover.fix()
  holds.clear() // its tiles are on the screen
  await mover.begin()
  mover.nudge(0, 5)
  mover.fix()
  expect(fixed).toEqual([PLACED, null])
})

test('a picture that is put back is still being placed; put away where it came in, it is placed', async () => {
  const { mover, fixed } = await placing()
  mover.nudge(10, 0)
  mover.reset()
  expect([mover.changed, mover.placed]).toEqual([false, PLACED])
  mover.leave()
  expect([mover.placed, fixed]).toEqual([null, []])
})

test('the tool that is put away puts the picture down as the one that is placed', async () => {
  const { mover, fixed } = await placing()
  mover.nudge(0, 4)
  mover.leave()
  expect([mover.placed, fixed]).toEqual([null, [PLACED]])
})

test('a picture that comes while another is held is the one being placed', async () => {
  const { mover } = await placing()
  const next = { layer: 'sea', n: 9, steps: 4 }
  mover.nudge(1, 1)
  mover.placed = next
  mover.fix()
  expect(mover.placed).toBe(next)
})
