"""What torch knows of a device: which one there is, and how much memory it has of its own."""

from __future__ import annotations

import torch


def default_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_bytes(device: str) -> int | None:
    """Memory of a device of its own; None for the CPU and for what shares the host's memory."""
    if torch.device(device).type != "cuda":
        return None
    total: int = torch.cuda.get_device_properties(device).total_memory
    return total
