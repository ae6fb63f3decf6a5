"""Edits of a team on one thread: packed into shared steps, against the same network called for one edit after another.

    python benchmarks/throughput.py [--edits 48] [--waits 30] [--sd small|full]

Eight users, each with one edit at a time, on fresh regions of a grainy photograph. `throughput_ratio_nano`: CPU
seconds of nano's pipeline for diffusers, given the same crops at the same size and steps, over those of the engine,
from planned edit to patch. `_again`: the same for regions that both have filled before, with other seeds; `_network`:
calls of the network alone. `look_ms_nano`: what both sides spend on a fresh region for nano's look around the hole,
which no step shares. `crop_gain`: what a user of diffusers pays besides who hands the pipeline all of the 1024².

`unlucky_wait_ratio`: the whole product, 95th percentile from submit to staged result beside a flooder who keeps 12
edits open, over the same alone; seconds of the clock.

With `--sd` instead `throughput_ratio_sd15`: the SD 1.5 inpainting architecture at random weights, edits of 5 % of 512²
by eight users, `StableDiffusionInpaintPipeline` on the full canvas over the engine in a window that was edited once
before. The engine's own soft edge makes 5 % masked 18 % changed (`_changed`); `_narrow` is with an edge of 12 px.
`_computed`: of a window's cells; `_unet_s`, `_vae_encode_s`, `_vae_decode_s`: of the seconds of an edit, `_edit_s`.
`--sd full` takes some minutes and 6 GB; `--sd small` is `_narrow` on a picture of 384² and ends within three.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import anyio
import msgspec
import numpy as np
import torch
from harness import product, report
from pictures import grainy_photo, png
from PIL import Image
from sd15 import pipeline as sd15_pipeline
from sd15 import timed

from nanobana.protocol.geometry import Box
from nanobana.sdk import Canvas, create_canvas, join
from nanobana_engine.engine import EditFailed, EditFinished, Engine, Source
from nanobana_engine.engine.edit import EditRun
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.models.nano.around import look_around
from nanobana_engine.models.nano.folder import WEIGHTS
from nanobana_engine.models.nano.pipeline import NanoInpaintPipeline
from nanobana_engine.runner import Runner
from support.edits import mask_in, source_of

SIDE = 1024
USERS = 8
SMALL = 384
"""Side of the picture of `--sd small`."""
OPEN = 12
"""Edits that the flooder keeps open."""
PROMPTS = ("a red apple", "a cat", "a tree", "a banana")


def object_edits(adapter: ModelAdapter, number: int, side: int, canvas: int = SIDE, **edge: Any) -> Iterator[Source]:
    """Squares all over a photograph, each another user's in turn."""
    photo = np.dstack([grainy_photo(canvas), np.full((canvas, canvas), 255, np.uint8)])
    dice = np.random.default_rng(0)
    for n in range(number):
        x, y = (int(at) for at in dice.integers(0, canvas - side, 2))
        mask = mask_in(canvas, canvas, Box(x, y, x + side, y + side))
        prompt = PROMPTS[n % len(PROMPTS)]
        yield source_of(
            photo, mask, adapter.preset, id=f"e{n}", user=f"u{n % USERS}", prompt=prompt, seed=n + 1, **edge
        )


def again(edits: Sequence[Source], times: int) -> list[Source]:
    """Each of them with new seeds, so often."""
    return [
        replace(source, id=f"{source.id}-{n}", edit=msgspec.structs.replace(source.edit, seed=1000 * n + index))
        for index, source in enumerate(edits)
        for n in range(1, times + 1)
    ]


class Team:
    """An engine, and its users: each one's next edit comes when the one before has ended."""

    def __init__(self, adapter: ModelAdapter) -> None:
        self._engine = Engine(adapter, self._tell)
        self._waiting: list[Source] = []
        self._done = 0

    def cpu_s(self, edits: Sequence[Source]) -> float:
        """Seconds of all threads for all of them, from planned edits to patches."""
        self._waiting, self._done = list(edits), 0
        began = time.process_time()
        for _ in range(min(USERS, len(edits))):
            self._engine.submit(self._waiting.pop(0))
        while self._done < len(edits):
            self._engine.receive()
            self._engine.step()
        return time.process_time() - began

    def _tell(self, event: EditEvent) -> None:
        if isinstance(event, EditFailed):
            raise AssertionError(event.message)
        if isinstance(event, EditFinished):
            event.patches()
            self._done += 1
            if self._waiting:
                self._engine.submit(self._waiting.pop(0))


