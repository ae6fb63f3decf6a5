"""From a job's spec to everything that the engine needs: mask, plan, picture, references."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import CapacityLimiter, to_thread

from nanobana.keyspace.blobs import get_blobs
from nanobana.keyspace.client import Client
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.jobs import JobSpec
from nanobana.raster.decode import decode_image, decode_mask
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.source import Source
from nanobana_engine.erase.preset import ERASE
from nanobana_engine.models.preset import Preset, Worn
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.models.wishes import understood
from nanobana_engine.planner import plan_edit
from nanobana_engine.worker.canvas import CanvasReader

MAX_REFERENCE = 16_000_000
"""Pixels of a reference picture."""


class Preparer:
    """Reads and plans; shared by all jobs of a worker."""

    def __init__(
        self, client: Client, reader: CanvasReader, threads: CapacityLimiter, preset: Preset, shelf: Shelf
    ) -> None:
        self._client = client
        self._reader = reader
        self._threads = threads
        self._preset = preset
        self._shelf = shelf

    async def source(self, spec: JobSpec, *, alone: bool) -> Source:
        """The canvas as it is now, planned for this edit.

        Raises:
            BadInput: ``empty_mask``, ``bad_mask``, ``no_picture``, ``model_away``, ``unknown_style``, ``unknown_lora``.
            NotFound: canvas, mask or reference is gone.
            Unavailable: the store is away.
        """
        edit = spec.edit
        loras: tuple[Worn, ...] = ()
        if edit.model not in (None, self._preset.name) and edit.mode != "erase":
            raise BadInput(
                f"No engine runs the model {edit.model!r} here; this one runs {self._preset.name}.", code="model_away"
            )
        if edit.mode != "erase":
            edit, loras = understood(edit, self._preset, self._shelf)
        names = [name for name in (edit.mask_blob, *(each.blob for each in edit.references)) if name]
        blobs = await self._blobs(spec.canvas, names)
        seen = await self._reader.look(spec.canvas)
        if 0 in seen.size:
            raise BadInput("This canvas has no picture yet: drop one on it first.", code="no_picture")
        data = edit.mask_png if edit.mask_png is not None else blobs.pop(0)
        mask = await to_thread.run_sync(decode_mask, data, edit.box, limiter=self._threads)
        preset = ERASE if edit.mode == "erase" else self._preset.with_steps(edit.steps)
        plan = await to_thread.run_sync(plan_edit, mask, edit, seen.size, preset, limiter=self._threads)
        return Source(
            id=spec.job,
            canvas=spec.canvas,
            user=spec.user,
            edit=edit,
            plan=plan,
            loras=loras,
            picture=await self._reader.picture(spec.canvas, plan.context, seen),
            references=await to_thread.run_sync(_references, blobs, limiter=self._threads),
            alone=alone,
        )

    async def _blobs(self, canvas: str, names: Sequence[str]) -> list[bytes]:
        found = await get_blobs(self._client, canvas, names) if names else []
        if any(data is None for data in found):
            raise NotFound("The mask or a reference of this edit is gone. Paint it again.", code="blob_gone")
        return [data for data in found if data is not None]


def _references(blobs: Sequence[bytes]) -> tuple[Rgba, ...]:
    return tuple(decode_image(data, max_pixels=MAX_REFERENCE) for data in blobs)
