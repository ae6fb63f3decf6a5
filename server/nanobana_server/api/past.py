"""Looking back: what happened, the canvas as it was at a moment, and small pictures of it."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.canvas import Change, Layer
from nanobana.protocol.geometry import bounding, tile_box
from nanobana.protocol.past import Moment, Moments
from nanobana_server.api.blobs import immutable
from nanobana_server.api.bodies import read_query
from nanobana_server.api.edge import Json
from nanobana_server.policy.tokens import Access
from nanobana_server.store import Store
from nanobana_server.store.past import PAGE


class _Page(msgspec.Struct, frozen=True):
    """Query of GET …/past."""

    before: Annotated[int, Meta(ge=1)] | None = None


class Past:
    """Handlers of what was."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, request: Request, access: Access) -> Response:
        """What can be seen of the changes before a seq, newest first, with the people who made them."""
        before = read_query(request, _Page, "which moments?").before
        changes = await self._store.changes_before(access.canvas, before)
        moments = moments_of(changes)
        known = await self._store.people(access.canvas, {moment.user for moment in moments})
        page = Moments(
            moments=moments,
            people=list(known.values()),
            before=changes[-1].seq if len(changes) == PAGE and changes[-1].seq > 1 else None,
            versions=await self._store.versions(access.canvas) if before is None else [],
        )
        return Json(page, headers={"cache-control": "no-store"})

    async def canvas(self, request: Request, access: Access) -> Response:
        """The manifest of a moment."""
        manifest = await self._store.canvas_at(access.canvas, request.path_params["seq"])
        return Json(manifest, headers={"cache-control": "no-store"})

    async def mip(self, request: Request, access: Access) -> Response:
        """A mip tile of a moment, by the key of its content."""
        at = request.path_params
        data = await self._store.past_mip_tile(
            access.canvas, at["seq"], at["layer"], at["level"], at["tx"], at["ty"], at["key"]
        )
        return immutable(data, at["key"])

    async def thumb(self, request: Request, access: Access) -> Response:
        """The whole canvas at a moment, small; who asks names the time too, so that it may be kept for ever."""
        seq = request.path_params["seq"]
        return immutable(await self._store.past_thumb(access.canvas, seq), f"past-{seq}")


def moments_of(changes: Sequence[Change]) -> list[Moment]:
    """Those changes that can be seen, as `Moment`; newest first, as they come."""
    found: list[Moment] = []
    layers: Sequence[Layer] | None = None
    for change in reversed(changes):
        is_seen = bool(change.tiles) or change.layers is not None or change.canvas is not None
        if is_seen:
            job = change.job if change.job is not None and change.job.state == "accepted" else None
            found.append(
                Moment(
                    seq=change.seq,
                    time_ms=change.time_ms,
                    user=change.user,
                    kind=change.kind,
                    box=bounding(tile_box(tile.tx, tile.ty) for tile in change.tiles) if change.tiles else None,
                    what=_what(layers, change),
                    job=job,
                    undoes=change.undoes,
                    restores=change.restores,
                )
            )
        layers = change.layers if change.layers is not None else layers
    return found[::-1]


def _what(before: Sequence[Layer] | None, change: Change) -> str:
    """What a change of the layers did, in words, as far as the page shows it."""
    if change.kind != "layers" or change.layers is None or before is None:
        return ""
    was, now = {layer.id: layer for layer in before}, {layer.id: layer for layer in change.layers}
    for layer in change.layers:
        if layer.id not in was:
            return f"added “{layer.name}”"
    for layer in before:
        if layer.id not in now:
            return f"deleted “{layer.name}”"
    for layer in change.layers:
        old = was[layer.id]
        if old.name != layer.name:
            return f"renamed “{old.name}” to “{layer.name}”"
        if old.visible != layer.visible:
            return f"{'showed' if layer.visible else 'hid'} “{layer.name}”"
        if old != layer:
            return f"changed “{layer.name}”"
    return "moved a layer"
