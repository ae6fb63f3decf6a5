"""How long a big region takes and how much memory it needs above the idle engine: nano, on the CPU (E3).

    python benchmarks/big_regions.py [--sizes 1024x1024 3840x2160 7680x4320] [--prompt "a red apple"]

Each size is a canvas of a grainy photograph with all but its border masked, run in a fresh process: the model is loaded
and warmed up, that is the idle engine; then the canvas's encoded tiles come in, as from the store, and the parts of the
result are encoded as the worker does it. `peak_mib` is the highest resident memory over the idle one.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from harness import report
from pictures import grainy_photo

from nanobana.protocol.canvas import Layer
from nanobana.protocol.geometry import TILE, Box, tiles_of
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import blob_name, encode_png, encode_tile, encode_webp
from nanobana.raster.decode import decode_mask
from nanobana_engine.engine import EditFailed, EditFinished, EditPart, EditProgress, Engine, Source
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.models.registry import load
from nanobana_engine.planner import plan_edit
from nanobana_engine.worker.stored import StoredView
from nanobana_engine.worker.warm import PROMPTS, warm_source

BORDER = 8
"""The mask leaves an eighth of the canvas on each side."""


class Peak(threading.Thread):
    """The highest resident memory seen while it runs, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib = 0.0
        self._over = threading.Event()
        self._process = psutil.Process()

    def now(self) -> float:
        return float(self._process.memory_info().rss) / 2**20

    def run(self) -> None:
        while not self._over.wait(0.005):
            self.mib = max(self.mib, self.now())

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.mib


def canvas_of(width: int, height: int) -> tuple[dict[tuple[str, int, int], str], dict[str, bytes]]:
    """A photograph as a canvas's encoded tiles."""
    photo = grainy_photo(2048)
    names, data = {}, {}
    for tx, ty in tiles_of(Box(0, 0, width, height)):
        y, x = (ty * TILE) % 2048, (tx * TILE) % 2048
        tile = np.dstack([photo[y : y + TILE, x : x + TILE], np.full((TILE, TILE), 255, np.uint8)])
        encoded = encode_tile(tile)
        assert encoded is not None
        names["photo", tx, ty] = blob_name(encoded)
        data[blob_name(encoded) + f"-{tx}-{ty}"] = encoded
        names["photo", tx, ty] += f"-{tx}-{ty}"
    return names, data


def mask_of(width: int, height: int) -> bytes:
    """All but a border, as the page sends it."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // BORDER : -(height // BORDER), width // BORDER : -(width // BORDER)] = 255
    return encode_png(mask)


class Told:
    """Takes the engine's events as the worker does: parts are encoded at once, the picture shown is dropped."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.parts = 0
        self.bytes = 0
        self.stages: dict[str, float] = {}
        self.failed = ""
        self._began = time.perf_counter()

    def take(self, event: EditEvent) -> None:
        if isinstance(event, EditProgress):
            self.stages[event.stage] = round(time.perf_counter() - self._began, 2)
        elif isinstance(event, EditPart):
            self._keep(event.part.patch())
        elif isinstance(event, EditFinished):
            for patch in event.patches() if not event.source.plan.is_large else (p.patch() for p in event.parts()):
                self._keep(patch)
            self.ended.set()
        elif isinstance(event, EditFailed):
            self.failed = event.message
            self.ended.set()

    def _keep(self, patch: np.ndarray | None) -> None:
        if patch is not None:
            self.parts += 1
            self.bytes += len(encode_webp(patch))


def one(width: int, height: int, prompt: str, tiles: Path) -> None:
    """In a process of its own: one edit, its figures as JSON on standard output."""
    import torch

    torch.set_num_threads(1)
    adapter = load("nano")
    current: list[Told] = []

    def tell(event: EditEvent) -> None:
        current[-1].take(event)

    engine = Engine(adapter, tell)
    engine.start()
    for words in PROMPTS:
        current.append(Told())
        engine.submit(warm_source(adapter.preset, words))
        current[-1].ended.wait()
    peak = Peak()
    idle = peak.now()
    peak.start()
    began = time.perf_counter()
    told = Told()
    current.append(told)
    names, data = pickle.loads(tiles.read_bytes())
    edit = EditParams(box=Box(0, 0, width, height), prompt=prompt, seed=5, quality="balanced")
    plan = plan_edit(decode_mask(mask_of(width, height), edit.box), edit, (width, height), adapter.preset)
    view = StoredView(plan.context, [Layer(id="photo", name="")], names, data)
    engine.submit(Source(id="big", canvas="c", user="ana", edit=edit, plan=plan, view=view))
    told.ended.wait()
    seconds = time.perf_counter() - began
    figures = {
        "seconds": round(seconds, 1),
        "peak_mib": round(peak.stop() - idle),
        "idle_mib": round(idle),
        "tiles_mib": round(sum(map(len, data.values())) / 2**20),
        "result_mib": round(told.bytes / 2**20),
        "parts": told.parts,
        "until": told.stages,
        "failed": told.failed,
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=["1024x1024", "3840x2160", "7680x4320"])
    parser.add_argument("--prompt", default="a red apple")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        size, file = options.one.split(":", 1)
        width, height = map(int, size.split("x"))
        one(width, height, options.prompt, Path(file))
        return
    found = {}
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="nb-big-") as folder:
            file = Path(folder, "tiles")
            file.write_bytes(pickle.dumps(canvas_of(*map(int, size.split("x")))))
            command = [sys.executable, __file__, "--one", f"{size}:{file}", "--prompt", options.prompt]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[size] = json.loads(done.stdout.splitlines()[-1])
        print(size, found[size], flush=True)
    report(regions=found)


if __name__ == "__main__":
    main()
