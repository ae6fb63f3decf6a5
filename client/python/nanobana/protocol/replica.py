"""A reader's copy of a canvas: tile names, layers and jobs, kept current by the log's changes (C4, C11)."""

import hashlib
from collections.abc import Iterable

import msgspec

from nanobana.protocol.canvas import TERMINAL, CanvasInfo, Change, Job, Layer, Manifest, Position, TileRef
from nanobana.protocol.checksum import canvas_sum


class Replica:
    """The canvas as of `position`. Names only: pixels are fetched by name."""

    def __init__(self) -> None:
        self.position = Position(0, 0)
        self.info = CanvasInfo(id="")
        self.layers: list[Layer] = []
        self.tiles: dict[tuple[str, int, int], str] = {}
        self.jobs: dict[str, Job] = {}

    def load(self, manifest: Manifest) -> None:
        """Start again from a snapshot."""
        self.position = manifest.position
        self.info = manifest.canvas
        self.layers = list(manifest.layers)
        self.tiles = names_of(manifest.tiles)
        self.jobs = {job.id: job for job in manifest.jobs}

    def apply(self, change: Change) -> bool:
        """Take one log entry; False for one that is already in (deduplicated by seq, R5)."""
        if change.epoch == self.position.epoch and change.seq <= self.position.seq:
            return False
        for tile in change.tiles:
            if tile.name:
                self.tiles[tile.layer, tile.tx, tile.ty] = tile.name
            else:
                self.tiles.pop((tile.layer, tile.tx, tile.ty), None)
        if change.layers is not None:
            self._replace_layers(change.layers)
        if change.canvas is not None:
            self.info = change.canvas
        if change.job is not None:
            self._note(change.job)
        self.position = Position(change.epoch, change.seq, change.op)
        return True

    def sum(self) -> int:
        """What a Checksum of this position must say (R9)."""
        return canvas_sum(self.layers, ((*key, name) for key, name in self.tiles.items()))

    def refs(self) -> list[TileRef]:
        """Its tiles as a manifest lists them."""
        return [TileRef(*key, name) for key, name in self.tiles.items()]

    def digest(self) -> str:
        """Equal for two readers exactly when layer list and tile names are equal (C11)."""
        rows = sorted([*key, name] for key, name in self.tiles.items())
        return hashlib.blake2b(msgspec.msgpack.encode([self.layers, rows]), digest_size=16).hexdigest()

    def _replace_layers(self, layers: list[Layer]) -> None:
        kept = {layer.id for layer in layers}
        self.layers = list(layers)
        self.tiles = {key: name for key, name in self.tiles.items() if key[0] in kept}

    def _note(self, job: Job) -> None:
        if job.state in TERMINAL:
            self.jobs.pop(job.id, None)
        else:
            self.jobs[job.id] = job


def names_of(tiles: Iterable[TileRef]) -> dict[tuple[str, int, int], str]:
    """Tile names by place: layer, column, row."""
    return {(tile.layer, tile.tx, tile.ty): tile.name for tile in tiles}
