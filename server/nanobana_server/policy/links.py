"""Which links of a canvas still hold: remembered for a second, forgotten at once when somebody says so (R7)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import anyio

from nanobana.protocol.errors import NotAllowed
from nanobana_server.store import Store

MAX_AGE_S = 1.0
_CANVASES = 1024


class LinkWatch:
    """Answers from memory whether a link holds, so that fetching a tile costs no trip to the store.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Mapping[str, bool]]] = OrderedDict()
        self._waiting: dict[str, anyio.Event] = {}
        self._forgotten = 0

    async def links(self, canvas: str) -> Mapping[str, bool]:
        """Link ID → whether it holds, at most `MAX_AGE_S` old; empty where there is no such canvas."""
        known = self._known.get(canvas)
        if known is not None and self._clock() - known[0] < MAX_AGE_S:
            return known[1]
        asked, forgotten = self._clock(), self._forgotten
        kept = await self._store.list_links(canvas)
        if not kept and await self._store.wake(canvas):
            kept = await self._store.list_links(canvas)
        links = {link.id: not link.revoked for link in kept}
        if forgotten != self._forgotten:  # the answer may be from before the change
            return links
        self._known[canvas] = (asked, links)
        self._known.move_to_end(canvas)
        if len(self._known) > _CANVASES:
            self._known.popitem(last=False)
        return links

    async def require(self, canvas: str, link: str) -> None:
        """Raises NotAllowed ``revoked`` unless the link holds."""
        if not (await self.links(canvas)).get(link, False):
            raise NotAllowed("this link was revoked or its canvas deleted: ask its owner for another", code="revoked")

    def forget(self, canvas: str) -> None:
        """The links of a canvas have changed: ask the store again, and wake who waits for that."""
        self._forgotten += 1
        self._known.pop(canvas, None)
        event = self._waiting.pop(canvas, None)
        if event is not None:
            event.set()

    async def changed(self, canvas: str, timeout: float) -> None:
        """Return when `forget` is called for the canvas, or after `timeout` seconds."""
        event = self._waiting.setdefault(canvas, anyio.Event())
        try:
            with anyio.move_on_after(timeout):
                await event.wait()
        finally:
            if self._waiting.get(canvas) is event:
                del self._waiting[canvas]
