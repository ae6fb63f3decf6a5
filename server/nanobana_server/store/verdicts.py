"""What owners decided about people: another role, sent away, banned; all others are what their link says (R7)."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Role
from nanobana.protocol.errors import NotAllowed, NotFound
from nanobana_server.store.base import Base

Deed = Literal["role", "kick", "ban", "forgive"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about somebody."""

    user: str
    role: Role | None = None
    """Instead of their link's."""
    banned: bool = False
    kicked_ms: int = 0
    """Whoever came in before this is out; who comes after it is not meant. By the store's clock."""


_verdict = msgspec.msgpack.Decoder(Verdict)


def read_verdicts(kept: Iterable[bytes]) -> list[Verdict]:
    """As they are kept, by user ID."""
    return sorted((_verdict.decode(data) for data in kept), key=lambda verdict: verdict.user)


class Verdicts(Base):
    """The part of the store that knows what was decided about people."""

    async def verdicts(self, canvas: str) -> list[Verdict]:
        """Everything that was decided, by user ID."""
        return read_verdicts(await self.client.call("HVALS", CanvasKeys(canvas).verdicts))

    async def decide_about(self, canvas: str, actor: str, user: str, deed: Deed, role: Role | None = None) -> None:
        """Change somebody's role, send them away, ban them or let them come again.

        Args:
            actor: the owner who does it.
            role: the new one, for ``role``.

        Raises:
            NotAllowed: ``not_yourself``, or the actor is no owner any more.
            NotFound: ``no_canvas``.
        """
        if actor == user:
            raise NotAllowed("ask another owner to do that to you", code="not_yourself")
        keys = CanvasKeys(canvas)
        what = await self.client.run("set_verdict", [keys.verdicts, keys.meta], [actor, user, deed, role or ""])
        if what == b"not_owner":
            raise NotAllowed("you are no owner of this canvas any more")
        if what == b"no_canvas":
            raise NotFound("the canvas was deleted meanwhile", code="no_canvas")
