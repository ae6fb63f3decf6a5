"""What torch knows of devices: which there are, which one is meant, and how much memory it has of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from nanobana.protocol.errors import BadInput

SETTING = "NANOBANA_DEVICE"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One that torch can use."""

    name: str
    total_bytes: int
    free_bytes: Callable[[], int]
    """Asked anew at every call; the first opens the GPU."""


def gpus() -> tuple[Gpu, ...]:
    """By their number in ``cuda:N``."""
    found = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return tuple(Gpu(each.name, each.total_memory, partial(_free, n)) for n, each in enumerate(found))


def _free(number: int) -> int:
    free, _ = torch.cuda.mem_get_info(number)
    return int(free)


def device_of(wanted: str | None, there: Sequence[Gpu]) -> torch.device:
    """The device that a setting means; without one a GPU where there is one. ``cuda`` is the first of several.

    Args:
        there: the machine's GPUs.

    Raises:
        BadInput: ``bad_setting``: it is no device of torch, or not one of this machine.
    """
    if not wanted:
        return torch.device("cuda", 0) if there else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise BadInput(f"{SETTING} is {wanted!r}; it takes cpu, cuda or cuda:1.", code="bad_setting") from error
    if device.type == "cuda":
        if not there:
            text = f"{SETTING} is {wanted!r}, and torch sees no GPU. It needs torch's CUDA build and a driver."
            raise BadInput(text, code="bad_setting")
        number = device.index or 0
        if number >= len(there):
            last = "only cuda:0" if len(there) == 1 else f"cuda:0 to cuda:{len(there) - 1}"
            raise BadInput(f"{SETTING} is {wanted!r}, and there is {last}.", code="bad_setting")
        return torch.device("cuda", number)
    if device.type == "cpu":
        return torch.device("cpu")
    other = torch.accelerator.current_accelerator(check_available=True)
    if other is None or other.type != device.type:
        raise BadInput(f"{SETTING} is {wanted!r}, and torch sees no such device here.", code="bad_setting")
    return device


def device_bytes(device: torch.device, there: Sequence[Gpu]) -> int | None:
    """Memory of a device of its own; None for the CPU and for what shares the host's memory."""
    return there[device.index or 0].total_bytes if device.type == "cuda" else None
