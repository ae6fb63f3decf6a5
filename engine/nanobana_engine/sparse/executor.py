"""The token-list executor: a loaded UNet, run on the cells that an edit changes instead of on the whole picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.sparse.call import Call, Parts, Prompt
from nanobana_engine.sparse.geometry import Shape
from nanobana_engine.sparse.pack import Pack
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
        self._unet = unet.to(memory_format=torch.channels_last)
        self._recorder = Recorder(self._walk.sites, keeps)
        self.parts = parts or Parts()

    @property
    def levels(self) -> int:
        """Resolutions; a picture's sides in cells are divisible by 2^(levels - 1)."""
        return self._walk.levels

    def shape(self, active: Tensor) -> Shape:
        """The geometry of an edit, from the cells [h, w] that are to be computed."""
        return Shape(active.to(self._unet.device), self.levels)

    def dense(self, rows: Sequence[Row], *, records: bool = True) -> list[tuple[Tensor, Record | None]]:
        """The network's own pass for pictures of one size and prompts of one length.

        Returns:
            By row the answer [channels, h, w], and what was recorded.
        """

        def run() -> Tensor:
            embedded = [row.told for row in rows]
            told = None
            if embedded[0] is not None:
                told = {
                    name: torch.stack([each[name] for each in embedded if each is not None]) for name in embedded[0]
                }
            answer: Tensor = self._unet(
                torch.stack([row.sample for row in rows]),
                torch.tensor([row.timestep for row in rows], device=self._unet.device),
                encoder_hidden_states=torch.stack([row.prompt.tokens for row in rows]),
                timestep_cond=_stacked([row.guidance for row in rows]),
                added_cond_kwargs=told,
                return_dict=False,
            )[0]
            return answer

        if not records:
            return [(answer, None) for answer in run()]
        with self._recorder.listening(len(rows)) as made:
            answers = run()
        for record, answer in zip(made, answers, strict=True):
            record.output = answer.float().contiguous()
        return list(zip(answers, made, strict=True))

    def sparse(self, given: Sequence[Sparse]) -> list[Tensor]:
        """One call for all, whatever their sizes, timesteps, prompts and active cells.

        Where `Parts.writes`, what was computed goes into the records: from then on they are of these pictures.

        Returns:
            By row the answer [channels, h, w]; cells that are not active are as recorded.
        """
        if not self.parts.packs and len(given) > 1:
            return [answer for one in given for answer in self.sparse([one])]
        pack = Pack([each.shape for each in given])
        call = Call(
            pack=pack,
            records=[each.record for each in given],
            embedding=F.silu(self._embedding([each.row for each in given])),
            prompts=[each.row.prompt for each in given],
            parts=self.parts,
        )
        cells = [each.shape.levels[0].cells for each in given]
        shown = [each.row.sample.flatten(1).t() for each in given]
        made = self._walk(torch.cat([rows[at] for rows, at in zip(shown, cells, strict=True)]), call)
        answers = []
        for each, at, span in zip(given, cells, pack.spans(0), strict=True):
            answer = each.record.output if self.parts.writes else each.record.output.clone()
            answer.flatten(1).index_copy_(1, at, made[span].t().float())
            answers.append(answer.clone() if self.parts.writes else answer)
        return answers

    def _embedding(self, rows: Sequence[Row]) -> Tensor:
        """[rows, width]: the timestep and what else the network is told, as its own forward pass does it."""
        unet = self._unet
        samples = rows[0].sample.new_empty(len(rows), 0)
        timesteps = torch.tensor([row.timestep for row in rows], device=unet.device)
        embedding: Tensor = unet.time_embedding(
            unet.get_time_embed(samples, timesteps), _stacked([row.guidance for row in rows])
        )
        if rows[0].told is None:
            return embedding
        told = {name: torch.stack([row.told[name] for row in rows if row.told]) for name in rows[0].told}
        more: Tensor | None = unet.get_aug_embed(embedding, None, told)
        return embedding if more is None else embedding + more


def _stacked(given: Sequence[Tensor | None]) -> Tensor | None:
    found = [each for each in given if each is not None]
    return torch.stack(found) if found else None