def cropped(source: Source) -> tuple[Image.Image, Image.Image]:
    """What a user of the pipeline would hand it: the crop, and the mask grown as the engine grows it, at its size."""
    stage = source.plan.stages[0]
    size = (stage.width, stage.height)
    picture = Image.fromarray(source.picture[..., :3]).resize(size, Image.Resampling.LANCZOS)
    grown = np.rint(source.plan.whole().denoise * 255.0).astype(np.uint8)
    return picture, Image.fromarray(grown).resize(size, Image.Resampling.BILINEAR)


def one_by_one_s(pipeline: Any, edits: Sequence[tuple[Any, Any, str]], **options: Any) -> float:
    began = time.process_time()
    for n, (picture, mask, prompt) in enumerate(edits):
        pipeline(prompt=prompt, image=picture, mask_image=mask, **options, **_seed(pipeline, n + 1))
    return time.process_time() - began


def _seed(pipeline: Any, seed: int) -> dict[str, Any]:
    if isinstance(pipeline, NanoInpaintPipeline):
        return {"seed": seed}
    return {"generator": torch.Generator().manual_seed(seed)}


def nano(number: int) -> dict[str, float]:
    from nanobana_engine.models.registry import load

    adapter = load()
    pipeline = NanoInpaintPipeline.from_pretrained(WEIGHTS)
    steps = adapter.preset.steps["balanced"]
    Team(adapter).cpu_s(list(object_edits(adapter, 8, 64)))
    edits = list(object_edits(adapter, number, 64))
    crops = [(*cropped(source), source.edit.prompt) for source in edits]
    one_by_one_s(pipeline, [(*cropped(each), each.edit.prompt) for each in object_edits(adapter, 2, 96)])
    ours, theirs = Team(adapter).cpu_s(edits), one_by_one_s(pipeline, crops, num_inference_steps=steps)
    before = edits[: number // 3]
    one_by_one_s(pipeline, crops[: len(before)], num_inference_steps=steps)  # it too remembers their surroundings
    anew = again(before, 3)
    thrice = one_by_one_s(pipeline, [(*cropped(each), each.edit.prompt) for each in anew], num_inference_steps=steps)
    team = Team(adapter)
    team.cpu_s(before)
    network = _network_ratio(adapter, edits[:USERS])
    whole = [_whole(source) for source in edits[:3]]
    uncropped = one_by_one_s(pipeline, whole, num_inference_steps=steps) / len(whole)
    return {
        "throughput_ratio_nano": theirs / ours,
        "throughput_ratio_nano_again": thrice / team.cpu_s(anew),
        "throughput_ratio_nano_network": network,
        "edits_per_minute_nano": 60.0 * number / ours,
        "look_ms_nano": 1000.0 * _looks_s(adapter, edits) / number,
        "crop_gain": uncropped / (theirs / number),
    }


def _network_ratio(adapter: ModelAdapter, edits: Sequence[Source]) -> float:
    """Calls of the network for one edit each, over a step's worth of edits in one call."""
    runner = Runner(adapter)
    runs = [EditRun(source, runner) for source in edits]
    for run in runs:
        run.begin_stage()
    items = [part.one.item() for run in runs for part in run.parts.values()]

    def seconds(at_once: int) -> float:
        began = time.process_time()
        for _ in range(3):
            for at in range(0, len(items), at_once):
                adapter.denoise(items[at : at + at_once])
        return time.process_time() - began

    return seconds(1) / seconds(4)


def _looks_s(adapter: ModelAdapter, edits: Sequence[Source]) -> float:
    """CPU seconds of looking around the edits' holes."""
    asked = [next(EditRun(source, Runner(adapter)).requests_ahead()) for source in edits]
    began = time.process_time()
    for request in asked:
        look_around(request.pixels, request.mask)
    return time.process_time() - began


def _whole(source: Source) -> tuple[Image.Image, Image.Image, str]:
    """The same edit with the whole canvas around it."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    c = source.plan.context
    mask[c.y0 : c.y1, c.x0 : c.x1] = source.plan.whole().user_mask
    return Image.fromarray(grainy_photo(SIDE)), Image.fromarray(mask), source.edit.prompt


# ── waiting beside a flood ──────────────────────────────────────────────────────────────────────────────────────────


async def waits(origin: str, number: int) -> dict[str, float]:
    links = await create_canvas(origin, title="throughput")
    async with join(links.edit, name="Unlucky") as unlucky, join(links.edit, name="Flood") as flood:
        await unlucky.add_image(png(grainy_photo(SIDE)))
        await flood.until(lambda: bool(flood.layers))
        await _measured(unlucky, 3, top=900)
        alone = await _measured(unlucky, number, top=0)
        async with anyio.create_task_group() as flooding:
            for n in range(OPEN):
                flooding.start_soon(_floods, flood, 80 * n, 512)
            await anyio.sleep(2.0)
            beside = await _measured(unlucky, number, top=260)
            flooding.cancel_scope.cancel()
    return {
        "unlucky_wait_ratio": _p95(beside) / _p95(alone),
        "alone_p95_ms": 1000 * _p95(alone),
        "beside_p95_ms": 1000 * _p95(beside),
        "alone_median_ms": 1000 * sorted(alone)[len(alone) // 2],
        "beside_median_ms": 1000 * sorted(beside)[len(beside) // 2],
    }


async def _measured(canvas: Canvas, number: int, top: int) -> list[float]:
    """Seconds from submit to staged, one after the other, each where nothing was asked for before."""
    found = []
    for n in range(number):
        began = time.perf_counter()
        job = await canvas.edit(MASK, 70 * (n % 12), top + 70 * (n // 12 % 3), PROMPTS[n % len(PROMPTS)], seed=n + 1)
        await canvas.staged(job)
        found.append(time.perf_counter() - began)
        await canvas.discard(job)
    return found


async def _floods(canvas: Canvas, x: int, y: int) -> None:
    for n in count():
        job = await canvas.edit(MASK, x + 5 * n % 16, y + 37 * n % 448, PROMPTS[n % len(PROMPTS)], seed=n + 1)
        await canvas.staged(job)
        await canvas.discard(job)


MASK = np.full((64, 64), 255, np.uint8)


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


# ── Stable Diffusion 1.5's architecture ─────────────────────────────────────────────────────────────────────────────


EDGE = {"feather": 8.0, "grow": 4.0}


def sd15(side: int, steps: int, *, wide: bool) -> dict[str, float]:
    """Edits of 5 % of a picture without guidance, a user's after the other's, in a window that was edited before."""
    from nanobana_engine.models.preset import Preset
    from nanobana_engine.models.sd.adapter import SdAdapter

    pipeline = sd15_pipeline()
    preset = Preset(
        name="sd15", native=side, min_side=side, max_side=side, multiple=64, latent_stride=8, sampler="lcm",
        steps=dict.fromkeys(("draft", "balanced", "best"), steps), guidance=1.0, reuses=True,
    )  # fmt: skip
    adapter, masked = SdAdapter(pipeline, preset), round(side * 0.05**0.5)
    first, *narrow = object_edits(adapter, 1 + USERS, masked, canvas=side, **EDGE)
    at = (side - masked) // 2
    mask = np.zeros((side, side), np.uint8)
    mask[at : at + masked, at : at + masked] = 255
    full = (Image.fromarray(grainy_photo(side)), Image.fromarray(mask), "a red apple")
    options = {"height": side, "width": side, "num_inference_steps": steps, "guidance_scale": 1.0, "output_type": "np"}
    theirs = one_by_one_s(pipeline, [full], **options)
    team = Team(adapter)
    found = {"sd15_full_canvas_s": theirs, "sd15_first_edit_s": team.cpu_s([first])}
    rounds = {"throughput_ratio_sd15_narrow": narrow}
    if wide:
        _, *rounds["throughput_ratio_sd15"] = object_edits(adapter, 1 + USERS, masked, canvas=side)
    parts = {
        "unet": (adapter, "denoise"),
        "vae_encode": (adapter.coder, "encode"),
        "vae_decode": (adapter, "decode_part"),
    }
    for name, edits in rounds.items():
        computed = adapter.computed_cells
        with timed(parts) as spent:
            took = team.cpu_s(edits)
        found |= {
            name: theirs / (took / USERS),
            f"{name}_edit_s": took / USERS,
            f"{name}_changed": sum(float((edit.plan.whole().denoise > 0).mean()) for edit in edits) / USERS,
            f"{name}_computed": (adapter.computed_cells - computed) / (USERS * steps * (side // 8) ** 2),
            **{f"{name}_{part}_s": seconds / USERS for part, seconds in spent.items()},
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=48, help="of nano; 0 leaves them out")
    parser.add_argument("--waits", type=int, default=30, help="alone and beside the flood; 0 leaves them out")
    parser.add_argument("--sd", choices=("small", "full"), help="Stable Diffusion 1.5 instead of nano")
    parser.add_argument("--sd-steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    if options.sd:
        found |= sd15(SMALL if options.sd == "small" else 512, options.sd_steps, wide=options.sd == "full")
    if options.edits and not options.sd:
        found |= nano(options.edits)
    if options.waits and not options.sd:
        with product() as origin:
            found |= anyio.run(waits, origin, options.waits)
    report(**{name: round(value, 2) for name, value in found.items()}, users=USERS, threads=1)


if __name__ == "__main__":
    main()
