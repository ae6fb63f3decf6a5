"""A server whose ops and looks others overtake."""

from collections.abc import Awaitable, Callable, Mapping

from nanobana_server.store import Store
from nanobana_server.store.access import Stay
from nanobana_server.store.types import Commit, Committed


class Overtaken(Store):
    """Something happens after it read who may stay, and before it has the answer; once."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.client, store.pool)
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def who_may_stay(self, canvas: str) -> Stay | None:
        found = await super().who_may_stay(canvas)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return found


class Late(Store):
    """Something happens between what it read and its first commit."""

    def __init__(self, store: Store, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(store.client, store.pool)
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def commit(self, canvas: str, commit: Commit, *, blobs: Mapping[str, bytes] | None = None) -> Committed:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return await super().commit(canvas, commit, blobs=blobs)
