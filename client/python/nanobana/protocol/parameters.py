"""What a person can ask of an edit, with the limits that every part of the house checks."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nanobana.protocol.geometry import Box

Mode = Literal["fill", "erase"]
"""fill: inpaint by diffusion; erase: remove by PatchMatch, no prompt, no model."""

Onto = Literal["auto", "layer", "new"]
"""Where an accepted result is laid: where it changes nothing else, on the layer that the edit names, on a new layer."""

Quality = Literal["draft", "balanced", "best"]
Lane = Literal["live", "batch"]

Text = Annotated[str, Meta(max_length=2000)]
BlobName = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Pixels = Annotated[float, Meta(ge=0.0, le=256.0)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
ModelName = Annotated[str, Meta(min_length=1, max_length=128)]


MAX_STEPS = 100
MAX_GUIDANCE = 30.0

Ability = Literal["negative", "guidance", "steps", "styles", "weights", "references", "loras", "detail"]
"""What an edit may ask of a model beyond prompt, seed, quality and strength; `weights`: words like ``(word:1.3)``."""


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA to wear, by a name that the engine knows."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    weight: Annotated[float, Meta(ge=-2.0, le=2.0)] = 1.0


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be asked of a model that engines serve; they say it themselves, the page offers nothing else."""

    name: str
    good_for: str = ""
    """A few words for people who choose between models."""
    licence: str = ""
    languages: list[str] = []
    """Of prompts; ``*``: any."""
    takes: list[Ability] = []
    steps: tuple[int, int, int] = (0, 0, 0)
    """At the qualities draft, balanced and best."""
    guidance: float = 1.0
    """Where an edit asks for none."""
    styles: list[str] = []
    loras: list[str] = []
    reach: float = 1.0
    """How far its edits reach beyond a mask by themselves: a factor of E1's distances."""
    seconds: float = 0.0
    """That an edit of it has taken lately, from an engine's claim to the result; 0: nobody has seen one yet."""
    loaded: bool = False
    """Whether it is in memory; otherwise the first edit waits for that."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to follow. Its blob is a PNG, WebP or JPEG uploaded to the canvas beforehand."""

    blob: BlobName
    weight: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0


FAULTS = {
    "prompt": ("prompt_too_long", "A prompt can have up to 2000 characters."),
    "negative": ("prompt_too_long", "What should stay out can be said in up to 2000 characters."),
    "seed": ("bad_seed", "A seed is a whole number from 0 to 4294967295."),
    "variations": ("bad_variations", "An edit makes one, two or three variations."),
    "strength": ("bad_strength", "Strength is a number from 0.05 to 1."),
    "quality": ("bad_quality", "Quality is draft, balanced or best."),
    "steps": ("bad_steps", f"Steps are a whole number from 1 to {MAX_STEPS}."),
    "guidance": ("bad_guidance", f"Guidance is a number from 0 to {MAX_GUIDANCE:g}."),
    "feather": ("bad_edge", "A soft edge is from 0 to 256 pixels wide."),
    "grow": ("bad_edge", "A mask grows by 0 to 256 pixels."),
    "style": ("unknown_style", "A style has a name of up to 64 characters."),
    "loras": ("bad_loras", "An edit wears up to four LoRAs, each with a name and a weight from -2 to 2."),
    "references": ("bad_references", "An edit follows up to four pictures."),
    "onto": ("bad_onto", "A result is laid where it fits (auto), on a layer (layer), or on a new one (new)."),
    "model": ("model_away", "A model has a name of 1 to 128 characters."),
}
"""By field of EditParams, the code and the sentence for a value that cannot be (R10)."""


class EditParams(msgspec.Struct, frozen=True, kw_only=True):
    """One region to refill.

    The mask is 8-bit gray PNG of exactly the box's size, 255 = regenerate: either inline (`mask_png`, up to 64 KiB)
    or uploaded (`mask_blob`). Exactly one of the two is set.
    """

    mode: Mode = "fill"
    box: Box
    mask_png: Annotated[bytes, Meta(max_length=65536)] | None = None
    mask_blob: BlobName | None = None
    prompt: Text = ""
    """Empty: continue the surroundings."""
    negative: Text = ""
    seed: Seed | None = None
    """None: the server draws one and writes it into the job, so that the result can be repeated."""
    variations: Annotated[int, Meta(ge=1, le=3)] = 1
    strength: Annotated[float, Meta(ge=0.05, le=1.0)] = 1.0
    quality: Quality = "balanced"
    detail: bool = False
    """Show a region that is smaller than what the model was made for enlarged to that size, with less around it: finer
    detail, and slower. Changes nothing for a larger one."""
    steps: Annotated[int, Meta(ge=1, le=MAX_STEPS)] | None = None
    """None: what the quality says."""
    guidance: Annotated[float, Meta(ge=0.0, le=MAX_GUIDANCE)] | None = None
    """None: the model's own default."""
    style: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """Name of a template that the prompt is put into."""
    loras: Annotated[list[Lora], Meta(max_length=4)] = []
    feather: Pixels | None = None
    """Width of the soft edge around the mask; None: as E1 says."""
    grow: Pixels | None = None
    """How far around the mask is changed for certain; None: as E1 says."""
    exact_edge: bool = False
    """True: not one pixel outside the mask itself may change (E5)."""
    layer: str | None = None
    """The layer that `onto` is about."""
    onto: Onto = "auto"
    """auto: on the layer, or where none is named the only visible one, if that is all that shows; else on a new one
    right above all that shows. Whatever it is, the edit reads what shows."""
    references: Annotated[list[Reference], Meta(max_length=4)] = []
    model: ModelName | None = None
    """By name, one of those that engines serve; None: what most engines run by default. Erasing needs none."""
    lane: Lane = "live"
    front: bool = False
    """Ahead of its author's other edits that wait; never of other people's (E7)."""
    live: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")] | None = None
    """The live session that this edit belongs to, if any: a newer edit of it takes this one's place, also when this
    one is staged, so a session has one result at a time. Runs at draft quality, one variation (E7)."""
