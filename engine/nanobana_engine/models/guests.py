"""Networks that can be put aside between their calls, and how a loaded pipeline's parts are placed (E10).

A network is brought to its device when it is called, whoever calls it: an adapter, or a pipeline's own loop. Beside a
device of its own its weights wait in the host's memory, from where they come in a second. On a CPU they wait in the
files that they came from; float32 files are mapped, so that coming costs nothing but reading what is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from accelerate.utils import send_to_device
from torch import Tensor, nn

from nanobana_engine.memory.heap import give_back
from nanobana_engine.memory.ledger import Key
from nanobana_engine.memory.lodging import Lodging
from nanobana_engine.models.base import Component
from nanobana_engine.models.folder import is_quantized, variant_of
from nanobana_engine.models.int8 import shrink
from nanobana_engine.models.loading import BUILDING, dtype_of, dtypes_of
from nanobana_engine.models.order import in_order
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.quantized import config_of
from nanobana_engine.models.sizes import ENCODER, TORCHAO, is_large
from nanobana_engine.models.wrapped import empty, put, stored_bytes

Load = Callable[[], nn.Module]


class NetworkGuest(ModelHook):
    """The hook by which a network says that it is about to be called; a `Guest` of a `Lodging` once it has one.

    Args:
        device: where it runs.
        again: loads it anew from where it came from, on the CPU; None beside a device of its own, where a copy is kept.
    """

    def __init__(self, name: str, module: nn.Module, device: torch.device, again: Load | None) -> None:
        self.name = name
        self.execution_device = device
        self._again = again
        self._weights = dict(module.named_parameters())
        """By the names that the files know; what LoRAs add later is not among them and stays."""
        self.bytes = sum(map(stored_bytes, self._weights.values()))
        self._kept = None if again else {name: weight.data for name, weight in self._weights.items()}
        self.is_in = again is not None
        self.stays = False
        """It is in for good, and no guest any more."""
        self._lodging: tuple[Lodging, Key] | None = None
        if not again:
            _move_buffers(module, device)
        add_hook_to_module(module, self)

    @property
    def is_encoder(self) -> bool:
        return self.name.startswith(ENCODER)

    @property
    def host_bytes(self) -> int:
        """Of the copy that waits on the host."""
        return sum(map(stored_bytes, (self._kept or {}).values()))

    def stay(self) -> None:
        """It comes for good: no copy is kept elsewhere."""
        self.come()
        self.stays, self._kept = True, None

    def lodge(self, lodging: Lodging, key: Key) -> None:
        """From now on it comes and goes under a book."""
        self._lodging = lodging, key
        lodging.take_in(key, self)

    def enter(self) -> None:
        """It is about to be called."""
        if self._lodging is not None:
            lodging, key = self._lodging
            lodging.enter(key, self)
        elif not self.is_in:
            self.come()

    def come(self) -> None:
        if self.is_in:
            return
        with torch.inference_mode(False), torch.no_grad():
            there = self._kept if self._again is None else dict(self._again().named_parameters())
            assert there is not None
            try:
                for name, weight in self._weights.items():
                    put(weight, there[name].data.to(self.execution_device))
            except BaseException:
                self.go()
                raise
        self.is_in = True

    def go(self) -> None:
        self.is_in = False
        with torch.inference_mode(False):
            for name, weight in self._weights.items():
                if self._kept is None:
                    empty(weight)
                else:
                    put(weight, self._kept[name])
        if self._kept is None:
            give_back()

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - the hook's
        self.enter()
        return send_to_device(args, self.execution_device), send_to_device(kwargs, self.execution_device)

    def post_forward(self, module: nn.Module, output: Any) -> Any:  # noqa: ARG002 - the hook's
        """An encoder on loan goes at once: what works next has that room."""
        if self.is_encoder and self._lodging is not None and self._lodging[0].is_lent(self):
            self._lodging[0].end_loan()
        return output


class Resident(ModelHook):
    """Says where a network runs that is always there: else a pipeline asks its first one, and that may be a guest."""

    def __init__(self, device: torch.device) -> None:
        self.execution_device = device


def guest_of(module: nn.Module) -> NetworkGuest | None:
    """The guest that a network is, if it can be put aside."""
    hook = getattr(module, "_hf_hook", None)
    return hook if isinstance(hook, NetworkGuest) and not hook.stays else None


def guests_of(components: Iterable[Component]) -> list[NetworkGuest]:
    """Those of a model's networks that can be put aside."""
    return [guest for each in components if (guest := guest_of(each.module)) is not None]


def steady_bytes(components: Iterable[Component]) -> int:
    """Of the weights that are there as long as the model is."""
    return sum(each.bytes for each in components if guest_of(each.module) is None)


def placed(pipeline: Any, preset: Preset, device: torch.device | str) -> Any:
    """The pipeline ready for its device: weights as the preset wants them, what can be put aside made a guest.

    Beside a device of its own guests wait on the host until they are called; everything else is moved.
    """
    device = torch.device(device)
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    for name, part in parts.items():
        if is_large(name):
            _kept_as(part, name, preset, device)
        again = _again(pipeline, name, part, preset) if device.type == "cpu" else None
        if is_large(name) and (device.type != "cpu" or again):
            NetworkGuest(name, part, device, again)
        else:
            add_hook_to_module(part.to(device), Resident(device))
    give_back()
    return pipeline


def _again(pipeline: Any, name: str, part: nn.Module, preset: Preset) -> Load | None:
    """Loads a part once more from its folder; None where that would not be the same, or there is no folder."""
    folder = getattr(pipeline.config, "_name_or_path", None)
    if preset.few_step is not None or not folder or not Path(folder, name).is_dir():
        return None
    return partial(_loaded, type(part), Path(folder), name, preset)


def _loaded(kind: Any, folder: Path, name: str, preset: Preset) -> nn.Module:
    dtypes = dtypes_of(folder, preset, "cpu")
    more: dict[str, Any] = {}
    if preset.weights == TORCHAO and not is_quantized(folder, name):
        more["quantization_config"] = config_of(name, "cpu")
    with BUILDING:
        loaded: nn.Module = kind.from_pretrained(
            str(folder / name),
            dtype=dtypes.get(name, dtypes["default"]),
            variant=variant_of(folder, preset.variant),
            use_safetensors=True,
            local_files_only=True,
            **more,
        )
    _kept_as(loaded, name, preset, "cpu")
    return loaded


def _kept_as(part: nn.Module, name: str, preset: Preset, device: torch.device | str) -> None:
    """A large part's weights in eight bits, or in the order in which they are read most."""
    if preset.weights == "int8":
        shrink(part, dtype=dtype_of(preset, device))
    elif preset.reuses and name == "unet":
        in_order(part)


def _move_buffers(module: nn.Module, device: torch.device) -> None:
    """Positions and statistics: small, and read by whoever walks a network."""
    for owner in module.modules():
        moved: Mapping[str, Tensor | None] = {
            name: buffer if buffer is None else buffer.to(device) for name, buffer in owner._buffers.items()
        }
        owner._buffers.update(moved)
