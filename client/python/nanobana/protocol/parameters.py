"""What a person can ask of an edit, with the limits that every part of the house checks."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nanobana.protocol.geometry import Box

Mode = Literal["fill", "erase"]
"""fill: inpaint by diffusion; erase: remove by PatchMatch, no prompt, no model."""

Quality = Literal["draft", "balanced", "best"]
Lane = Literal["live", "batch"]

Text = Annotated[str, Meta(max_length=2000)]
BlobName = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to follow. Its blob is a PNG, WebP or JPEG uploaded to the canvas beforehand."""

    blob: BlobName
    weight: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0


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
    guidance: Annotated[float, Meta(ge=0.0, le=30.0)] | None = None
    """None: the model's own default."""
    exact_edge: bool = False
    """True: not one pixel outside the mask itself may change (E5)."""
    layer: str | None = None
    """Target layer. None: the only visible layer, or else a new one on top."""
    references: Annotated[list[Reference], Meta(max_length=4)] = []
    model: Annotated[str, Meta(max_length=128)] | None = None
    """Model name or None for the engine's default."""
    lane: Lane = "live"
