// What the roles are called, and what each may do, in the words of the page.
import type { Role } from '../protocol/types'

export const ROLES: readonly Role[] = ['editor', 'commenter', 'viewer', 'owner']

export const TITLES: Record<Role, string> = { owner: 'Owner', editor: 'Can edit', commenter: 'Can comment', viewer: 'Can watch' }

/** How links of a role are called for short: in test IDs and by the server. */
export const SHORT: Record<Role, string> = { owner: 'owner', editor: 'edit', commenter: 'comment', viewer: 'view' }
