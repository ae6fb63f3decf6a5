"""Pages of mapped files go back to the system when what they were read for is done (E10)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from nanobana_engine.memory.mapped import MappedFiles
from nanobana_engine.models.int8 import shrink
from nanobana_engine.models.order import in_order
from nanobana_engine.sparse.order import channels_last

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")
MB = 1 << 20
Layer: TypeAlias = nn.Linear | nn.Conv2d


def resident(path: Path) -> int:
    """Bytes of a mapped file that this process has in memory."""
    lines = Path("/proc/self/smaps").read_text("utf-8", "replace").splitlines()
    places = [n for n, line in enumerate(lines) if line.endswith(str(path))]
    return sum(int(line.split()[1]) * 1024 for n in places for line in lines[n : n + 5] if line.startswith("Rss:"))


def test_e10_pages_of_a_file_are_let_go_and_read_again_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_file({"weight": torch.arange(4 * MB, dtype=torch.float32)}, path)
    with safe_open(path, "pt") as file:
        weight = file.get_tensor("weight")
        total = weight.sum()
        assert resident(path) >= 16 * MB
        freed = MappedFiles().let_go(weight.data_ptr(), weight.nbytes)
        assert 15 * MB < freed <= 16 * MB
        assert resident(path) < MB
        assert weight.sum() == total


def test_e10_memory_that_is_no_files_is_left_alone() -> None:
    weight = torch.arange(16 * MB, dtype=torch.float32)
    assert MappedFiles().let_go(weight.data_ptr(), weight.nbytes) == 0
    assert weight[-1] == 16 * MB - 1


def mapped(path: Path, layers: list[Layer]) -> list[torch.Tensor]:
    """Layers whose weights are those of a mapped file, and these."""
    save_file({str(n): layer.weight.data for n, layer in enumerate(layers)}, path)
    with safe_open(path, "pt") as file:
        kept = [file.get_tensor(str(n)) for n in range(len(layers))]
    for layer, weight in zip(layers, kept, strict=True):
        layer.weight.data = weight
    return kept


def test_e10_a_network_is_made_small_without_being_there_whole(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    layers: list[Layer] = [nn.Linear(1024, 2048, bias=False) for _ in range(4)]
    kept = mapped(path, layers)
    network = nn.Sequential(*layers)
    shrink(network)
    assert [each.dtype for name, each in network.named_parameters() if name.endswith("weight")] == [torch.int8] * 4
    assert sum(weight.nbytes for weight in kept) == 32 * MB
    assert resident(path) < MB


def test_e10_convolutions_are_put_in_order_without_being_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    layers: list[Layer] = [nn.Conv2d(256, 512, 3, bias=False) for _ in range(4)]
    kept = mapped(path, layers)
    in_order(nn.Sequential(*layers))
    assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in layers)
    assert resident(path) < MB
    assert all(torch.equal(layer.weight, was) for layer, was in zip(layers, kept, strict=True))


def test_a_convolution_that_is_in_order_already_is_not_copied() -> None:
    small, large = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3)
    large.weight.data = large.weight.data.contiguous(memory_format=torch.channels_last)
    before = [small.weight.data_ptr(), large.weight.data_ptr()]
    channels_last(nn.Sequential(small, large))
    assert [small.weight.data_ptr(), large.weight.data_ptr()] == before
