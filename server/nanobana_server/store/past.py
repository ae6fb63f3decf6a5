"""What a canvas was at an earlier change, and what happened since, newest first (C13)."""

import copy
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import CanvasInfo, Change, Layer, Manifest, Version
from nanobana.protocol.errors import NotFound
from nanobana.protocol.replica import Replica
from nanobana_server.store.blobs import MissingBlobs
from nanobana_server.store.canvases import Canvases
from nanobana_server.store.history import Chapter, History, unpacked
from nanobana_server.store.pool import Pool
from nanobana_server.store.types import Gone

PAGE = 200
"""Changes looked through for one page, at most."""

KEPT_STATES = 48
"""Earlier states of canvases in memory: some hundred kilobytes each, and the next one asked for is often near."""

_change = msgspec.msgpack.Decoder(Change)
_layers = msgspec.msgpack.Decoder(list[Layer])
_version = msgspec.msgpack.Decoder(Version)


class Past(History, Canvases):
    """The part of the store that looks back."""

    def __init__(self, client: Client, pool: Pool) -> None:
        super().__init__(client, pool)
        self._states = _States()

    async def changes_before(self, canvas: str, before: int | None = None, limit: int = PAGE) -> list[Change]:
        """The changes right before a seq, newest first; None: the newest. Fewer than `limit` only at the beginning.

        Raises:
            NotFound: ``missing_blob``: a chapter is neither in the store nor in the cellar.
        """
        end = "+" if before is None else f"({before}-0"
        found = await self.client.call("XREVRANGE", CanvasKeys(canvas).log, end, "-", "COUNT", limit)
        newest = [_change.decode(fields[b"m"]) for _entry, fields in found]
        for chapter in reversed(await self.chapters(canvas)):
            oldest = newest[-1].seq if newest else before
            if len(newest) >= limit:
                break
            if oldest is None or chapter.first < oldest:
                older = await self.pool.run(_decoded, await self._entries(canvas, chapter))
                newest += [change for change in reversed(older) if oldest is None or change.seq < oldest]
        return newest[:limit]

    async def canvas_at(self, canvas: str, seq: int) -> Manifest:
        """The canvas as it was right after the change `seq`, for who looks at it; raises like `state_at`."""
        return _manifest(await self.state_at(canvas, seq), await self.info(canvas))

    async def state_at(self, canvas: str, seq: int) -> Replica:
        """The canvas as it was right after the change `seq`; 0: as it began. No open jobs; not to be changed.

        Raises:
            NotFound: ``no_moment`` for a seq that never was; ``no_canvas``; ``missing_blob``.
        """
        position = await self.position(canvas)
        if not 0 <= seq <= position.seq:
            text = f"This canvas has {position.seq} changes, there is none with the number {seq}."
            raise NotFound(text, code="no_moment")
        epoch = position.epoch
        state = self._states.nearest(canvas, epoch, seq) or await self._beginning(canvas)
        for chapter in await self.chapters(canvas):
            if state.position.seq < chapter.last and state.position.seq < seq:
                state = await self.pool.run(_moved_on, state, await self._entries(canvas, chapter), seq)
                self._states.keep(canvas, epoch, state)
        while state.position.seq < seq:
            tail = await self.read_tail(canvas, state.position.seq)
            state = await self.pool.run(_moved_on, state, [entry for _seq, entry in tail], seq)
        self._states.keep(canvas, epoch, state)
        return state

    async def versions(self, canvas: str) -> list[Version]:
        """The named versions, newest first."""
        found = await self.client.call("HVALS", CanvasKeys(canvas).versions)
        return sorted((_version.decode(data) for data in found), key=lambda v: (v.seq, v.created_ms), reverse=True)

    async def _entries(self, canvas: str, chapter: Chapter) -> list[bytes]:
        data = (await self.get_blobs(canvas, [chapter.blob]))[0]
        if data is None:
            raise MissingBlobs([chapter.blob])
        return await self.pool.run(unpacked, data)

    async def _beginning(self, canvas: str) -> Replica:
        """The canvas as it was made, before the first change."""
        fields = "first_title", "first_width", "first_height", "first_layers"
        title, width, height, layers = await self.client.call("HMGET", CanvasKeys(canvas).meta, *fields)
        state = Replica()
        state.info = CanvasInfo(id=canvas, title=title.decode(), width=int(width), height=int(height))
        state.layers = _layers.decode(layers)
        return state


class _States:
    """The last states that were made, by canvas, epoch and seq. They are never changed: going on is on a copy."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int], Replica] = OrderedDict()

    def nearest(self, canvas: str, epoch: int, seq: int) -> Replica | None:
        known = [key for key in self._kept if key[:2] == (canvas, epoch) and key[2] <= seq]
        if not known:
            return None
        best = max(known, key=lambda key: key[2])
        self._kept.move_to_end(best)
        return self._kept[best]

    def keep(self, canvas: str, epoch: int, state: Replica) -> None:
        self._kept[canvas, epoch, state.position.seq] = state
        self._kept.move_to_end((canvas, epoch, state.position.seq))
        while len(self._kept) > KEPT_STATES:
            self._kept.popitem(last=False)


def _moved_on(state: Replica, entries: Sequence[bytes], seq: int) -> Replica:
    """A copy of the state with the entries that follow on it, up to `seq`."""
    new = copy.copy(state)
    new.tiles, new.jobs = dict(state.tiles), {}
    for change in _decoded(entries):
        if change.seq == new.position.seq + 1 and change.seq <= seq:
            new.apply(change)
    if new.position.seq == state.position.seq:
        raise Gone("trimmed", state.position.epoch)
    return new


def _decoded(entries: Sequence[bytes]) -> list[Change]:
    return [_change.decode(entry) for entry in entries]


def _manifest(state: Replica, now: CanvasInfo) -> Manifest:
    info = msgspec.structs.replace(state.info, id=now.id, used_bytes=now.used_bytes, budget_bytes=now.budget_bytes)
    return Manifest(position=state.position, canvas=info, layers=state.layers, tiles=state.refs(), jobs=[])
