"""What a model takes of this machine: as diffusers loads it, as the engine does, and with less of it; and the error.

    python benchmarks/memory.py

The architecture of SD 1.5 inpainting at random weights in float32 (4.3 GB), text encoder included, one process for each
way: a prompt and a picture are encoded, the network is called once for 256², the VAE decodes 64². Figures are MB
resident: `…_loaded_mb` once it is loaded, `…_loading_peak_mb` the most until then, `…_works_mb` after the calls,
`…_peak_mb` the most at any time; what a process has before it loads anything (`base_mb`) is taken off them.
`…_booked_mb` is what the engine's book has of it: the weights, and what is remembered.

`diffusers`: `StableDiffusionInpaintPipeline.from_pretrained`, its parts called; `stored`: the engine's adapter;
`aside`: the same with the text encoder put aside after encoding; `int8`, `int8_aside`: with weights in eight bits;
`torchao`: with linear layers that multiply in eight bits, where torchao is installed.
`again_s`: seconds for a text encoder to come back. `call_s`: CPU seconds of the network's call, one thread.

`int8_error`, `torchao_error`: of the network's answer, root mean square over that of the answer in float32, at random
weights;
`nano_error_levels`: of whole edits by nano, whose weights are trained, with its networks in eight bits: the mean
difference in levels of 255 on the pixels that the edit changed, of those that differ at all the share `nano_moved`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import sd15
import torch
from harness import report

from nanobana.protocol.geometry import Box
from nanobana_engine.memory import Memory
from nanobana_engine.memory.heap import give_back
from nanobana_engine.models.base import Item
from nanobana_engine.models.guests import guests_of
from nanobana_engine.models.int8 import shrink
from nanobana_engine.models.needs import weight_bytes
from nanobana_engine.models.preset import Weights
from nanobana_engine.models.quantized import is_installed
from nanobana_engine.models.registry import Library, load
from nanobana_engine.models.sizes import TORCHAO
from support.edits import Watched, mask_in, photo, source_of

WAYS = ("diffusers", "stored", "aside", "int8", "int8_aside", *(["torchao"] if is_installed() else []))
WEIGHTS: dict[str, Weights] = {"int8": "int8", "int8_aside": "int8", "torchao": TORCHAO}
WORDS = "a red apple in snow"
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.way:
        print(json.dumps(measured(given.way, given.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="nb-memory-") as there:
        subprocess.run([sys.executable, "-c", MAKE, there], check=True, cwd=Path(__file__).parent)
        found = {way: in_a_process(way, Path(there)) for way in WAYS}
        answers = {way: np.load(Path(there, f"{way}.npy")) for way in ("stored", "int8", "torchao") if way in WAYS}
    figures = {
        f"{way}_{name}": value for way, each in found.items() for name, value in each.items() if name != "base_mb"
    }
    stored = answers.pop("stored")
    for way, answer in answers.items():
        figures[f"{way}_error"] = round(float(np.linalg.norm(answer - stored) / np.linalg.norm(stored)), 5)
    report(base_mb=found["stored"]["base_mb"], **figures, **nano_error())


MAKE = "import sys, memory; memory.make(sys.argv[1])"


def make(folder: str) -> None:
    """Write the model; in a process of its own, for a generator leaves memory behind."""
    from transformers import CLIPTextConfig, CLIPTextModel

    made = sd15.pipeline()
    made.unet.conv_out.weight.data.mul_(50.0)
    made.text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            projection_dim=768, bos_token_id=0, eos_token_id=2, pad_token_id=2,
        )
    ).eval()  # fmt: skip
    made.save_pretrained(folder)


def in_a_process(way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(told.splitlines()[-1])
    return figures


def measured(way: str, folder: Path) -> dict[str, float]:
    """One way, in this process."""
    import diffusers
    import transformers

    for lazy in (diffusers.StableDiffusionInpaintPipeline, transformers.CLIPTextModel):
        assert lazy  # naming it imports it
    base = resident()
    call = theirs(folder) if way == "diffusers" else ours(folder, way)
    figures: dict[str, float] = {"base_mb": base, "loaded_mb": resident() - base}
    figures["loading_peak_mb"] = _status("VmHWM") - base
    figures |= call()
    figures["works_mb"] = resident() - base
    figures["peak_mb"] = _status("VmHWM") - base
    return {name: round(value, 2 if name.endswith("_s") else 0) for name, value in figures.items()}


def ours(folder: Path, way: str) -> Any:
    adapter: Any = Library(weights=WEIGHTS.get(way, "stored")).load(str(folder), "cpu")
    memory = Memory()
    adapter.remember_in(memory)

    def call() -> dict[str, float]:
        encoder = next(guest for guest in guests_of(adapter.components()) if guest.is_encoder)
        asked = request()
        given = adapter.condition(asked)
        if way.endswith("aside"):
            encoder.go()
        began = time.process_time()
        latents = torch.randn(4, 32, 32, generator=torch.Generator().manual_seed(1))
        answer = adapter.denoise([Item(latents=latents, sigma=0.6, conditioning=given)])[0]
        spent = {"call_s": time.process_time() - began}
        adapter.decode(latents[:, :8, :8])
        np.save(folder / f"{way}.npy", answer.numpy())
        if way.endswith("aside"):
            began = time.perf_counter()
            encoder.come()
            spent["again_s"] = time.perf_counter() - began
            encoder.go()
        return {**spent, "booked_mb": (weight_bytes(adapter.components()) + memory.device.used_bytes) / MB}

    return call


def theirs(folder: Path) -> Any:
    from diffusers import StableDiffusionInpaintPipeline

    made = StableDiffusionInpaintPipeline.from_pretrained(
        str(folder), safety_checker=None, requires_safety_checker=False
    )

    @torch.inference_mode()
    def call() -> dict[str, float]:
        words, _ = made.encode_prompt(WORDS, "cpu", 1, False)
        made.vae.encode(torch.randn(1, 3, 256, 256))
        began = time.process_time()
        made.unet(torch.randn(1, 9, 32, 32), 500, words)
        spent = time.process_time() - began
        made.vae.decode(torch.randn(1, 4, 8, 8))
        return {"call_s": spent}

    return call


def request() -> Any:
    from nanobana_engine.models.base import Request

    pixels = np.random.default_rng(1).random((256, 256, 3), np.float32)
    mask = np.zeros((256, 256), np.float32)
    mask[64:192, 64:192] = 1.0
    return Request(pixels=pixels, mask=mask, user_mask=mask, prompt=WORDS)


def nano_error() -> dict[str, float]:
    """Of whole edits, by the networks that ship."""
    picture, mask = photo(256, 256), mask_in(256, 256, Box(90, 90, 170, 170))
    prompts = ("a red apple", "a tree", "a house", "clouds", "grass")

    def run(is_small: bool) -> list[Any]:
        adapter = load("nano", "cpu")
        if is_small:
            for part in adapter.components():
                shrink(part.module)
        with Watched(adapter) as watched:
            asked = [source_of(picture, mask, adapter.preset, id=prompt, prompt=prompt) for prompt in prompts]
            return [watched.finish(source).patches()[0].astype(np.int16) for source in asked]

    pairs = list(zip(run(False), run(True), strict=True))
    off = np.concatenate([np.abs(small - whole)[whole[..., 3] > 0][:, :3].ravel() for whole, small in pairs])
    return {"nano_error_levels": round(float(off.mean()), 3), "nano_moved": round(float((off > 0).mean()), 3)}


def resident() -> float:
    """What stays: free pieces of the heap are handed back first."""
    gc.collect()
    give_back()
    return _status("RssAnon") + _status("RssFile")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 / MB for line in lines if line.startswith(name))


if __name__ == "__main__":
    main()
