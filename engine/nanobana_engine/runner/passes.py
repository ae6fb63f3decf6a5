"""One picture being denoised, and the step that advances many of them together (E4, E7, E11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.models.base import Conditioning, Item, ModelAdapter, Move, Pixels, Releases, Request
from nanobana_engine.models.guests import guests_of
from nanobana_engine.models.needs import needs_of
from nanobana_engine.models.partly import DecodesPart
from nanobana_engine.runner.noise import AROUND, stage_noise, step_noise, tile_noise
from nanobana_engine.runner.short import OutOfMemory, within_memory


@dataclass(slots=True)
class Pass:
    """A request on its way from noise to pixels."""

    owner: str
    """The edit that it belongs to."""
    known: torch.Tensor
    """Clean latents of what stands there now, [C, h, w]."""
    noise: torch.Tensor
    """The edit's fixed noise, same shape: known latents are noised with it again at every step."""
    depth: torch.Tensor
    """D at latent resolution, [1, h, w]: the step from which a cell is the model's own depends on it."""
    sigmas: list[float]
    conditioning: Conditioning
    guidance: float
    latents: torch.Tensor
    fresh: Callable[[int], torch.Tensor]
    """Unit noise of a step, for samplers that add some."""
    beneath: Pixels
    """What stands there now, [h, w, 3]."""
    changes: Box
    """Where the result may differ from that, in pixels."""
    last: tuple[float, torch.Tensor] | None = None
    """Level and predicted x0 of the newest step, as the model gave it; None before the first."""
    step: int = 0
    key: tuple[object, ...] = field(default=())

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def is_done(self) -> bool:
        return self.step >= self.steps

    def item(self) -> Item:
        """Its part in the next call."""
        return Item(
            latents=self.latents,
            sigma=self.sigmas[self.step],
            conditioning=self.conditioning,
            guidance=self.guidance,
        )


MOST_KEYS = 64
"""Limits that are remembered; the oldest is forgotten first."""


@dataclass(slots=True)
class Spent:
    """Seconds of wall time in an adapter's calls for one edit."""

    model_s: float = 0.0
    """Encode, denoise and decode."""
    condition_s: float = 0.0


