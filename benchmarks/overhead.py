"""Everything in the engine that is not the model, per edit: on a canvas of 512², and for a mask of 512² on a 4K canvas.

    python benchmarks/overhead.py [--edits 21] [--model instant|nano]

A real worker on a real Valkey, in this process. `overhead_…_ms` is the wall time from the claim until the result is
stored, less what the worker books inside the adapter's calls: condition (printed apart), encode, begin, denoise and
decode. So it counts reading and decoding tiles, masks and planning, prefill, the soft mask on the latents, the
adapter's previews and their JPEGs, colour, stitch, the lossless patch and every trip to the store.
With `--model instant` the adapter answers at once with one colour, at nano's framing; with nano, what its network
leaves in the machine's caches is part of the figure. Masks differ from edit to edit, so no plan is remembered; the
tiles under them are, by name.
`cold_…_ms` is the first edit on a canvas, of which nothing is.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt
import torch
from harness import median, report
from pictures import grainy_photo, png

from nanobana.protocol.canvas import OpId, Timing
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana_engine.memory.heap import keep_freed
from nanobana_engine.models.base import ModelAdapter, Preset
from nanobana_engine.models.registry import load
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.store import Store, open_store, ops
from nanobana_server.store.types import Author
from support.adapters import PaintAdapter
from support.valkey import private_valkey
from support.worker import working

PREVIEW_SIDE = 256
CANVASES = {"512": ((512, 512), 272), "4k": ((3840, 2160), 512)}
"""Size of the canvas and side of the mask; nano sees 512² around a mask of 272²."""


class Instant(PaintAdapter):
    """Answers at once; previews cost what nano's cost: every so many-th pixel."""

    def preview(self, latents: torch.Tensor) -> npt.NDArray[np.uint8]:
        step = max(1, -(-max(latents.shape[1:]) // PREVIEW_SIDE))
        return super().preview(latents[:, ::step, ::step])


def instant() -> Instant:
    """At nano's framing and steps, one latent cell a pixel: as many numbers as nano's."""
    facts = Preset(
        name="instant",
        native=128,
        min_side=128,
        max_side=2048,
        multiple=16,
        latent_stride=1,
        mask_share=0.54,
        grow_scale=0.25,
        steps={"draft": 3, "balanced": 4, "best": 6},
    )
    return Instant((0.8, 0.2, 0.2), facts)


def disc(side: int, n: int) -> bytes:
    """A mask that no other edit has."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = x * x + y * y <= (side / 2) ** 2
    inside[:, side // 2] &= np.arange(side) >= n
    return encode_png(np.where(inside, np.uint8(255), np.uint8(0)))


async def one_edit(store: Store, canvas: str, n: int, box: Box) -> Timing:
    """Submit, wait until it is staged, discard; where the time went."""
    edit = EditParams(box=box, mask_png=disc(box.width, n), prompt="a red apple", seed=n)
    await jobs.submit(store, canvas, Author(user=f"u{n}"), Edit(op=OpId(f"t{n}", 1), edit=edit))
    while True:
        kept = await read_job(store, canvas, f"t{n}-1")
        if kept.state == "staged" and kept.job.timing is not None:
            return kept.job.timing
        if kept.state == "failed":
            raise RuntimeError(kept.job.error)
        await anyio.sleep(0.02)


def apart(timing: Timing) -> dict[str, float]:
    overhead = timing.total_ms - timing.model_ms - timing.condition_ms
    return {
        "overhead": overhead,
        "read": timing.read_ms,
        "patch": timing.patch_ms,
        "between": overhead - timing.read_ms - timing.patch_ms,
        "model": timing.model_ms,
        "condition": timing.condition_ms,
    }


async def measure(adapter: ModelAdapter, edits: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        async with working(store, valkey.url, adapter):
            for name, (size, side) in CANVASES.items():
                await store.create_canvas(name, width=size[0], height=size[1], layers=[])
                photo = png(grainy_photo(max(size))[: size[1], : size[0]])
                await ops.import_image(store, name, "ana", OpId("ana", 1), photo, layer="photo")
                x, y = (size[0] - side) // 2, (size[1] - side) // 2
                cold = apart(await one_edit(store, name, 0, Box(x, y, x + side, y + side)))
                found = []
                for n in range(1, edits + 1):
                    at = x - 10 + n % 20, y - 10 + n % 17
                    found.append(apart(await one_edit(store, name, n, Box(*at, at[0] + side, at[1] + side))))
                typical = {key: round(median([each[key] for each in found]), 1) for key in cold}
                figures[f"overhead_{name}_ms"] = typical.pop("overhead")
                figures[f"cold_{name}_ms"] = round(cold["overhead"], 1)
                figures[f"of_which_{name}_ms"] = typical
                print(name, figures, flush=True)
        await store.aclose()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=21)
    parser.add_argument("--model", default="instant")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()  # as the engine's process does
    adapter = instant() if options.model == "instant" else load(options.model)
    figures = anyio.run(functools.partial(measure, adapter, options.edits))
    report(model=options.model, **figures)


if __name__ == "__main__":
    main()
