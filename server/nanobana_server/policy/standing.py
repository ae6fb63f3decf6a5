"""Who may be on a canvas and as what: remembered for a second, forgotten at once when somebody says so (R7)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from weakref import WeakValueDictionary

import anyio
import msgspec

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Role
from nanobana.protocol.errors import NotAllowed
from nanobana_server.policy.tokens import Access
from nanobana_server.store import Store
from nanobana_server.store.verdicts import Verdict

STANDING_CHANGED = b"\xc1standing"
"""On a canvas's volatile channel: links or people changed. 0xc1 begins no msgpack, so no message is mistaken for it."""

MAX_AGE_S = 1.0
_CANVASES = 1024

CLOSES: Mapping[str, int] = {"revoked": m.CLOSE_REVOKED, "kicked": m.CLOSE_KICKED, "banned": m.CLOSE_BANNED}
"""Close code for each refusal of `Standing.role_of` (R8)."""


class Standing(msgspec.Struct, frozen=True):
    """What counts on one canvas now."""

    links: frozenset[str]
    """Those that hold; none where there is no such canvas."""
    verdicts: Mapping[str, Verdict]
    """By user, what owners decided."""

    def role_of(self, access: Access) -> Role:
        """What somebody is here now, whatever they were when they came.

        Raises:
            NotAllowed: ``revoked``, ``kicked`` or ``banned``.
        """
        verdict = self.verdicts.get(access.user)
        if verdict is not None and verdict.banned:
            raise NotAllowed("an owner has removed you from this canvas", code="banned")
        if access.link not in self.links:
            text = "the link by which you came was revoked or has expired: ask for another"
            raise NotAllowed(text, code="revoked")
        if verdict is not None and verdict.kicked_ms >= access.issued_ms:
            raise NotAllowed("an owner has asked you to leave", code="kicked")
        if access.watch:
            return "viewer"
        return access.role if verdict is None or verdict.role is None else verdict.role


class StandingWatch:
    """Answers from memory who may be on a canvas, so that fetching a tile costs no trip to the store.

    Args:
        server: this server's ID on the volatile channel.
        clock: monotonic seconds.
    """

    def __init__(self, store: Store, server: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._server = server
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Standing]] = OrderedDict()
        self._waiting: WeakValueDictionary[str, anyio.Event] = WeakValueDictionary()
        self._forgotten = 0

    async def of(self, canvas: str) -> Standing:
        """The canvas's standing, at most `MAX_AGE_S` old."""
        known = self._known.get(canvas)
        if known is not None and self._clock() - known[0] < MAX_AGE_S:
            return known[1]
        asked, forgotten = self._clock(), self._forgotten
        stay = await self._store.who_may_stay(canvas)
        if stay is None and await self._store.wake(canvas):
            stay = await self._store.who_may_stay(canvas)
        if stay is None:
            standing = Standing(frozenset(), {})
        else:
            standing = Standing(stay.links, {verdict.user: verdict for verdict in stay.verdicts})
        if forgotten != self._forgotten:  # the answer may be from before the change
            return standing
        self._known[canvas] = (asked, standing)
        self._known.move_to_end(canvas)
        if len(self._known) > _CANVASES:
            self._known.popitem(last=False)
        return standing

    async def role_of(self, access: Access) -> Role:
        """What somebody is on their canvas now; raises like `Standing.role_of`."""
        return (await self.of(access.canvas)).role_of(access)

    async def announce(self, canvas: str) -> None:
        """Links or people of a canvas have just been changed here: every server looks again at once."""
        self.forget(canvas)
        await self._store.publish(canvas, self._server, STANDING_CHANGED)

    def forget(self, canvas: str) -> None:
        """Links or people of a canvas have changed: ask the store again, and wake who waits for that."""
        self._forgotten += 1
        self._known.pop(canvas, None)
        event = self._waiting.pop(canvas, None)
        if event is not None:
            event.set()

    def news(self, canvas: str) -> anyio.Event:
        """Set when `forget` is called for the canvas; taken before `of` is asked, it tells of what that came before."""
        return self._waiting.setdefault(canvas, anyio.Event())
