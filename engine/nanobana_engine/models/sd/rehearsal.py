"""What is made of what stands there before anybody asks for an edit of it (E9).

Its latents, a pass of the decoder, and a pass of the UNet that is recorded, so that the first edit runs sparse. What is
recorded is the picture under the noise that lies around every edit, with nothing masked and no prompt. An edit of the
place computes its mask and, as ever, each cell whose pixels are not bit for bit those that were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nanobana_engine.models.base import Item, Request
from nanobana_engine.models.needs import needs_of

if TYPE_CHECKING:
    from nanobana_engine.models.sd.adapter import SdAdapter
    from nanobana_engine.models.sd.latents import Latents


class GivenUp(Exception):
    """What was begun before it was asked for is not wanted any more."""


def prepare(adapter: SdAdapter, latents: Latents, request: Request, goes_on: Callable[[], bool]) -> None:
    """What stands there, encoded, and a pass of the decoder that the result will be decoded beside.

    Args:
        goes_on: asked between the layers of the autoencoder; False ends it.
    """
    height, width = request.mask.shape
    if adapter.memory is not None and not adapter.memory.device.could_take(needs_of(adapter, width, height).most):
        return

    def check() -> None:
        if not goes_on():
            raise GivenUp

    with suppress(GivenUp):
        latents.foresee_decode(latents.of(request.pixels, check), check)


def rehearse(
    adapter: SdAdapter,
    request: Request,
    *,
    steps: int,
    draw: Callable[[int], Tensor],
    goes_on: Callable[[], bool],
) -> Iterator[None]:
    """Record the noise levels of an edit that may come, one for each item of the iterator; a level that is known, or
    that would push out its own elder ones, is left out.

    Args:
        draw: the noise that lies around edits, [channels, h, w].
        goes_on: asked before every block of the network; False ends it, and nothing of that level is kept.
    """
    height, width = request.mask.shape
    if not _has_room(adapter, width, height):
        return
    adapter.prepare(request, goes_on)  # which can be given up; as a rule it is done already
    if not goes_on():
        return
    nothing = np.zeros_like(request.mask)
    bare = replace(request, prompt="", negative="", loras=(), mask=nothing, user_mask=nothing, prefill=None)
    conditioning, known = adapter.condition(bare), adapter.encode(request.pixels)
    noise = draw(known.shape[0]).to(known)
    sigmas = adapter.sigmas(steps, request.strength, (width, height))[:-1]
    for sigma in sigmas:
        if not goes_on():
            return
        latents = torch.lerp(known, noise, sigma)
        item = Item(latents=latents, sigma=sigma, conditioning=conditioning, guidance=adapter.preset.guidance)
        if not adapter.would_record(item, len(sigmas)):
            continue
        try:
            with interrupted(adapter.unet, goes_on):
                adapter.denoise([item])
        except GivenUp:
            return
        yield


def _has_room(adapter: SdAdapter, width: int, height: int) -> bool:
    """Without taking any from what is in use."""
    memory = adapter.memory
    return memory is not None and memory.device.could_take(needs_of(adapter, width, height).denoise)


@contextmanager
def interrupted(unet: Any, goes_on: Callable[[], bool]) -> Iterator[None]:
    """Raises GivenUp before the network's next block once `goes_on` has become False."""

    def check(*_: object) -> None:
        if not goes_on():
            raise GivenUp

    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    layers = [
        each for block in blocks for name in ("resnets", "attentions") for each in getattr(block, name, None) or ()
    ]
    hooks = [each.register_forward_pre_hook(check) for each in layers if each is not None]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
