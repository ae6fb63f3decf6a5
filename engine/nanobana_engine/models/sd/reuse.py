"""Which pictures of a step are run sparse, beside what was recorded, and which dense, to be recorded (E9)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nanobana_engine.memory import Memory
from nanobana_engine.memory.cache import Cache
from nanobana_engine.memory.ledger import Ledger
from nanobana_engine.models.base import Preset, Worn
from nanobana_engine.models.sd.recordings import Kept, Recordings
from nanobana_engine.models.sd.scene import Scene
from nanobana_engine.sparse import Executor, UnknownBlock
from nanobana_engine.sparse.call import Parts, Prompt
from nanobana_engine.sparse.executor import Row, Sparse, dense
from nanobana_engine.sparse.geometry import Shape, grown

log = logging.getLogger(__name__)

MOST_ACTIVE = 0.5
"""Share of the cells above which a dense pass costs about the same, and is right everywhere."""
WRONG = 0.02
"""Of the largest value: what a sparse pass may differ by from the dense one that it must equal. Activations kept in
half precision differ by a tenth of this; a block that is not what its walker thinks by all of it."""
ALONE_BYTES = 1 << 30
"""For an adapter that is in no engine's memory."""
SHARE = 0.6
"""Of what all caches of an engine may have."""
REMEMBERED = 32
"""Prompts and geometries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A picture in a step; an edit with guidance has two."""

    row: Row
    sigma: float
    is_negative: bool = False
    scene: Scene | None
    """None: it is neither recorded nor run sparse."""
    loras: tuple[Worn, ...] = ()

    @property
    def kind(self) -> Hashable:
        """What a recorded pass must have in common with it."""
        return kind_of(tuple(self.row.sample.shape), self.sigma, is_negative=self.is_negative, loras=self.loras)


@dataclass(frozen=True, slots=True)
class Answer:
    """To a picture."""

    output: Tensor
    """What the network answers, [channels, h, w]."""
    computed: float = 1.0
    """Share of its cells that were computed; the others are as recorded."""


def kind_of(
    shape: tuple[int, ...], sigma: float, *, is_negative: bool = False, loras: tuple[Worn, ...] = ()
) -> Hashable:
    """Of a picture [channels, h, w] at a noise level."""
    return (shape, sigma, is_negative, loras)


