"""An autoencoder that encodes what changed and decodes what is wanted, beside earlier passes that it remembers (E9)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Pixels
from nanobana_engine.models.order import in_order
from nanobana_engine.models.partly import Coded, Work
from nanobana_engine.models.vae.beside import Unlike
from nanobana_engine.models.vae.boxes import Bools
from nanobana_engine.models.vae.codec import (
    decode_part,
    decode_share,
    decode_whole,
    decoding,
    encode_part,
    encode_share,
    encode_whole,
    encoding,
)
from nanobana_engine.models.vae.earlier import Content, Earlier, Pass
from nanobana_engine.models.vae.gate import Gate, measured
from nanobana_engine.models.vae.parts import finer

MOST_STALE = 0.25
"""Of a picture's cells, that may have changed since its statistics were taken."""
MOST_WORK = 0.6
"""Of a pass over the whole, that is worth saving the rest."""

Check = Callable[[], None]


class IncrementalVae:
    """Safe to call from several threads, each with other pictures.

    Args:
        vae: of diffusers. On a CPU its weights are put into channels-last order, which changes no value.
        stride: pixels along a side of a latent cell.
        is_on: False works on whole pictures, and remembers nothing.
    """

    def __init__(self, vae: Any, stride: int, *, is_on: bool = True) -> None:
        self._vae = vae
        if is_on and self._device.type == "cpu":
            in_order(vae)
        self._stride = stride
        self._gate = None if is_on else Gate()
        self._lock = threading.Lock()
        self._pictures = Earlier(stride)
        self._latents = Earlier(1)
        self.encoded = Work()
        self.decoded = Work()
        self._here = threading.local()

    @property
    def gate(self) -> Gate:
        """What may be done in parts; measured when it is first asked for."""
        with self._lock:
            if self._gate is None:
                self._gate = measured(self._vae, self._stride)
            return self._gate

    def use(self, gate: Gate) -> None:
        """Other halos than were measured: to find out what they cost and what they do."""
        self._gate = gate

    def remember_in(self, memory: Memory, model: str) -> None:
        self._pictures.remember_in(memory, f"{model} encoder")
        self._latents.remember_in(memory, f"{model} decoder")

    @torch.inference_mode()
    def encode(self, pixels: Pixels, check: Check = lambda: None, *, keeps: bool = True) -> Tensor:
        """[H, W, 3] in 0..1 → the latents' mean [c, h, w] in float32, on the host.

        Args:
            check: called between blocks; may raise, to give up.
            keeps: remember the pass: for a picture that others will differ little from.
        """
        picture = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None] * 2.0 - 1.0
        picture = picture.to(self._device, self._vae.dtype)
        halo = self.gate.encode
        if halo is None:
            self._note_here(self.encoded, 1.0)
            return _on_host(self._vae.encode(picture).latent_dist.mode())
        found = self._pictures.nearest(pixels)
        made = None if found is None else self._encoded(picture, pixels, *found, halo, check)
        if made is None:
            latents, passed = encode_whole(self._vae, picture, check)
            made = Pass(np.array(pixels), passed, np.zeros(latents.shape[-2:], np.bool_), latents)
            self._note(self.encoded, 1.0)
        if keeps:
            self._pictures.keep(made)
        assert made.latents is not None
        return _on_host(made.latents)

    @torch.inference_mode()
    def decode(self, latents: Tensor, check: Check = lambda: None) -> Pixels:
        """[c, h, w] as the network takes them → [H, W, 3] in 0..1."""
        given = latents[None].to(self._device, self._vae.dtype)
        if self.gate.decode is None:
            self._note_here(self.decoded, 1.0)
            return _pixels(self._vae.decode(given, return_dict=False)[0])
        picture, passed = decode_whole(self._vae, given, check)
        self._note(self.decoded, 1.0)
        content = _content(latents)
        self._latents.keep(Pass(content, passed, np.zeros(content.shape[:2], np.bool_)))
        return _pixels(picture)

    @torch.inference_mode()
    def decode_part(self, latents: Tensor, wanted: Bools, beneath: Pixels) -> Pixels:
        """The picture where it is wanted, and what lies beneath it elsewhere; or all of the picture.

        Args:
            wanted: [h, w], cells.
            beneath: [H, W, 3] in 0..1.
        """
        halo = self.gate.decode
        if halo is None:
            return self.decode(latents)
        levels = decoding(self._vae, wanted, halo)
        work = decode_share(self._vae, levels)
        found = self._latents.nearest(_content(latents)) if work <= MOST_WORK else None
        if found is None or found[1].mean() > MOST_STALE:
            return self.decode(latents)
        given = latents[None].to(self._device, self._vae.dtype)
        try:
            pixels = decode_part(self._vae, given, wanted, levels, found[0].passed)
        except Unlike:
            return self.decode(latents)
        self._note(self.decoded, work)
        out = np.array(beneath)
        out[finer(wanted, self._stride)] = _in_range(pixels).cpu().numpy()
        return out

    def foresee_decode(self, latents: Tensor, check: Check = lambda: None) -> None:
        """Have a pass over the whole ready for parts of pictures that will be much like it."""
        if self.gate.decode is None:
            return
        found = self._latents.nearest(_content(latents))
        if found is None or found[1].mean() > MOST_STALE / 2:
            self.decode(latents, check)

    def _encoded(
        self, picture: Tensor, pixels: Pixels, earlier: Pass, changed: Bools, halo: int, check: Check
    ) -> Pass | None:
        """What changed since an earlier pass, encoded; None where that is too much to be told of the rest by it."""
        assert earlier.latents is not None
        stale = earlier.stale | changed
        todo = encoding(self._vae, changed, halo)
        work = encode_share(self._vae, todo)
        if stale.mean() > MOST_STALE or work > MOST_WORK:
            return None
        latents, passed = earlier.latents, earlier.passed
        if changed.any():
            try:
                latents, passed = encode_part(self._vae, picture, latents, todo, passed, check)
            except Unlike:
                return None
        self._note(self.encoded, work)
        return replace(earlier, content=np.array(pixels), passed=passed, stale=stale, latents=latents)

    def take_coded(self) -> Coded:
        """What was done in this thread since it asked last, on whole pictures too."""
        found: Coded = getattr(self._here, "coded", None) or Coded()
        self._here.coded = Coded()
        return found

    def _note(self, work: Work, done: float) -> None:
        with self._lock:
            work.note(done)
        self._note_here(work, done)

    def _note_here(self, work: Work, done: float) -> None:
        if not hasattr(self._here, "coded"):
            self._here.coded = Coded()
        here: Coded = self._here.coded
        (here.encoded if work is self.encoded else here.decoded).note(done)

    @property
    def _device(self) -> torch.device:
        device: torch.device = next(self._vae.parameters()).device
        return device


def _content(latents: Tensor) -> Content:
    """[c, h, w] → [h, w, c]."""
    content: Content = latents.float().permute(1, 2, 0).contiguous().cpu().numpy()
    return content


def _on_host(latents: Tensor) -> Tensor:
    return latents[0].float().cpu()


def _pixels(picture: Tensor) -> Pixels:
    pixels: Pixels = _in_range(picture[0]).permute(1, 2, 0).contiguous().cpu().numpy()
    return pixels


def _in_range(picture: Tensor) -> Tensor:
    """-1..1 → 0..1."""
    return (picture.float() / 2 + 0.5).clamp(0, 1)
