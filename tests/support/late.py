"""A server whose ops others overtake."""

from collections.abc import Awaitable, Callable, Mapping

from nanobana_server.store import Store
from nanobana_server.store.types import Commit, Committed


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