class Reuse:
    """Of one UNet. Where anything about it is not known it runs dense, which is said once."""

    def __init__(self, unet: Any, preset: Preset) -> None:
        self._unet = unet
        self._preset = preset
        self._parts = Parts(**dict.fromkeys(preset.reuse_without, False))
        self._recordings = Recordings(Cache(Ledger(ALONE_BYTES), "activations", ALONE_BYTES), preset.name)
        self._executor: Executor | None = None
        self._is_proven = False
        self._made_for: tuple[Worn, ...] | None = None
        self._has_warned = False
        self._prompts: OrderedDict[int, tuple[Tensor, Prompt]] = OrderedDict()
        self._shapes: OrderedDict[Hashable, Shape] = OrderedDict()
        self.computed = self.reused = 0
        """Cells of all pictures in sparse passes so far."""

    def remember_in(self, memory: Memory) -> None:
        """Recorded passes are booked there from now on, beside the model."""
        self._recordings = Recordings(memory.device_cache("activations", SHARE), self._preset.name)

    def prompt(self, tokens: Tensor) -> Prompt:
        """The same for the same tensor, so that attention to a prompt is prepared once."""
        found = self._prompts.get(id(tokens))
        if found is None:
            here = Prompt(tokens.to(self._unet.device, self._unet.dtype))
            found = self._prompts[id(tokens)] = (tokens, here)  # the tensor stays, so that its id stays its own
            while len(self._prompts) > REMEMBERED:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(id(tokens))
        return found[1]

    def share(self, scene: Scene | None, kind: Hashable) -> float:
        """Of the cells of a picture that would be computed now."""
        found = self._find(scene, kind)
        return 1.0 if found is None else _mean(_active(found[1]))

    def would_record(self, scene: Scene | None, kinds: Sequence[Hashable], levels: int) -> bool:
        """Whether dense passes of these kinds would be recorded, and some are not yet; never where a pass of one level
        is so large that all levels of the picture would not be held together."""
        if scene is None or not self._preset.reuses or self._has_warned:
            return False
        if max(1, self._recordings.largest_bytes * levels * len(kinds)) > self._recordings.limit_bytes:
            return False
        return any(self._find(scene, kind) is None for kind in kinds)

    def run(self, asked: Sequence[Asked]) -> list[Answer]:
        """The network's answer to each; all wear the same LoRAs."""
        answers: dict[int, Answer] = {}
        while len(answers) < len(asked):
            left = {n: one for n, one in enumerate(asked) if n not in answers}
            executor = self._ready(asked[0].loras)
            found = {n: each for n, one in left.items() if (each := self._find(one.scene, one.kind)) is not None}
            if executor and self._is_proven and found:
                answers |= self._sparse(executor, {n: (left[n], *found[n]) for n in found})
            else:
                answers |= self._dense(executor, _together(left))
        return [answers[n] for n in range(len(asked))]

    def _ready(self, loras: tuple[Worn, ...]) -> Executor | None:
        """The executor of the network as it is with the LoRAs that it wears; None where it must run dense."""
        if self._preset.reuses and self._made_for != loras:
            self._made_for, self._is_proven = loras, False
            try:
                keeps = torch.float16 if self._unet.dtype == torch.float32 else None
                self._executor = Executor(self._unet, parts=self._parts, keeps=keeps)
            except UnknownBlock as refused:
                self._refuse(str(refused))
        return self._executor

    def _refuse(self, why: str) -> None:
        self._executor = None
        if not self._has_warned:
            log.warning("%s computes every edit whole: %s", self._preset.name, why)
            self._has_warned = True

    def _find(self, scene: Scene | None, kind: Hashable) -> tuple[Kept, Tensor] | None:
        """A recorded pass to run beside, and the cells that change; None where that saves little."""
        found = None if scene is None else self._recordings.find(scene, kind)
        return found if found is not None and _mean(_active(found[1])) <= MOST_ACTIVE else None

    def _sparse(self, executor: Executor, given: dict[int, tuple[Asked, Kept, Tensor]]) -> dict[int, Answer]:
        """Written back is a pass that saw more of the canvas than its record knows. One in which only the mask is new
        is not: what it paints is computed again by who comes next, and until then the record is of what stands there.
        """
        rows = [
            Sparse(
                row=one.row,
                shape=self._shape(executor, changing),
                record=kept.record,
                writes=one.scene is not None and bool((changing & ~one.scene.masked).any()),
            )
            for one, kept, changing in given.values()
        ]
        answers: dict[int, Answer] = {}
        outputs = executor.sparse(rows)
        for n, output, row, (one, kept, changing) in zip(given, outputs, rows, given.values(), strict=True):
            if executor.parts.writes and row.writes and one.scene is not None:
                kept.take(one.scene, changing)
            computed = len(row.shape.levels[0].cells)
            answers[n] = Answer(output, computed / changing.numel())
            self.computed += computed
            self.reused += changing.numel() - computed
        return answers

    def _dense(self, executor: Executor | None, given: dict[int, Asked]) -> dict[int, Answer]:
        rows = [one.row for one in given.values()]
        if executor is None or not any(_is_recorded(one) for one in given.values()):
            return dict(zip(given, map(Answer, dense(self._unet, rows)), strict=True))
        made = executor.record(rows)
        if not self._is_proven:
            off = executor.error(rows[0], made[0][1])
            self._is_proven = off <= WRONG
            if not self._is_proven:
                self._refuse(f"its network is not what it seems to be, a sparse pass is off by {off:.3g}")
        for one, (_, record) in zip(given.values(), made, strict=True):
            if self._is_proven and one.scene is not None and _is_recorded(one):
                self._recordings.add(one.scene, one.kind, record)
        return {n: Answer(output) for n, (output, _) in zip(given, made, strict=True)}

    def _shape(self, executor: Executor, changing: Tensor) -> Shape:
        """The geometry of these cells and those around them; an edit's are the same at each of its steps."""
        key = (*changing.shape, changing.numpy().tobytes())
        if key not in self._shapes:
            self._shapes[key] = executor.shape(_active(changing), changing)
            while len(self._shapes) > REMEMBERED:
                self._shapes.popitem(last=False)
        self._shapes.move_to_end(key)
        return self._shapes[key]


def _together(left: dict[int, Asked]) -> dict[int, Asked]:
    """Pictures for one dense call: of one size, with prompts of one length, and none that could run beside what is
    recorded of another: of four variations the first runs dense, the others then beside it."""
    group: dict[int, Asked] = {}
    for n, one in left.items():
        first = next(iter(group.values()), one)
        alike = one.row.sample.shape == first.row.sample.shape
        alike = alike and len(one.row.prompt.tokens) == len(first.row.prompt.tokens)
        if alike and not any(_may_follow(one, other) for other in group.values()):
            group[n] = one
    return group


def _may_follow(one: Asked, other: Asked) -> bool:
    a, b = one.scene, other.scene
    if a is None or b is None or a.room != b.room or one.kind != other.kind or not _is_recorded(other):
        return False
    return _mean(_active(a.masked | b.masked | (a.content != b.content))) <= MOST_ACTIVE


def _is_recorded(one: Asked) -> bool:
    """A picture that is mostly mask would leave little to the next edit."""
    return one.scene is not None and _mean(one.scene.masked) <= MOST_ACTIVE


def _active(changing: Tensor) -> Tensor:
    """[h, w], bool: what changes, and one cell around it: without it the seam is seen."""
    return grown(changing[None])[0]


def _mean(cells: Tensor) -> float:
    return float(cells.float().mean())
