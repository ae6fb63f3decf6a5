"""From a job's spec to everything that the engine needs: mask, plan, picture, references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from anyio import CapacityLimiter, to_thread

from nanobana.keyspace.blobs import get_blobs
from nanobana.keyspace.client import Client
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.jobs import Hint, JobSpec
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import blob_name
from nanobana.raster.decode import decode_image, decode_mask
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.source import Source
from nanobana_engine.engine.view import View, Whole
from nanobana_engine.erase.preset import ERASE
from nanobana_engine.memory import Cache
from nanobana_engine.models.preset import Preset, Worn
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.models.wishes import understood
from nanobana_engine.planner import Plan, plan_edit
from nanobana_engine.worker.canvas import CanvasReader

MAX_REFERENCE = 16_000_000
"""Pixels of a reference picture."""


class Preparer:
    """Reads and plans; shared by all jobs of a worker.

    Args:
        preset: of the model of edits that name none.
        plans: remembers plans by all that they depend on.
        others: presets of the other models that the engine can run, by the name that edits give.
    """

    def __init__(
        self,
        client: Client,
        reader: CanvasReader,
        threads: CapacityLimiter,
        preset: Preset,
        shelf: Shelf,
        plans: Cache[bytes, Plan],
        others: Mapping[str, Preset] | None = None,
    ) -> None:
        self._client = client
        self._reader = reader
        self._threads = threads
        self._preset = preset
        self._presets = {**(others or {}), preset.name: preset}
        self._shelf = shelf
        self._plans = plans

    def serves(self, model: str) -> bool:
        """Whether edits of this model can be prepared here; "" is the one of edits that name none."""
        return not model or model in self._presets

    async def source(self, spec: JobSpec, *, alone: bool) -> Source:
        """The canvas as it is now, planned for this edit.

        Raises:
            BadInput: ``empty_mask``, ``bad_mask``, ``no_picture``, ``model_away``, ``unknown_style``, ``unknown_lora``.
            NotFound: canvas, mask or reference is gone.
            Unavailable: the store is away.
        """
        edit = spec.edit
        loras: tuple[Worn, ...] = ()
        preset = self.preset_of(edit)
        if edit.mode != "erase":
            edit, loras = understood(edit, preset, self._shelf)
        references: tuple[Rgba, ...] = ()
        if edit.references:
            blobs = await self._blobs(spec.canvas, [each.blob for each in edit.references])
            references = await to_thread.run_sync(_references, blobs, limiter=self._threads)
        plan, view = await self._seen(spec.canvas, edit)
        source = Source(
            id=spec.job,
            canvas=spec.canvas,
            user=spec.user,
            edit=edit,
            plan=plan,
            model=preset.name,
            loras=loras,
            view=view,
            references=references,
            alone=alone,
        )
        if plan.is_large and edit.mode == "fill":  # seconds of reading, which the model's thread is spared
            first = plan.stages[0]
            await to_thread.run_sync(source.laid_out, (first.width, first.height), limiter=self._threads)
        return source

    async def foreseen(self, hint: Hint) -> Source:
        """The same for an edit that may come, as it would be with nothing but its mask; remembers what it read.

        Raises:
            As `source`.
        """
        edit = EditParams(box=hint.box, mask_png=hint.mask_png, model=hint.model or None)
        plan, view = await self._seen(hint.canvas, edit)
        model = self.preset_of(edit).name
        return Source(id="", canvas=hint.canvas, user=hint.user, edit=edit, plan=plan, model=model, view=view)

    async def _seen(self, canvas: str, edit: EditParams) -> tuple[Plan, View]:
        """The plan, and the picture of its context: whole, or a large one decoded by need."""
        seen = await self._reader.seen(canvas)
        while True:
            if 0 in seen.size:
                raise BadInput("This canvas has no picture yet: drop one on it first.", code="no_picture")
            plan = await self._plan(canvas, edit, seen.size)
            view: View
            if plan.is_large:
                view, now = await self._reader.view(canvas, plan.context, seen)
            else:
                picture, now = await self._reader.picture(canvas, plan.context, seen)
                view = Whole(picture)
            if now.size == seen.size:
                return plan, view
            seen = now

    async def _plan(self, canvas: str, edit: EditParams, size: tuple[int, int]) -> Plan:
        preset = self.preset_of(edit)
        if edit.mode != "erase":
            preset = preset.with_steps(edit.steps)
        key = _plan_key(edit, size, preset)
        plan = self._plans.get(key)
        if plan is None:
            data = edit.mask_png or (await self._blobs(canvas, [edit.mask_blob or ""]))[0]
            plan = await to_thread.run_sync(_planned, data, edit, size, preset, limiter=self._threads)
            self._plans.put(key, plan, plan.nbytes)
        return plan

    def preset_of(self, edit: EditParams) -> Preset:
        """Of the model that an edit names, or of the one of edits that name none.

        Raises:
            BadInput: ``model_away``.
        """
        if edit.mode == "erase":
            return ERASE
        try:
            return self._presets[edit.model or self._preset.name]
        except KeyError:
            raise BadInput(
                f"No engine runs the model {edit.model!r} here; this one runs {', '.join(sorted(self._presets))}.",
                code="model_away",
            ) from None

    async def _blobs(self, canvas: str, names: Sequence[str]) -> list[bytes]:
        found = await get_blobs(self._client, canvas, names) if names else []
        if any(data is None for data in found):
            raise NotFound("The mask or a reference of this edit is gone. Paint it again.", code="blob_gone")
        return [data for data in found if data is not None]


def _planned(data: bytes, edit: EditParams, size: tuple[int, int], preset: Preset) -> Plan:
    return plan_edit(decode_mask(data, edit.box), edit, size, preset)


def _plan_key(edit: EditParams, size: tuple[int, int], preset: Preset) -> bytes:
    """Everything of an edit that its plan may depend on; the mask by the name of its bytes."""
    mask = edit.mask_blob if edit.mask_png is None else blob_name(edit.mask_png)
    unplanned: dict[str, Any] = {
        "prompt": "",
        "negative": "",
        "style": None,
        "seed": 0,
        "variations": 1,
        "guidance": None,
        "loras": [],
        "references": [],
        "layer": None,
        "model": None,
    }
    shape = msgspec.structs.replace(edit, mask_png=None, mask_blob=mask, **unplanned)
    return msgspec.msgpack.encode((shape, size, preset.name))


def _references(blobs: Sequence[bytes]) -> tuple[Rgba, ...]:
    return tuple(decode_image(data, max_pixels=MAX_REFERENCE) for data in blobs)
