"""What is known of a model without loading it: a preset, and the family whose adapter runs it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from nanobana.protocol.parameters import Ability

SEE_CARD = "see the model card"
"""The licence of a model of which nothing certain is known here."""

Tensors: TypeAlias = Literal["float32", "bfloat16", "float16"]
ReusePart: TypeAlias = Literal["halo", "keys", "norms", "prompts", "writes", "packs"]
"""As in `nanobana_engine.sparse.call.Parts`."""
Weights: TypeAlias = Literal["stored", "int8", "torchao-int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FewStep:
    """A LoRA that lets the model finish in few steps; it is loaded with the model and is no choice of an edit."""

    repo: str
    file: str
    licence: str = SEE_CARD
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Worn:
    """A LoRA that an edit asks for."""

    path: Path
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What the planner, the scheduler and the page must know of a model without loading it."""

    name: str
    good_for: str = ""
    """A few words for people who choose between models."""
    family: str = "default"
    pipeline: str = ""
    """Class of diffusers' pipeline that the weights belong to."""
    repo: str = ""
    """On the hub, ``owner/name``; empty for what ships with nanobana and for folders."""
    revision: str | None = None
    variant: str | None = None
    """Which files of the repository: ``fp16`` for ``….fp16.safetensors``."""
    dtype: Tensors = "bfloat16"
    """Of the weights on a GPU; on a CPU everything is float32."""
    weights: Weights = "stored"
    """How the networks' weights are kept; ``int8``: in eight bits, each row with a scale (the VAE's stay);
    ``torchao-int8``: so in linear layers only, which multiply in eight bits too."""
    licence: str = SEE_CARD
    vram_gb: float = 0.0
    """Gigabytes of GPU memory that it runs well in, its text encoder included; 0: needs no GPU."""
    languages: tuple[str, ...] = ("en",)
    """Languages of prompts that it understands itself; ``*``: any that people write."""
    translates: bool = True
    """Whether prompts in other languages are translated first, where a translator is installed."""
    native: int = 512
    """Side in pixels at which the model was trained."""
    min_side: int = 512
    max_side: int = 1024
    """The model runs at scale 1 for regions with both sides in [min_side, max_side] (E3)."""
    multiple: int = 16
    """Sides handed to the adapter are multiples of this."""
    latent_stride: int = 8
    """Pixels per latent cell."""
    layout_side: int | None = None
    """A region above the range is laid out at the area of a square of this side; None: `native` (E3)."""
    tile_side: int | None = None
    """Side of the overlapping tiles in which it is refined; None: `native`."""
    growth: float = 2.5
    """A region that is larger than its layout by more than this has a rough stage in between."""
    most_tiles: Mapping[str, int] = field(default_factory=lambda: {"draft": 0, "balanced": 16, "best": 256})
    """By quality, tiles of one refining stage; a region that needs more is refined at a smaller scale."""
    mask_share: float | None = None
    """If set, the context is a square with the mask box taking this share of its side (nano: 0.54) instead of E2."""
    steps: Mapping[str, int] = field(default_factory=lambda: {"draft": 4, "balanced": 6, "best": 10})
    """By quality."""
    sampler: str = ""
    """Which of the adapter's noise schedules and steps; empty for its own."""
    guidance: float = 1.0
    """Where an edit asks for none."""
    takes: frozenset[Ability] = frozenset()
    few_step: FewStep | None = None
    reuses: bool = False
    """Denoising computes what an edit changes and little more, in windows of `native` that edits of one place share
    (E9); where the network is none that this is known for it changes the windows only."""
    reuse_without: tuple[ReusePart, ...] = ()
    """Parts of that which are switched off, to see what they are worth."""
    grow_scale: float = 1.0
    """Scales E1's constants (grow, feather, blend) for small models."""
    encodes_parts: bool = True
    """Whether its autoencoder works on the part that changes, where it can (E9); off: on whole pictures, always."""

    tiny_vae: str = ""
    """A small autoencoder of the same latents (`AutoencoderTiny`), a folder or ``owner/name`` on the hub: previews are
    its pictures. Empty: a pixel a cell, by a projection."""
    tiny_vae_results: bool = False
    """Results are its pictures too: a fraction of the work, and softer."""

    def with_steps(self, steps: int | None) -> Preset:
        """The preset as an edit wants it that asks for so many steps, whatever its quality."""
        return self if steps is None else replace(self, steps=dict.fromkeys(self.steps, steps))

    @property
    def takes_references(self) -> bool:
        return "references" in self.takes


@dataclass(frozen=True, slots=True)
class Reads:
    """How wide a transformer reads a text encoder's words: two encoders of one class differ in nothing else."""

    key: str
    """Of the transformer's config."""
    layers: int = 1
    """Layers of the encoder that are joined into one word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that one adapter runs."""

    name: str
    adapter: str
    """Where its adapter lives, ``module:Class``; imported only when a model of the family is loaded."""
    pipelines: tuple[str, ...]
    """Classes of diffusers' pipelines whose folders it can run; ``*``: every class that no other family does."""
    components: Mapping[str, tuple[str, ...]]
    """What a folder must hold, and of which classes each may be; an empty tuple: any. Empty: what its index names."""
    reads: Mapping[str, Reads] = field(default_factory=dict)
    """By text encoder."""