class Runner:
    """Owns an adapter's calls; everything here happens in the engine's one model thread."""

    def __init__(self, adapter: ModelAdapter) -> None:
        self.adapter = adapter
        self._spent: dict[str, Spent] = {}
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

    def take_spent(self, owner: str) -> Spent:
        """The time in the adapter's calls for this edit, which is forgotten here."""
        return self._spent.pop(owner, Spent())

    def check_integrity(self) -> None:
        """What must hold while no edit runs.

        Raises:
            AssertionError: with what is left of edits that are over.
        """
        if self._spent:
            raise AssertionError(f"seconds of edits that are gone: {sorted(self._spent)}")
        if len(self._most) > MOST_KEYS:
            raise AssertionError(f"{len(self._most)} limits are remembered")

    @contextmanager
    def _timed(self, owners: Iterable[str], what: Literal["model_s", "condition_s"] = "model_s") -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            for owner in set(owners):
                spent = self._spent.setdefault(owner, Spent())
                setattr(spent, what, getattr(spent, what) + seconds)

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
    ) -> Pass:
        """Encode a request and put it at its first noise level.

        Args:
            owner: the edit.
            stage: number of the stage within the edit, 0 first: each has its own noise.
            frame: width and height of the whole stage, of which the request is the part `tile`.

        Raises:
            nanobana.protocol.errors.BadInput: what the adapter refuses.
            OutOfMemory: it cannot be encoded at this size.
        """
        with self._timed([owner], "condition_s"):
            conditioning = within_memory(lambda: self.adapter.condition(request))
        with self._timed([owner]):
            known = within_memory(lambda: self.adapter.encode(request.pixels))
        stride = self.adapter.preset.latent_stride
        height, width = request.mask.shape
        sigmas = self.adapter.sigmas(steps, request.strength, (width, height))

        depth = _pooled(request.mask, stride).to(known)

        def drawn(step: int | None = None, seed: int = request.seed, stage: int = stage) -> torch.Tensor:
            channels, rows, columns = known.shape
            if (tile.width, tile.height) != frame:
                return tile_noise(seed, stage, channels, tile, stride, step=step).to(known)
            shape = (channels, rows, columns)
            whole = stage_noise(seed, stage, shape) if step is None else step_noise(seed, stage, step, shape)
            return whole.to(known)

        noise = drawn()
        if self.adapter.preset.reuses:
            noise = torch.where(depth > 0, noise, drawn(seed=AROUND, stage=0))
        with self._timed([owner]):
            latents = within_memory(lambda: self.adapter.begin(request, known, noise, sigmas[0]))
        made = Pass(
            owner=owner,
            known=known,
            noise=noise,
            depth=depth,
            sigmas=sigmas,
            conditioning=conditioning,
            guidance=guidance,
            latents=latents,
            fresh=drawn,
            beneath=request.pixels,
            changes=_changes(request.mask),
        )
        made.key = self.adapter.call_key(made.item())
        return made

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
                with self._timed(one.owner for one in part):
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
                for one, clean in zip(part, predicted, strict=True):
                    self._move(one, clean)
            left = left[len(part) :]
        return short

    def _denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        """The adapter's call, with its network there: it may read the weights without calling it."""
        if len(self._networks) == 1:
            self._networks[0].enter()
        return self.adapter.denoise(items)

    def _move(self, one: Pass, clean: torch.Tensor) -> None:
        """The adapter's step, then the soft mask.

        Where D has not reached the step's threshold the cell is what is known, noised to sigma' with the fixed noise:
        with n steps, step i (0-based) owns D > 1 - (i + 1) / n (Levin and Fried 2023, "Differential Diffusion"), so
        D = 1 always belongs to the model and D = 0 never.
        """
        sigma, after, step = one.sigmas[one.step], one.sigmas[one.step + 1], one.step
        moved = self.adapter.step(
            Move(
                latents=one.latents,
                clean=clean,
                sigma=sigma,
                after=after,
                last=one.last,
                fresh=lambda: one.fresh(step),
            )
        )
        owned = one.depth > 1.0 - (step + 1) / one.steps
        one.latents = _chosen(owned, moved, torch.lerp(one.known, one.noise, after) if after else one.known)
        one.last = (sigma, clean)
        one.step += 1

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
        if one.last is None:
            raise ValueError("a pass has no preview before its first step")
        here: tuple[slice, ...] = ()
        stride = self.adapter.preset.latent_stride
        if part is not None:
            here = (
                slice(None),
                slice(part.y0 // stride, part.y1 // stride),
                slice(part.x0 // stride, part.x1 // stride),
            )
        shown = _chosen(one.depth[here] > 0, one.last[1][here], one.known[here])
        return within_memory(partial(self.adapter.preview, shown))

    @torch.inference_mode()
    def decode(self, one: Pass) -> Pixels:
        """The finished picture, [h, w, 3] in 0..1; where nothing changes it may be what stands there now.

        Raises:
            OutOfMemory: it cannot be decoded at this size.
        """
        adapter = self.adapter
        with self._timed([one.owner]):
            if isinstance(adapter, DecodesPart) and not one.changes.is_empty:
                decodes = adapter.decode_part
                return within_memory(lambda: decodes(one.latents, one.changes, one.beneath))
            return within_memory(lambda: adapter.decode(one.latents))


MARGIN = 8
"""Pixels around what changes that are decoded too: resampling looks that far."""


def _changes(mask: npt.NDArray[np.float32]) -> Box:
    """Around where D > 0, with a margin; empty where it nowhere is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return box.grow(MARGIN).intersect(Box(0, 0, mask.shape[1], mask.shape[0]))


def _chosen(where: torch.Tensor, these: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """`torch.where` as a mix by 0 and 1, which gives the very same numbers in a tenth of the time on a processor."""
    return torch.lerp(others.to(these), these, where.to(these))


def _pooled(mask: npt.NDArray[np.float32], stride: int) -> torch.Tensor:
    """D at latent resolution, [1, h, w]: a cell is as deep as its deepest pixel, so no masked pixel is left behind."""
    height, width = mask.shape
    rows = mask.reshape(height // stride, stride, width).max(axis=1)
    cells = np.maximum.reduce([rows[:, start::stride] for start in range(stride)])
    return torch.from_numpy(cells)[None]
