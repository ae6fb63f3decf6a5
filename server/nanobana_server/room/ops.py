"""A member's ops, handed to the store and to the jobs (design §3.2); access was checked before."""

from nanobana.protocol import messages as m
from nanobana_server import jobs
from nanobana_server.policy.budgets import Budgets
from nanobana_server.store import Store, ops
from nanobana_server.store.types import Author, Committed


class Ops:
    """Does one member's ops on one canvas."""

    def __init__(self, store: Store, canvas: str, member: m.Member, link: str, budgets: Budgets) -> None:
        self._store = store
        self._canvas = canvas
        self._link = link
        self._budgets = budgets
        self.member = member
        """Replaced when an owner gives them another role."""

    async def do(self, op: m.Op) -> Committed:
        """Do it, durably, once (C6).

        Raises:
            NanobanaError: why not; nothing was changed then.
        """
        if isinstance(op, m.Edit):
            await self._budgets.edit(self._canvas, self.member.user, self._link)
        return await done(self._store, self._canvas, author_of(self.member), op)


def author_of(member: m.Member) -> Author:
    """A member as the author of ops."""
    return Author(user=member.user, name=member.name, color=member.color, is_owner=member.role == "owner")


async def done(store: Store, canvas: str, author: Author, op: m.Op, *, since: int | None = None) -> Committed:
    """Do an op, durably, once; raises as `Ops.do`.

    Args:
        since: seq of the first change of the minutes that an `UndoPerson` means; None: by the store's clock.
    """
    match op:
        case m.Paint():
            return await ops.paint(store, canvas, author.user, op)
        case m.Transform():
            return await ops.transform(store, canvas, author.user, op)
        case m.CanvasSet():
            return await ops.canvas_set(store, canvas, author.user, op)
        case m.Undo() | m.Redo() | m.UndoPerson():
            return await _turned(store, canvas, author.user, op, since)
        case m.CommentAdd() | m.CommentDelete() | m.ThreadResolve():
            return await ops.comment_op(store, canvas, author, op)
        case m.Restore():
            return await ops.restore(store, canvas, author.user, op)
        case m.VersionSet():
            return await ops.version_set(store, canvas, author, op)
        case m.Edit():
            return await jobs.submit(store, canvas, author, op)
        case m.Cancel():
            return await jobs.cancel(store, canvas, author, op)
        case m.Decide():
            return await jobs.decide(store, canvas, author, op)
        case _:
            return await ops.layer_op(store, canvas, author.user, op)


async def _turned(
    store: Store, canvas: str, user: str, op: m.Undo | m.Redo | m.UndoPerson, since: int | None
) -> Committed:
    match op:
        case m.Undo():
            return await ops.undo(store, canvas, user, op.op)
        case m.Redo():
            return await ops.redo(store, canvas, user, op.op)
        case m.UndoPerson():
            if since is None:
                since = await store.first_since(canvas, await store.now_ms() - op.minutes * 60_000)
            return await ops.undo_person(store, canvas, user, op.op, op.user, since)
