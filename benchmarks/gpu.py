"""What only a GPU can say: steps of SD 1.5 dense and in lists, the VAE, memory, and how near each comes to the machine.

    python benchmarks/gpu.py [--device cuda:0] [--rounds 20]
    python benchmarks/gpu.py --device cpu --tiny        # the same on a tiny network: does it run?

Random weights in half precision (float32 on a CPU), 512², no guidance. Wall milliseconds, medians of so many rounds,
the device waited for. `dense_N_ms`: diffusers' own pass over N pictures; `list_P_of_N_ms`: N edits of P % in one list,
each a square with a cell around it; `edits_per_dense_step_P_of_N`: how many of them fit in `dense_1_ms`. `…_tflops`:
operations as counted by `roofline.py` over that time, to be seen beside `product_tflops` and `copy_gbs`, which are this
device's own for a large product and a large copy. `…_mib`: the most memory at any time above the weights.
Without a GPU the last line says so: `{"skipped": "no_gpu", …}`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import packing
import roofline
import torch
from harness import hardware, median
from sizes import vae

from nanobana_engine.sparse import Executor
from nanobana_engine.sparse.call import Prompt
from nanobana_engine.sparse.executor import Row, Sparse, dense

BATCHES = (1, 2, 4, 8)
LISTS = {1: (1, 8, 40), 5: (1, 4, 12), 25: (1, 4)}
"""By percent of the picture, how many edits in a list."""
MIB = 2**20


class Bench:
    """One device; what is measured is collected in `figures`."""

    def __init__(self, device: torch.device, rounds: int) -> None:
        self.device = device
        self.rounds = rounds
        self.dtype = torch.float32 if device.type == "cpu" else torch.float16
        self.figures: dict[str, float] = {}

    def time(self, name: str, call: Callable[[], object]) -> float:
        """Milliseconds; the first two calls, which choose kernels, are not counted."""
        spent = []
        for n in range(self.rounds + 2):
            self._wait()
            began = time.perf_counter()
            call()
            self._wait()
            if n > 1:
                spent.append(1e3 * (time.perf_counter() - began))
        self.figures[f"{name}_ms"] = median(spent)
        return median(spent)

    def memory(self, name: str, call: Callable[[], object]) -> None:
        if self.device.type == "cuda":
            self._wait()
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            call()
            self._wait()
            self.figures[f"{name}_mib"] = (torch.cuda.max_memory_allocated(self.device) - before) / MIB

    def peaks(self, side: int) -> None:
        """What the device reaches in a product and in a copy."""
        a, b = (torch.randn(side, side, device=self.device, dtype=self.dtype) for _ in range(2))
        self.figures["product_tflops"] = 2 * side**3 / (self.time("product", lambda: a @ b) * 1e9)
        self.figures["copy_gbs"] = 2 * a.nbytes / (self.time("copy", lambda: b.copy_(a)) * 1e6)

    def steps(self, unet: Any, counted: roofline.Counted | None) -> None:
        """Passes of the network: dense, recorded, in lists."""
        unet = unet.to(self.device, self.dtype)
        self.figures["weights_mib"] = sum(each.nbytes for each in unet.parameters()) / MIB
        executor = Executor(unet, keeps=torch.float16)
        for number in BATCHES:
            self._step(f"dense_{number}", partial(dense, unet, self._rows(unet, number)), counted, number, None)
        one = self._rows(unet, 1)
        self.time("recorded_1", lambda: executor.record(one))
        ((_, record),) = executor.record(one)
        self.figures["record_mib"] = record.nbytes / MIB
        self.figures["list_error"] = executor.error(one[0], record)
        for percent, numbers in LISTS.items():
            for number in numbers:
                given = [
                    Sparse(row=row, shape=each.shape, record=each.record)
                    for row, each in zip(
                        self._rows(unet, number), packing.edits(executor, record, percent / 100, number), strict=True
                    )
                ]
                name = f"list_{percent}_of_{number}"
                spent = self._step(name, partial(executor.sparse, given), counted, number, percent / 100)
                fit = number * self.figures["dense_1_ms"] / spent
                self.figures[f"edits_per_dense_step_{percent}_of_{number}"] = fit

    def autoencoder(self, net: Any, side: int) -> None:
        net = net.eval().to(self.device, self.dtype)
        picture = torch.rand(1, 3, side, side, device=self.device, dtype=self.dtype)
        latents = net.encode(picture).latent_dist.mode()
        for name, call in {"encode": partial(net.encode, picture), "decode": partial(net.decode, latents)}.items():
            self.time(name, call)
            self.memory(name, call)

    def _step(
        self, name: str, call: Callable[[], object], counted: roofline.Counted | None, number: int, share: float | None
    ) -> float:
        spent = self.time(name, call)
        self.memory(name, call)
        if counted is not None:
            self.figures[f"{name}_tflops"] = roofline.needs(counted, number, share)[0] / (spent * 1e9)
        return spent

    def _rows(self, unet: Any, number: int) -> list[Row]:
        """As `packing` makes them, on the device, their prompts as wide as the network reads."""
        width = int(unet.config.cross_attention_dim)
        return [
            Row(
                sample=row.sample.to(self.device, self.dtype),
                timestep=row.timestep,
                prompt=Prompt(row.prompt.tokens[:, :width].to(self.device, self.dtype)),
            )
            for row in packing.rows(number)
        ]

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def tiny_unet() -> Any:
    """Of the same kinds of blocks and as many levels, without attention where there are most cells."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        in_channels=9, cross_attention_dim=16, attention_head_dim=2, block_out_channels=(8, 8, 16, 16),
        layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip


def tiny_vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
    )  # fmt: skip


def refusal(device: str) -> dict[str, str] | None:
    """Why nothing can be measured here; None if it can."""
    if torch.device(device).type == "cpu":
        return None
    if not torch.cuda.is_available():
        text = f"torch {torch.__version__} finds no GPU here. On one: python benchmarks/gpu.py. The script itself is "
        return {"skipped": "no_gpu", "message": text + "tried by: python benchmarks/gpu.py --device cpu --tiny"}
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="a tiny network: nothing is learnt but that it runs")
    options = parser.parse_args()
    if skipped := refusal(options.device):
        print(json.dumps({**skipped, "hardware": hardware()}))
        return
    device = torch.device(options.device)
    bench = Bench(device, 1 if options.tiny else options.rounds)
    torch.manual_seed(0)
    with torch.inference_mode():
        bench.peaks(64 if options.tiny else 8192)
        bench.steps(tiny_unet() if options.tiny else packing.sd15_unet(), None if options.tiny else roofline.count())
        bench.autoencoder(tiny_vae() if options.tiny else vae(4), 64 if options.tiny else 512)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    figures = {name: round(value, 4) for name, value in bench.figures.items()}
    print(json.dumps({**figures, "device": name, "is_tiny": options.tiny, "hardware": hardware()}))


if __name__ == "__main__":
    main()
