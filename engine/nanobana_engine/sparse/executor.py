"""The token-list executor: a loaded UNet, run on the cells that an edit changes instead of on the whole picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.sparse.call import Call, Parts, Prompt
from nanobana_engine.sparse.geometry import Shape
from nanobana_engine.sparse.order import channels_last
from nanobana_engine.sparse.pack import Pack
from nanobana_engine.sparse.products import Products
from nanobana_engine.sparse.record import Record, Recorder
from nanobana_engine.sparse.unet import Unet


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture's part in a call."""

    sample: Tensor
    """[channels, h, w]: what the network is shown."""
    timestep: float
    prompt: Prompt
    told: Mapping[str, Tensor] | None = None
    """For SDXL: ``text_embeds`` [width] and ``time_ids`` [6]."""
    guidance: Tensor | None = None
    """[width], for networks that are told the guidance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse:
    """A row that only some cells are computed of."""

    row: Row
    shape: Shape
    record: Record
    """At this row's noise level, of a picture that is the same in all cells that are not active."""
    writes: bool = True
    """Whether what is computed goes into the record, where `Parts.writes`."""


class Executor:
    """Borrows the modules of a `UNet2DConditionModel`, which stays as it is and keeps its own forward pass.

    Args:
        unet: in eval mode. Its weights are put into channels-last order, which changes no value.
        keeps: the type in which activations are recorded; None keeps the network's own.

    Raises:
        UnknownBlock: it is not as the walkers know it.
    """

    def __init__(self, unet: Any, *, parts: Parts | None = None, keeps: torch.dtype | None = None) -> None:
        self._walk = Unet(unet)
        channels_last(unet)
        self._unet = unet
        self._recorder = Recorder(self._walk.sites, keeps)
        self.parts = parts or Parts()

    @property
    def levels(self) -> int:
        """Resolutions; a picture's sides in cells are divisible by 2^(levels - 1)."""
        return self._walk.levels

    def shape(self, active: Tensor, core: Tensor | None = None) -> Shape:
        """The geometry of an edit, from the cells [h, w] that are to be computed, and those of them that change."""
        device = self._unet.device
        return Shape(active.to(device), self.levels, None if core is None else core.to(device))

    def record(self, rows: Sequence[Row]) -> list[tuple[Tensor, Record]]:
        """The network's own pass for pictures of one size: by row the answer [channels, h, w], and the record of it."""
        with self._recorder.listening(len(rows)) as records:
            answers = dense(self._unet, rows)
        for record, answer in zip(records, answers, strict=True):
            record.output = answer.float().contiguous()
        return list(zip(answers, records, strict=True))

    def error(self, row: Row, record: Record) -> float:
        """What a sparse pass over a few cells of the recorded picture differs by from the recorded answer, over the
        largest value: it would be nothing, were nothing lost in recording and every block what its walker thinks."""
        some = torch.zeros(row.sample.shape[1:], dtype=torch.bool)
        some[:2, :2] = True
        middle = tuple(slice(side // 2 - 1, side // 2 + 2) for side in some.shape)
        some[middle] = True
        at = self.shape(some)
        ours = self._sparse([Sparse(row=row, shape=at, record=record)], replace(self.parts, writes=False))[0]
        return float((ours - record.output)[:, at.active].abs().max() / record.output.abs().max())

    def sparse(self, given: Sequence[Sparse]) -> list[Tensor]:
        """One call for all, whatever their sizes, timesteps, prompts and active cells.

        Where `Sparse.writes`, what was computed goes into the records: from then on they are of these pictures.

        Returns:
            By row the answer [channels, h, w]; cells that are not active are as recorded.
        """
        if self.parts.packs:
            return self._sparse(given, self.parts)
        return [answer for one in given for answer in self._sparse([one], self.parts)]

    def _sparse(self, given: Sequence[Sparse], parts: Parts) -> list[Tensor]:
        pack = Pack([each.shape for each in given])
        call = Call(
            pack=pack,
            records=[each.record for each in given],
            embedding=F.silu(self._embedding([each.row for each in given])),
            prompts=[each.row.prompt for each in given],
            parts=parts,
            writes=[parts.writes and each.writes for each in given],
        )
        cells = [each.shape.levels[0].cells for each in given]
        shown = [each.row.sample.flatten(1).t() for each in given]
        with Products():
            made = self._walk(torch.cat([rows[at] for rows, at in zip(shown, cells, strict=True)]), call)
        answers = []
        for each, at, span, writes in zip(given, cells, pack.spans(0), call.writes, strict=True):
            answer = each.record.output.clone()
            answer.flatten(1).index_copy_(1, at, made[span].t().float())
            answers.append(answer)
            if writes:
                each.record.output = answer.clone()
        return answers

    def _embedding(self, rows: Sequence[Row]) -> Tensor:
        """[rows, width]: the timestep and what else the network is told, as its own forward pass does it."""
        unet = self._unet
        samples = rows[0].sample.new_empty(len(rows), 0)
        timesteps = torch.tensor([row.timestep for row in rows], device=unet.device)
        embedding: Tensor = unet.time_embedding(
            unet.get_time_embed(samples, timesteps), _stacked([row.guidance for row in rows])
        )
        more: Tensor | None = unet.get_aug_embed(embedding, None, _told(rows))
        return embedding if more is None else embedding + more


def dense(unet: Any, rows: Sequence[Row]) -> list[Tensor]:
    """The network's own forward pass for pictures of one size and prompts of one length, [channels, h, w] each."""
    with Products():
        answer: Tensor = unet(
            torch.stack([row.sample for row in rows]),
            torch.tensor([row.timestep for row in rows], device=unet.device),
            encoder_hidden_states=torch.stack([row.prompt.tokens for row in rows]),
            timestep_cond=_stacked([row.guidance for row in rows]),
            added_cond_kwargs=_told(rows),
            return_dict=False,
        )[0]
    return list(answer)


def _stacked(given: Sequence[Tensor | None]) -> Tensor | None:
    found = [each for each in given if each is not None]
    return torch.stack(found) if found else None


def _told(rows: Sequence[Row]) -> dict[str, Tensor] | None:
    told = [row.told for row in rows if row.told is not None]
    return {name: torch.stack([each[name] for each in told]) for name in told[0]} if told else None
