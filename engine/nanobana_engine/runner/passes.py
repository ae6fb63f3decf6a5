"""The step that advances many pictures together, each at its own level, prompt and guidance (E4, E7, E11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.models.ahead import Rehearses
from nanobana_engine.models.base import Item, ModelAdapter, Pixels, Releases, Request
from nanobana_engine.models.guests import guests_of
from nanobana_engine.models.needs import needs_of
from nanobana_engine.models.partly import CountsCoding, DecodesPart
from nanobana_engine.runner.meter import Meter, Spent, Step
from nanobana_engine.runner.noise import AROUND, Drawing
from nanobana_engine.runner.one import Pass, changes, pooled
from nanobana_engine.runner.short import OutOfMemory, within_memory

MOST_KEYS = 64
"""Limits that are remembered; the oldest is forgotten first."""


class Runner:
    """Owns an adapter's calls; everything here happens in the engine's one model thread."""

    def __init__(self, adapter: ModelAdapter) -> None:
        self.adapter = adapter
        self._meter = Meter()
        self._most: dict[tuple[object, ...], int] = {}
        """By key, how many items a call may have since one with more ran out of memory (E10)."""
        self.needs = lru_cache(maxsize=MOST_KEYS)(partial(needs_of, adapter))
        """Bytes that calls for a picture of (width, height) work in."""
        guests = guests_of(adapter.components())
        self._networks = [guest for guest in guests if not guest.is_encoder]
        self.encoder_bytes = max((guest.bytes for guest in guests if guest.is_encoder), default=0)
        """Of the largest text encoder that comes for its calls only."""
        self.network_bytes = max((network.bytes for network in self._networks), default=0)
        """The same of the denoising networks; 0 where they are always there."""
        self._channels: int | None = None
        """Of its latents, once any were made: from then on noise is drawn beside the adapter's first calls."""
        self._beside = ThreadPoolExecutor(1, "noise")

    def take_spent(self, owner: str) -> Spent:
        """What the adapter's calls for this edit took and computed, which is forgotten here."""
        return self._meter.take(owner)

    def check_integrity(self) -> None:
        """What must hold while no edit runs.

        Raises:
            AssertionError: with what is left of edits that are over.
        """
        self._meter.check_integrity()
        if len(self._most) > MOST_KEYS:
            raise AssertionError(f"{len(self._most)} limits are remembered")

    @torch.inference_mode()
    def start(
        self,
        request: Request,
        *,
        owner: str,
        steps: int,
        guidance: float,
        stage: int,
        frame: tuple[int, int],
        tile: Box,
        whole: float = 0.0,
    ) -> Pass:
        """Encode a request and put it at its first noise level.

        Args:
            owner: the edit.
            stage: number of the stage within the edit, 0 first: each has its own noise.
            frame: width and height of the whole stage, of which the request is the part `tile`.
            whole: pixels of the canvas, at the stage's size, for which this stands; 0: it shows all there is.

        Raises:
            nanobana.protocol.errors.BadInput: what the adapter refuses.
            OutOfMemory: it cannot be encoded at this size.
        """
        stride = self.adapter.preset.latent_stride
        height, width = request.mask.shape
        drawing = Drawing(request.seed, stage, tile, frame, stride)
        ahead = None if self._channels is None else self._beside.submit(drawing.draw, self._channels)
        with self._meter.timed([owner], "condition_s"):
            conditioning = within_memory(lambda: self.adapter.condition(request))
        with self._meter.timed([owner]):
            known = within_memory(lambda: self.adapter.encode(request.pixels))
        channels = self._channels = known.shape[0]
        sigmas = self.adapter.sigmas(steps, request.strength, (width, height))
        depth = pooled(request.mask, stride).to(known)
        noise = (drawing.draw(channels) if ahead is None else ahead.result()).to(known)
        if self.adapter.preset.reuses:
            noise = torch.where(depth > 0, noise, Drawing(AROUND, 0, tile, frame, stride).draw(channels).to(known))
        with self._meter.timed([owner]):
            latents = within_memory(lambda: self.adapter.begin(request, known, noise, sigmas[0]))
        made = Pass(
            owner=owner,
            known=known,
            noise=noise,
            depth=depth,
            stride=stride,
            sigmas=sigmas,
            conditioning=conditioning,
            guidance=guidance,
            latents=latents,
            fresh=lambda step: drawing.draw(channels, step).to(known),
            beneath=request.pixels,
            changes=changes(request.mask),
            cells_of=(whole or width * height) / stride**2,
        )
        if isinstance(self.adapter, CountsCoding):
            self._meter.encoded(owner, made.cells, made.cells_of, self.adapter.take_coded().encoded)
        made.key = self.adapter.call_key(made.item())
        return made

    @torch.inference_mode()
    def rehearse(self, request: Request, steps: int, goes_on: Callable[[], bool]) -> Iterator[None]:
        """What an edit of this may need of the network, before it is asked for, a piece at a time (E9)."""
        if not isinstance(self.adapter, Rehearses) or self.network_bytes:
            return  # a network that has no room of its own leaves none for guesses
        frame = (request.mask.shape[1], request.mask.shape[0])
        around = Drawing(AROUND, 0, Box(0, 0, *frame), frame, self.adapter.preset.latent_stride)
        yield from self.adapter.rehearse(request, steps, around.draw, goes_on)

    def cost(self, one: Pass) -> float:
        """Cost of a step of it (E7)."""
        return self.adapter.cost(one.item())

    @torch.inference_mode()
    def advance(self, passes: Sequence[Pass], room: int | None = None) -> list[Pass]:
        """One step for each, in as few calls as their keys and the memory allow; passes may stand at different steps.

        Args:
            room: bytes that a call of several may work in; a single one is made in any case.

        Returns:
            Those that made no step, because memory is not enough even for a call of their own (E10).
        """
        groups: dict[tuple[object, ...], list[Pass]] = {}
        for one in passes:
            groups.setdefault(one.key, []).append(one)
        return [one for key, group in groups.items() for one in self._advance(key, group, room)]

    def call_bytes(self, one: Pass) -> int:
        """What its part of a denoising call works in: that of one row, times its rows."""
        stride = self.adapter.preset.latent_stride
        width, height = (side * stride for side in (one.latents.shape[-1], one.latents.shape[-2]))
        rows = self.cost(one) * self.adapter.preset.native**2 / (width * height)
        return int(self.needs(width, height).denoise * max(1.0, rows))

    def _within(self, passes: Sequence[Pass], room: int | None) -> int:
        """How many of them, from the first, have room in one call; at least one."""
        if room is None:
            return len(passes)
        totals = accumulate(self.call_bytes(one) for one in passes)
        return max(1, sum(total <= room for total in totals))

    def _advance(self, key: tuple[object, ...], group: Sequence[Pass], room: int | None) -> list[Pass]:
        """One key's passes: half as many a call whenever a call runs out of memory; returns those that do not fit."""
        short: list[Pass] = []
        left = list(group)
        while left:
            part = left[: min(self._most.get(key, len(left)), self._within(left, room))]
            items = [one.item() for one in part]
            try:
                began = time.perf_counter()
                with self._meter.timed(one.owner for one in part):
                    predicted = within_memory(partial(self._denoise, items), tries=2 if len(part) == 1 else 1)
            except OutOfMemory:
                if len(part) > 1:
                    self._most.pop(key, None)
                    self._most[key] = len(part) // 2
                    if len(self._most) > MOST_KEYS:
                        del self._most[next(iter(self._most))]
                    continue
                short += part
            else:
                self._meter.stepped(
                    [_step(*each) for each in zip(part, items, strict=True)], time.perf_counter() - began
                )
                for one, clean in zip(part, predicted, strict=True):
                    one.move(self.adapter.step, clean)
            left = left[len(part) :]
        return short

    def _denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        """The adapter's call, with its network there: it may read the weights without calling it."""
        if len(self._networks) == 1:
            self._networks[0].enter()
        return self.adapter.denoise(items)

    def release(self, one: Pass) -> None:
        """It is over, or nobody wants it any more."""
        if isinstance(self.adapter, Releases):
            self.adapter.release(one.conditioning)

    @torch.inference_mode()
    def preview(self, one: Pass, part: Box | None = None) -> npt.NDArray[np.uint8]:
        """The newest x0 as a small picture, [h, w, 3]; where D = 0 what is known.

        Args:
            part: of the picture, in its pixels, on the grid of its latents; None: all of it.
        """
        shown = one.shown(part)
        return within_memory(partial(self.adapter.preview, shown))

    @torch.inference_mode()
    def decode(self, one: Pass) -> Pixels:
        """The finished picture, [h, w, 3] in 0..1; where nothing changes it may be what stands there now.

        Raises:
            OutOfMemory: it cannot be decoded at this size.
        """
        adapter, began = self.adapter, time.perf_counter()
        with self._meter.timed([one.owner]):
            if isinstance(adapter, DecodesPart) and (wanted := one.changing_cells()).any():
                decodes = adapter.decode_part
                picture = within_memory(lambda: decodes(one.latents, wanted, one.beneath))
            else:
                picture = within_memory(lambda: adapter.decode(one.latents))
        work = adapter.take_coded().decoded if isinstance(adapter, CountsCoding) else None
        self._meter.decoded(one.owner, one.cells, one.cells_of, work, time.perf_counter() - began)
        return picture


def _step(one: Pass, item: Item) -> Step:
    """Its part in a call that was made."""
    return Step(one.owner, one.cells, one.cells_of, item.computed, item.guidance > 1.0)
