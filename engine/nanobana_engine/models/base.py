"""The seam between the engine and a model: what a preset states and what an adapter can do (design §6).

The engine owns the crop, the step loop, the soft-mask blend and the stitch; an adapter owns a network. Latents are the
adapter's own (for nano: unshuffled pixels); the engine only adds noise to them, blends them under the mask at latent
resolution, and hands them back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from nanobana_engine.models.preset import Preset, Worn
from nanobana_engine.models.wrapped import stored_bytes

__all__ = [
    "Component",
    "Conditioning",
    "FlowSteps",
    "Item",
    "MaskPlane",
    "ModelAdapter",
    "Move",
    "Pixels",
    "Preset",
    "Releases",
    "Request",
    "Worn",
]

Pixels: TypeAlias = npt.NDArray[np.float32]
"""[height, width, 3] sRGB in 0..1."""
MaskPlane: TypeAlias = npt.NDArray[np.float32]
"""[height, width] in 0..1; 1 = regenerate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One variation of one edit, at the size the model will see."""

    pixels: Pixels
    """What stands there now."""
    prefill: Callable[[], Pixels] | None = None
    """Makes `prefilled`, which many models do not need; None: it is `pixels`."""
    mask: MaskPlane
    """Soft denoise mask D, fully opaque on the user's mask (E1)."""
    user_mask: MaskPlane
    """The user's own mask at this size; objects are placed inside its box."""
    mask_box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 of that box in this picture's pixels; for a tile of a larger picture it may reach beyond it.
    None: the box of `user_mask`."""
    room: str = ""
    """The canvas: what is reused of one is never seen in another."""
    prompt: str
    negative: str = ""
    loras: tuple[Worn, ...] = ()
    references: tuple[npt.NDArray[np.uint8], ...] = ()
    """RGBA pictures to follow, [h, w, 4]."""
    seed: int = 0
    variation: int = 0
    stage: Literal["layout", "rough", "detail"] = "detail"
    previous: Pixels | None = None
    """For refine stages: the result of the stage before, resized to this size; `strength` < 1 then."""
    strength: float = 1.0

    @property
    def prefilled(self) -> Pixels:
        """What stands there with the masked part prefilled (E4)."""
        return self.pixels if self.prefill is None else self.prefill()


Conditioning: TypeAlias = Any
"""The adapter's own: prompt embedding, placed reference, mask channels …"""


@dataclass(slots=True, kw_only=True)
class Item:
    """One edit's part in a denoising call; items of a call may differ in everything that `call_key` allows."""

    latents: torch.Tensor
    """[C, h, w], noisy at level sigma."""
    sigma: float
    """Noise level in 0..1 (flow matching: x = (1 - sigma) * x0 + sigma * noise)."""
    conditioning: Conditioning
    guidance: float = 1.0
    computed: float = 1.0
    """Share of its cells that the call computed; an adapter that leaves some out says so here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One picture's step from a noise level to the next, once its clean latents were predicted.

    Given are the cells that may change, so a step looks at each cell by itself.
    """

    latents: torch.Tensor
    """[C, h, w] at `sigma`."""
    clean: torch.Tensor
    """x0 as `denoise` predicted it."""
    sigma: float
    after: float
    """The level to reach; 0.0 at the end."""
    last: tuple[float, torch.Tensor] | None
    """Level and predicted x0 of the step before, for samplers that look back."""
    fresh: Callable[[], torch.Tensor]
    """Unit noise of this step, the same for the same seed, for samplers that add some."""


class FlowSteps:
    """How pictures begin and move in models of flow matching; adapters of such models inherit it.

    With x = (1 - sigma) x0 + sigma noise the velocity is (x - x0) / sigma, so an Euler step to sigma' is
    x' = x0 + (sigma' / sigma) (x - x0).
    """

    def begin(self, request: Request, known: torch.Tensor, noise: torch.Tensor, sigma: float) -> torch.Tensor:
        """What stands there, or the stage before, under noise."""
        clean = known if request.previous is None else self.encode(request.previous)
        return torch.lerp(clean, noise, sigma)

    def step(self, move: Move) -> torch.Tensor:
        return torch.lerp(move.clean, move.latents, move.after / move.sigma)

    def encode(self, pixels: Pixels) -> torch.Tensor:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Component:
    """A network of a model that can be moved, put aside or made smaller by itself (E10)."""

    name: str
    module: torch.nn.Module

    @property
    def bytes(self) -> int:
        """Of its weights as they are now."""
        return sum(stored_bytes(tensor) for tensor in (*self.module.parameters(), *self.module.buffers()))


@runtime_checkable
class Releases(Protocol):
    """An adapter whose conditionings hold something until they are let go of."""

    def release(self, conditioning: Conditioning) -> None:
        """The edit is over, or nobody wants it any more; called once for each conditioning, at any of its steps."""
        ...


@runtime_checkable
class ModelAdapter(Protocol):
    """What a model must be able to do. All calls come from one thread."""

    preset: Preset

    def components(self) -> Sequence[Component]:
        """Its networks, e.g. ``text_encoder``, ``unet``, ``vae``, in the order in which an edit needs them."""
        ...

    def condition(self, request: Request) -> Conditioning:
        """Encode prompt, references, mask and prefill for a request.

        Raises:
            nanobana.protocol.errors.BadInput: ``unknown_prompt`` where the model cannot draw what is asked; the text
                names the nearest things that it can.
        """
        ...

    def encode(self, pixels: Pixels) -> torch.Tensor:
        """Pixels to clean latents [C, h, w] (h = height / latent_stride)."""
        ...

    def begin(self, request: Request, known: torch.Tensor, noise: torch.Tensor, sigma: float) -> torch.Tensor:
        """Latents at the first noise level.

        Args:
            known: what stands there now, encoded.
            noise: the edit's fixed unit noise, of the same shape.
        """
        ...

    def step(self, move: Move) -> torch.Tensor:
        """Latents at the next noise level: Euler for models of flow matching (`FlowSteps`)."""
        ...

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:
        """Noise levels from the first to 0.0: steps + 1 values, four at least (E4).

        Args:
            steps: that are made. The planner has counted the strength in already.
            strength: below 1 the levels are the end of a longer run and begin lower.
        """
        ...

    def call_key(self, item: Item) -> tuple[object, ...]:
        """Items with equal keys can share one `denoise` call (same latent size, for dense models)."""
        ...

    def cost(self, item: Item) -> float:
        """Cost of one step of the item; 1.0 = one native-size picture (E7)."""
        ...

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        """One network call: the predicted clean latents x0 for every item, in order. Batch-invariant (E11)."""
        ...

    def decode(self, latents: torch.Tensor) -> Pixels:
        """Clean latents to pixels."""
        ...

    def preview(self, latents: torch.Tensor) -> npt.NDArray[np.uint8]:
        """A cheap picture of predicted clean latents, [h, w, 3] uint8, any size with the right aspect."""
        ...
