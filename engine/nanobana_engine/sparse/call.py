"""What the walkers of one call share: the packed edits, what was recorded of each, and which parts are switched on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from nanobana_engine.sparse.pack import Pack
from nanobana_engine.sparse.record import Record


@dataclass(frozen=True, slots=True)
class Parts:
    """Each can be switched off by itself, to see what it is worth. All on is how the engine runs."""

    halo: bool = True
    """Convolutions read recorded cells around the active ones; off: zeros, as if the picture ended there."""
    keys: bool = True
    """Active queries attend to the whole picture; off: to the active cells only."""
    norms: bool = True
    """Norms scale as they did for the whole picture; off: by the active cells."""
    prompts: bool = True
    """Keys and values of a prompt are computed once; off: at each step."""
    writes: bool = True
    """What was computed is written into the record, so that the next edit begins from there."""
    packs: bool = True
    """Edits share a call; off: one after the other."""


@dataclass(slots=True)
class Prompt:
    """A prompt's embedding, and what each attention layer makes of it."""

    tokens: Tensor
    """[tokens, width]."""
    kept: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Keys and values, [tokens, width'] each, by the layer's name."""


@dataclass(slots=True)
class Call:
    """Handed from walker to walker with the list of cells [n, channels]."""

    pack: Pack
    records: Sequence[Record]
    """By edit, as all of the following."""
    embedding: Tensor
    """[edits, width]: the timestep and what else the network is told in one vector, activated."""
    prompts: Sequence[Prompt]
    parts: Parts
    writes: Sequence[bool]
    """By edit, whether what is computed goes into its record."""
    level: int = 0
    """At which resolution the walk is."""

    @property
    def spans(self) -> list[slice]:
        return self.pack.spans(self.level)

    def cells(self, edit: int) -> Tensor:
        """The edit's active cells at this level."""
        return self.pack.shapes[edit].levels[self.level].cells
