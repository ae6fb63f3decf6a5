"""Edits of a team on one thread: packed into shared steps, against the same network called for one edit after another.

    python benchmarks/throughput.py [--edits 48] [--waits 30] [--sd [--sd-share 0.6]]

Eight users, each with one edit at a time, on fresh regions of a grainy photograph. `throughput_ratio_nano`: CPU
seconds of nano's pipeline for diffusers, given the same crops at the same size and steps, over those of the engine,
from planned edit to patch. `_again`: the same for regions that are asked for anew with other seeds; `_network`: calls
of the network alone. `crop_gain`: what a user of diffusers pays besides who hands the pipeline all of the 1024².

`unlucky_wait_ratio`: the whole product, 95th percentile from submit to staged result beside a flooder who keeps 12
edits open, over the same alone; seconds of the clock.

With `--sd` instead `throughput_ratio_sd15`: the SD 1.5 inpainting architecture at random weights, edits of 5 % of 512²,
`StableDiffusionInpaintPipeline` on the full canvas over the engine in a window that was edited once before (minutes,
6 GB of memory). The engine's own soft edge makes 5 % masked 18 % changed; `_narrow` is with an edge of 12 px.
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

from nanobana.protocol.geometry import Box
from nanobana.sdk import Canvas, create_canvas, join
from nanobana_engine.engine import EditFailed, EditFinished, Engine, Source
from nanobana_engine.engine.edit import EditRun
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.models.nano.folder import WEIGHTS
from nanobana_engine.models.nano.pipeline import NanoInpaintPipeline
from nanobana_engine.runner import Runner
from support.edits import mask_in, source_of

SIDE = 1024
USERS = 8
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


def packed_s(adapter: ModelAdapter, edits: Sequence[Source], before: Sequence[Source] = ()) -> float:
    """CPU seconds of the engine for all of them: each user's next edit comes when the one before has ended.

    Args:
        before: edits that the engine has done by then.
    """
    waiting: list[Source] = []
    done: list[EditEvent] = []

    def tell(event: EditEvent) -> None:
        if isinstance(event, EditFailed):
            raise AssertionError(event.message)
        if isinstance(event, EditFinished):
            event.patches()
            done.append(event)
            if waiting:
                engine.submit(waiting.pop(0))

    engine = Engine(adapter, tell)

    def run(sources: Sequence[Source]) -> float:
        waiting.extend(sources)
        done.clear()
        began = time.process_time()
        for _ in range(min(USERS, len(waiting))):
            engine.submit(waiting.pop(0))
        while len(done) < len(sources):
            engine.receive()
            engine.step()
        return time.process_time() - began

    run(before)
    return run(edits)


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
    packed_s(adapter, list(object_edits(adapter, 8, 64)))
    edits = list(object_edits(adapter, number, 64))
    crops = [(*cropped(source), source.edit.prompt) for source in edits]
    one_by_one_s(pipeline, crops[:2], num_inference_steps=steps)
    ours, theirs = packed_s(adapter, edits), one_by_one_s(pipeline, crops, num_inference_steps=steps)
    anew = again(edits[: number // 3], 3)
    thrice = one_by_one_s(pipeline, [(*cropped(each), each.edit.prompt) for each in anew], num_inference_steps=steps)
    network = _network_ratio(adapter, edits[:USERS])
    whole = [_whole(source) for source in edits[:3]]
    uncropped = one_by_one_s(pipeline, whole, num_inference_steps=steps) / len(whole)
    return {
        "throughput_ratio_nano": theirs / ours,
        "throughput_ratio_nano_again": thrice / packed_s(adapter, anew),
        "throughput_ratio_nano_network": network,
        "edits_per_minute_nano": 60.0 * number / ours,
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


def sd15(share: float | None, steps: int) -> dict[str, float]:
    """Edits of 5 % of 512² without guidance, in E2's crops, or in those of which the mask takes this share."""
    from nanobana_engine.models.preset import Preset
    from nanobana_engine.models.sd.adapter import SdAdapter

    pipeline = sd15_pipeline()
    preset = Preset(
        name="sd15", native=512, min_side=192, max_side=768, mask_share=share, multiple=64, latent_stride=8,
        sampler="lcm", steps=dict.fromkeys(("draft", "balanced", "best"), steps), guidance=1.0, reuses=share is None,
    )  # fmt: skip
    adapter = SdAdapter(pipeline, preset)
    side = round((0.05 * 512**2) ** 0.5)
    first, *edits = object_edits(adapter, 5, side, canvas=512)
    _, *narrow = object_edits(adapter, 5, side, canvas=512, feather=8.0, grow=4.0)
    stage = edits[0].plan.stages[0]
    ours = packed_s(adapter, edits, [first]) / len(edits)
    ours_narrow = packed_s(adapter, narrow, [first]) / len(narrow)
    mask = np.zeros((512, 512), np.uint8)
    mask[200:314, 200:314] = 255
    full = (Image.fromarray(grainy_photo(512)), Image.fromarray(mask), "a red apple")
    theirs = one_by_one_s(pipeline, [full], num_inference_steps=steps, guidance_scale=1.0, output_type="np")
    return {
        "throughput_ratio_sd15": theirs / ours,
        "throughput_ratio_sd15_narrow": theirs / ours_narrow,
        "sd15_full_canvas_s": theirs,
        "sd15_packed_s": ours,
        "sd15_crop_px": float(stage.width),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=48, help="of nano; 0 leaves them out")
    parser.add_argument("--waits", type=int, default=30, help="alone and beside the flood; 0 leaves them out")
    parser.add_argument("--sd", action="store_true", help="Stable Diffusion 1.5 instead of nano")
    parser.add_argument("--sd-share", type=float, help="of the crop's side for the mask, instead of E2's framing")
    parser.add_argument("--sd-steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    if options.sd:
        found |= sd15(options.sd_share, options.sd_steps)
    if options.edits and not options.sd:
        found |= nano(options.edits)
    if options.waits and not options.sd:
        with product() as origin:
            found |= anyio.run(waits, origin, options.waits)
    report(**{name: round(value, 2) for name, value in found.items()}, users=USERS, threads=1)


if __name__ == "__main__":
    main()
