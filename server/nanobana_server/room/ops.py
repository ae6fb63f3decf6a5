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

    async def do(self, op: m.Op) -> int:
        """Do it, durably, once (C6).

        Returns:
            The seq of its change in the log.

        Raises:
            NanobanaError: why not; nothing was changed then.
        """
        return (await self._done(op)).seq

    async def _done(self, op: m.Op) -> Committed:
        store, canvas, who = self._store, self._canvas, self.member
        author = Author(user=who.user, name=who.name, color=who.color, is_owner=who.role == "owner")
        match op:
            case m.Paint():
                return await ops.paint(store, canvas, author.user, op)
            case m.LayerAdd() | m.LayerSet() | m.LayerMove() | m.LayerDelete():
                return await ops.layer_op(store, canvas, author.user, op)
            case m.CanvasSet():
                return await ops.canvas_set(store, canvas, author.user, op)
            case m.Undo():
                return await ops.undo(store, canvas, author.user, op.op)
            case m.Redo():
                return await ops.redo(store, canvas, author.user, op.op)
            case m.Edit():
                await self._budgets.edit(canvas, author.user, self._link)
                return await jobs.submit(store, canvas, author, op)
            case m.Cancel():
                return await jobs.cancel(store, canvas, author, op)
            case m.Decide():
                return await jobs.decide(store, canvas, author, op)
