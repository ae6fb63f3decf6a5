"""Reading a canvas as it is now: layers, tile names, open jobs and position by one script (C8)."""

from typing import Any

import msgspec

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import CanvasInfo, Job, Layer, Manifest, OpId, Position, TileRef
from nanobana.protocol.errors import NotFound

_layers = msgspec.msgpack.Decoder(list[Layer])
_job = msgspec.msgpack.Decoder(Job)
_op = msgspec.msgpack.Decoder(OpId)


async def read_manifest(client: Client, canvas: str) -> Manifest:
    """The live snapshot, for joins (server) and for planning an edit (engine).

    Raises:
        NotFound: ``no_canvas``.
    """
    keys = CanvasKeys(canvas)
    reply = await client.run("manifest", [keys.meta, keys.layers, keys.tiles, keys.public_jobs])
    if reply is None:
        raise NotFound(f"There is no canvas {canvas}.", code="no_canvas")
    return _manifest(canvas, reply)


def _manifest(canvas: str, reply: list[Any]) -> Manifest:
    seq, epoch, head, title, width, height, used, budget, _version, layers, tiles, jobs = reply
    refs = [tile_ref(tiles[i], tiles[i + 1]) for i in range(0, len(tiles), 2)]
    return Manifest(
        position=Position(int(epoch), int(seq), _op.decode(head) if head else None),
        canvas=canvas_info(canvas, title, width, height, used, budget),
        layers=_layers.decode(layers),
        tiles=refs,
        jobs=sorted((_job.decode(public) for public in jobs[1::2]), key=lambda job: (job.created_ms, job.id)),
    )


def canvas_info(canvas: str, title: bytes, width: bytes, height: bytes, used: bytes, budget: bytes) -> CanvasInfo:
    """A canvas's own facts, as the scripts `manifest` and `look` answer them."""
    return CanvasInfo(
        id=canvas,
        title=title.decode(),
        width=int(width),
        height=int(height),
        used_bytes=int(used),
        budget_bytes=int(budget),
    )


def tile_field(layer: str, tx: int, ty: int) -> str:
    """Field of a tile in the canvas's tile hash."""
    return f"{layer}/{tx}/{ty}"


def tile_ref(field: bytes, name: bytes) -> TileRef:
    """A field of the tile hash and its value as a TileRef."""
    layer, tx, ty = field.decode().rsplit("/", 2)
    return TileRef(layer, int(tx), int(ty), name.decode())
