"""What eight bits give and cost where layers are linear: one call of a transformer as it is stored, and in eight bits.

    python benchmarks/eight_bits.py

Layers as wide as FLUX.2 klein's 4B has them (3072; one of its double blocks and two of its single ones), random weights
in float32, a picture of 512² (1024 tokens) beside 64 words, one thread. `int8`: weights alone (`models/int8`);
`torchao_int8`: what they are multiplied with too, as diffusers loads it with torchao's config; left out where that is
not installed. `…_mb`: bytes of the weights; `…_s`: CPU seconds of a call, the least of three; `…_error`: of its answer,
root mean square over that of the answer in float32, at random weights.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from harness import report
from torch import nn

from nanobana_engine.models.base import Component
from nanobana_engine.models.int8 import shrink
from nanobana_engine.models.quantized import config_of, is_installed

SIDE, WORDS, WIDTH = 32, 64, 7680
"""Tokens along a side of the picture, tokens of the prompt, and how wide those are."""


def transformer() -> Any:
    from diffusers import Flux2Transformer2DModel

    torch.manual_seed(0)
    made = Flux2Transformer2DModel(
        in_channels=128, num_layers=1, num_single_layers=2, attention_head_dim=128, num_attention_heads=24,
        joint_attention_dim=WIDTH, timestep_guidance_channels=256, axes_dims_rope=(32, 32, 32, 32),
        guidance_embeds=False,
    )  # fmt: skip
    return made.eval()


def given() -> dict[str, Any]:
    dice = torch.Generator().manual_seed(1)
    picture, words = torch.zeros(SIDE * SIDE, 4), torch.zeros(WORDS, 4)
    picture[:, 1:3] = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).float()
    words[:, 3] = torch.arange(WORDS)
    return {
        "hidden_states": torch.randn(1, SIDE * SIDE, 128, generator=dice),
        "encoder_hidden_states": torch.randn(1, WORDS, WIDTH, generator=dice),
        "timestep": torch.tensor([0.6]), "guidance": None, "img_ids": picture, "txt_ids": words, "return_dict": False,
    }  # fmt: skip


@torch.inference_mode()
def called(network: nn.Module) -> tuple[torch.Tensor, float]:
    """Its answer, and the CPU seconds of a call."""
    took, answer = [], torch.empty(0)
    for _ in range(3):
        began = time.process_time()
        answer = network(**given())[0]
        took.append(time.process_time() - began)
    return answer, min(took)


def main() -> None:
    from diffusers import Flux2Transformer2DModel

    torch.set_num_threads(1)
    found: dict[str, float] = {}
    stored = None
    with tempfile.TemporaryDirectory(prefix="nb-eight-bits-") as there:
        network = transformer()
        if is_installed():
            network.save_pretrained(there)
        for way in ("stored", "int8", *(["torchao_int8"] if is_installed() else [])):
            if way == "int8":
                shrink(network)
            if way == "torchao_int8":
                network = Flux2Transformer2DModel.from_pretrained(
                    Path(there), quantization_config=config_of("transformer", "cpu"), dtype=torch.float32
                ).eval()
            answer, seconds = called(network)
            stored = answer if stored is None else stored
            found |= {f"{way}_mb": round(Component(way, network).bytes / 1e6), f"{way}_s": round(seconds, 2)}
            if way != "stored":
                found[f"{way}_error"] = round(float((answer - stored).norm() / stored.norm()), 5)
    report(**found, threads=1)


if __name__ == "__main__":
    main()
