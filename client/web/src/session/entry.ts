// The way in: which client ID this tab has, and the link's secret for a ticket.
import { ApiError, ticket, type Ticket } from '../net/api'
import { hold, identity, randomId, remember } from '../net/identity'

const KEY = 'nanobana.client'

/** This tab's ID. One with unsent ops whose tab is gone is taken over, so that they go out under their own names. */
export async function clientId(unsent: readonly string[]): Promise<string> {
  const mine = sessionStorage.getItem(KEY)
  for (const client of new Set([...unsent, ...(mine === null ? [] : [mine])])) {
    if (await hold(client)) return keep(client)
  }
  const fresh = randomId(12)
  await hold(fresh)
  return keep(fresh)
}

function keep(client: string): string {
  sessionStorage.setItem(KEY, client)
  return client
}

/** A ticket for the room. A server that does not know this browser's user ID any more gives it a new one. */
export async function enter(canvas: string, secret: string, watch: boolean): Promise<Ticket> {
  const { name, user, userKey } = identity()
  const got = await exchange()
  if (got.user_key != null && got.user_key !== '') remember({ user: got.user, userKey: got.user_key })
  return got

  async function exchange(): Promise<Ticket> {
    if (userKey === '') return ticket(canvas, { secret, name, watch })
    try {
      return await ticket(canvas, { secret, name, watch, user, user_key: userKey })
    } catch (error) {
      if (error instanceof ApiError && error.code === 'user_key_wrong') return ticket(canvas, { secret, name, watch })
      throw error
    }
  }
}
