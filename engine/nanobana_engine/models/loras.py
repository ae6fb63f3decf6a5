"""LoRAs on a loaded pipeline: checked by their files, worn by the edits that ask for them, or merged for good."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.loading import BUILDING
from nanobana_engine.models.preset import Worn

MOST_LOADED = 8
"""Kept in memory beside the model; the one that was worn longest ago goes."""
DOWN = (".lora_A.weight", ".lora.down.weight", ".lora_down.weight")
UP = (".lora_B.weight", ".lora.up.weight", ".lora_up.weight")


class Loras:
    """What a pipeline can wear. Calls come from one thread.

    Args:
        network: name of the component that a LoRA is mostly for, ``unet`` or ``transformer``.
    """

    def __init__(self, pipeline: Any, network: str = "unet") -> None:
        self._pipeline = pipeline
        self._network = network
        named = getattr(pipeline, network).named_modules()
        self._sides = {
            name: tuple(weight.shape[:2]) for name, module in named if (weight := _weight(module)) is not None
        }
        """Of each layer, how many numbers go out and in."""
        self._loaded: OrderedDict[Path, str] = OrderedDict()
        self._count = 0
        self._worn: tuple[Worn, ...] | None = ()
        """None: not known, because changing it failed half-way."""

    def check(self, path: Path) -> None:
        """Whether a file is a LoRA for this model, by the names and shapes in it; its weights are not read.

        Safe to call from any thread.

        Raises:
            BadInput: ``bad_lora``: it is none, or damaged; ``wrong_lora``: it was made for another architecture.
        """
        own = {key: value for key, value in self._shapes(path).items() if key.startswith(f"{self._network}.")}
        if not own:
            raise _wrong(path, f"it has nothing for this model's {self._network}")
        for key, value in own.items():
            end = next((end for end in (*DOWN, *UP) if key.endswith(end)), None)
            if end is None:
                continue
            name = key.removeprefix(f"{self._network}.").removesuffix(end)
            if name not in self._sides:
                raise _wrong(path, f"it changes {name}, which this model does not have")
            side = 1 if end in DOWN else 0  # in, or out, of the layer that it is added to
            theirs, ours = value.shape[side], self._sides[name][side]
            if theirs != ours:
                raise _wrong(path, f"at {name} it has {theirs} numbers, and this model {ours}")

    def wear(self, wanted: tuple[Worn, ...]) -> None:
        """Exactly these from now on; what is worn already costs nothing.

        Raises:
            BadInput: ``bad_lora``, ``wrong_lora``.
        """
        if wanted == self._worn:
            return
        self._worn = None
        names = [self._load(each.path) for each in wanted]
        if names:
            self._pipeline.enable_lora()
            self._pipeline.set_adapters(names, [each.weight for each in wanted])
        elif self._loaded:
            self._pipeline.disable_lora()
        self._worn = wanted
        while len(self._loaded) > MOST_LOADED:
            _, name = self._loaded.popitem(last=False)
            self._pipeline.delete_adapters(name)

    def merge(self, path: Path, weight: float) -> None:
        """Into the weights themselves, for good.

        Raises:
            BadInput: ``bad_lora``, ``wrong_lora``.
        """
        self.check(path)
        with _explained(path):
            self._pipeline.load_lora_weights(str(path), adapter_name="merged")
            self._pipeline.fuse_lora(lora_scale=weight)
            self._pipeline.unload_lora_weights()

    def _load(self, path: Path) -> str:
        if path in self._loaded:
            self._loaded.move_to_end(path)
            return self._loaded[path]
        self.check(path)
        self._count += 1
        name = f"lora_{self._count}"
        # layers in eight bits are read as peft wraps them, and what is made under inference mode cannot be
        with BUILDING, _explained(path), torch.inference_mode(False):
            self._pipeline.load_lora_weights(str(path), adapter_name=name)
        self._loaded[path] = name
        return name

    def _shapes(self, path: Path) -> Mapping[str, Tensor]:
        """Tensors without data, under diffusers' names for them whatever program wrote the file."""
        more = {"unet_config": self._pipeline.unet.config} if self._network == "unet" else {}
        with _explained(path):
            found = self._pipeline.lora_state_dict(dict(_empty_tensors(path)), **more)
        shapes: Mapping[str, Tensor] = found[0] if isinstance(found, tuple) else found
        return shapes


def _empty_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 - it is no mapping
            shape = file.get_slice(key).get_shape()
            # scalars are read: they say by how much the others are scaled
            yield key, torch.empty(shape, device="meta") if shape else file.get_tensor(key)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """The many errors of readers and loaders as one of ours."""
    try:
        yield
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, IndexError, TypeError) as error:
        raise BadInput(
            f"The LoRA {path.stem} cannot be read: it is damaged, or none that diffusers knows. ({error})",
            code="bad_lora",
        ) from error


def _weight(module: torch.nn.Module) -> Tensor | None:
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.ndim >= 2 else None


def _wrong(path: Path, why: str) -> BadInput:
    return BadInput(f"The LoRA {path.stem} was made for another model: {why}.", code="wrong_lora")
