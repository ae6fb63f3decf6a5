"""What an edit costs that recomputes only what it changes, against diffusers' pipeline, which recomputes everything.

    python benchmarks/incremental.py [--small] [--steps 4]

The architecture of SD 1.5 inpainting at random weights, 512 × 512, without guidance, CPU seconds on one thread, whole
edits from planned mask to patch: VAE, UNet, colour, stitch. `speedup_N`: `StableDiffusionInpaintPipeline` over an edit
of N % of the picture in a window that somebody has edited before; `_stroke5` is a diagonal brush stroke of 5 %,
`_wide_edge` the engine's own soft edge of 52 px, which makes 5 % masked 18 % changed; elsewhere the edge is 12 px.
`speedup_crop_5`: the pipeline with `padding_mask_crop=32` over the same. `speedup_5_cold`: the first edit of a window,
which also records (`record_cpu_s` more than the pipeline takes; `break_even_edits` of 5 % pay for it). `split_*`:
seconds by stage.

The halos of the VAE are what its gate finds; random weights need wider ones than trained networks, `speedup_5_trained`
is with (1, 4). `speedup_5_tiny_vae`: previews and result by an `AutoencoderTiny`. `--small`: 5 % only, a few minutes.
"""

import argparse
import os
import time
from dataclasses import replace
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from diffusers import AutoencoderTiny
from harness import report
from pictures import grainy_photo
from PIL import Image, ImageDraw
from sd15 import SIDE, pipeline, theirs_s, timed

from nanobana_engine.engine import EditFailed, EditFinished, Engine, Source
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.memory import Memory
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.vae.gate import Gate
from nanobana_engine.models.vae.tiny import TinyVae
from support.edits import source_of

EDGE = {"feather": 8.0, "grow": 4.0}
GB = 1 << 30


def square(share: float, corner: tuple[int, int] = (190, 180)) -> np.ndarray:
    """A masked square of a share of the picture."""
    side = min(round(SIDE * share**0.5), SIDE - max(corner))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[corner[1] : corner[1] + side, corner[0] : corner[0] + side] = 255
    return mask


def stroke(share: float) -> np.ndarray:
    """A diagonal brush stroke of a share of the picture."""
    picture = Image.new("L", (SIDE, SIDE))
    width = round(share * SIDE**2 / (380 * 2**0.5))
    ImageDraw.Draw(picture).line((66, 446, 446, 66), fill=255, width=width)
    return np.array(picture)


class Ours:
    """The engine in this thread, one edit after another."""

    def __init__(self, made: Any, steps: int) -> None:
        preset = Preset(
            name="sd15", native=512, min_side=512, max_side=768, multiple=64, latent_stride=8, sampler="lcm",
            steps=dict.fromkeys(("draft", "balanced", "best"), steps), guidance=1.0, reuses=True,
        )  # fmt: skip
        self.adapter = SdAdapter(made, preset)
        self._events: list[EditEvent] = []
        memory = Memory(budget_bytes=24 * GB, cache_bytes=8 * GB)
        self._engine = Engine(self.adapter, self._events.append, memory=memory)
        self._photo = np.dstack([grainy_photo(SIDE), np.full((SIDE, SIDE), 255, np.uint8)])
        self._count = 0

    def edit_s(self, mask: np.ndarray, edge: dict[str, Any]) -> tuple[float, dict[str, float]]:
        """CPU seconds from planned edit to patch, and by stage."""
        self._count += 1
        source = source_of(self._photo, mask, self.adapter.preset, id=f"e{self._count}", seed=self._count, **edge)
        parts = {
            "condition": (self.adapter, "condition"),
            "unet": (self.adapter, "denoise"),
            "vae_encode": (self.adapter, "_encode"),
            "vae_decode": (self.adapter, "decode_part"),
            "preview": (self.adapter, "preview"),
        }
        with timed(parts) as spent:
            took = self._run(source)
        return took, {**spent, "rest": took - sum(spent.values())}

    def _run(self, source: Source) -> float:
        began = time.process_time()
        self._engine.submit(source)
        while True:
            self._engine.receive()
            self._engine.step()
            end = self._events[-1] if self._events else None
            if isinstance(end, EditFailed):
                raise AssertionError(end.message)
            if isinstance(end, EditFinished) and end.id == source.id:
                end.patches()
                return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="5 % only")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = pipeline()
    ours = Ours(made, options.steps)
    gate = ours.adapter.coder.gate  # measured before anything is timed, as the first edit of a worker does
    ours.adapter.preview(torch.zeros(4, 8, 8))
    parts = {"unet": (made.unet, "forward"), "vae_encode": (made.vae, "encode"), "vae_decode": (made.vae, "decode")}
    with timed(parts) as their_split:
        theirs = theirs_s(made, square(0.05), options.steps)
    found: dict[str, float] = {"pipeline_s": theirs, **{f"pipeline_{name}_s": s for name, s in their_split.items()}}

    cold, _ = ours.edit_s(square(0.05, (40, 60)), EDGE)
    found["speedup_5_cold"] = theirs / cold
    shares = (0.05,) if options.small else (0.01, 0.05, 0.10, 0.25)
    for share in shares:
        took, split = ours.edit_s(square(share), EDGE)
        found[f"speedup_{round(100 * share)}"] = theirs / took
        if share == 0.05:
            found |= {f"split_{name}_s": seconds for name, seconds in split.items()}
            found["record_cpu_s"] = max(0.0, cold - theirs)
            found["break_even_edits"] = found["record_cpu_s"] / (theirs - took)
    if not options.small:
        found["speedup_stroke5"] = theirs / ours.edit_s(stroke(0.05), EDGE)[0]
        found["speedup_5_wide_edge"] = theirs / ours.edit_s(square(0.05), {})[0]
        cropped = theirs_s(made, square(0.05), options.steps, padding_mask_crop=32)
        found["speedup_crop_5"] = cropped * found["speedup_5"] / theirs
    ours.adapter.coder.use(Gate(encode=1, decode=4))
    found["speedup_5_trained"] = theirs / ours.edit_s(square(0.05), EDGE)[0]
    preset = replace(ours.adapter.preset, tiny_vae="random", tiny_vae_results=True)
    ours.adapter.preset = preset
    ours.adapter.use_tiny_vae(TinyVae(AutoencoderTiny(), preset.latent_stride))
    found["speedup_5_tiny_vae"] = theirs / ours.edit_s(square(0.05), EDGE)[0]
    report(
        **{name: round(value, 2) for name, value in found.items()},
        halos=[gate.encode, gate.decode],
        steps=options.steps,
        threads=1,
    )


if __name__ == "__main__":
    main()
