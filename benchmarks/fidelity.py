"""How close a picture comes out that computes only what an edit changes, with the one trained network that ships.

    python benchmarks/fidelity.py [--edits 24] [--shift 12] [--ablate]

nano's own UNet, at its native frame of 128² with a mask of 30² in it, so that the surroundings are wide. An edit with
one prompt and seed runs dense and is recorded; another with other words, seed and a mask moved by up to `--shift`
pixels then runs twice from the same noise: dense, which counts as true, and sparse beside the record. It computes both
masks, as in the engine where the first edit was discarded. Medians over so many edits:

`psnr_db_median` (`_p10`: 10th percentile) inside the mask; `seam_levels` the mean difference on a ring of 8 px around
it, in 1/255; `colour_shift_left_l` the difference of mean L* in the mask after both are colour-matched (E6);
`packed_levels_max` the largest difference anywhere between edits in one list and each alone; `recorded_psnr_db_median`
what one gets by showing the recorded edit instead: how different the two edits are. With `--ablate` the same with one
part off, and `coarse_margin`: the margin of one cell is computed at all levels, not at the finest only.
"""

import argparse
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from harness import report
from nano_fills import THINGS
from scipy import ndimage
from torch import Tensor

from nanobana.protocol.geometry import Box
from nanobana_engine.engine.colour import match_colour
from nanobana_engine.engine.lab import to_lab
from nanobana_engine.models.base import Request
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.adapter import NanoAdapter
from nanobana_engine.models.nano.folder import WEIGHTS
from nanobana_engine.models.nano.network import SHARPNESS, Condition, Mixture, read_output
from nanobana_engine.planner.resample import to_bytes
from nanobana_engine.runner import Pass, Runner
from nanobana_engine.sparse import Executor
from nanobana_engine.sparse.call import Parts, Prompt
from nanobana_engine.sparse.executor import Row, Sparse
from nanobana_engine.sparse.geometry import grown
from nanobana_engine.sparse.record import Record

SIDE, CELL, STEPS = 128, 4, 4
MASK = 30


@dataclass(slots=True)
class Place:
    """One edit's part: dense as long as `active` is None."""

    records: dict[float, Record]
    active: Tensor | None = None
    core: Tensor | None = None


class Reused:
    """Stands where nano's denoiser stands, and asks the same network through the executor."""

    def __init__(self, unet: Any, parts: Parts) -> None:
        self.executor = Executor(unet, keeps=torch.float16, parts=parts)
        self.places: dict[int, Place] = {}
        self.shares: list[float] = []

    def mixtures(self, noisy: Tensor, levels: Tensor, conditions: list[Condition], words: Tensor) -> list[Mixture]:
        rows = [
            Row(sample=torch.cat([each, condition.tokens()[0]]), timestep=float(level) * 1000, prompt=Prompt(prompt))
            for each, level, condition, prompt in zip(noisy, levels, conditions, words, strict=True)
        ]
        places = [self.places[id(condition)] for condition in conditions]
        if places[0].active is None:
            made = self.executor.record(rows)
            for place, row, (_, record) in zip(places, rows, made, strict=True):
                place.records[row.timestep] = record
            answers = [answer for answer, _ in made]
        else:
            given = [
                Sparse(row=row, shape=self.executor.shape(place.active, place.core), record=place.records[row.timestep])
                for row, place in zip(rows, places, strict=True)
                if place.active is not None
            ]
            self.shares += [each.shape.share for each in given]
            answers = self.executor.sparse(given)
        return [read_output(answer[None], SHARPNESS) for answer in answers]


@dataclass(frozen=True, slots=True)
class Case:
    """The edit that is recorded, and the one that runs beside it."""

    first: Request
    second: Request


def cases(number: int, shift: int) -> list[Case]:
    kinds = list(backgrounds.BACKGROUNDS)
    found = []
    for n in range(number):
        dice = np.random.default_rng(n)
        pixels = np.ascontiguousarray(backgrounds.draw(kinds[n % len(kinds)], dice, SIDE), np.float32)
        x, y = (int(at) for at in dice.integers(shift + 8, SIDE - MASK - shift - 8, 2))
        dx, dy = (int(by) for by in dice.integers(-shift, shift + 1, 2))
        things = [f"a {THINGS[(n * 2 + each) % len(THINGS)]}" for each in range(2)]
        found.append(
            Case(asked(pixels, x, y, things[0], 2 * n + 1), asked(pixels, x + dx, y + dy, things[1], 2 * n + 2))
        )
    return found


def asked(pixels: np.ndarray, x: int, y: int, prompt: str, seed: int) -> Request:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[y : y + MASK, x : x + MASK] = 1.0
    soft = np.maximum(mask, ndimage.gaussian_filter(mask, 1.5) * (ndimage.grey_dilation(mask, 7) > 0))
    return Request(pixels=pixels, mask=soft.astype(np.float32), user_mask=mask, prompt=prompt, seed=seed)


class Lab:
    def __init__(self, parts: Parts, margin: bool) -> None:
        self.adapter = NanoAdapter.from_folder(WEIGHTS, replace(Catalogue.read().preset("nano"), reuses=True))
        self.reused = Reused(self.adapter.components()[1].module, parts)
        self.adapter._denoiser = self.reused  # type: ignore[assignment]
        self.runner = Runner(self.adapter)
        self.margin = margin

    def run(self, *edits: tuple[Request, Place]) -> list[np.ndarray]:
        """The decoded pictures, stitched under the soft mask."""
        size = (SIDE, SIDE)
        passes: list[Pass] = []
        for request, place in edits:
            one = self.runner.start(
                request, owner="e", steps=STEPS, guidance=1.0, stage=0, frame=size, tile=Box(0, 0, *size)
            )
            self.reused.places[id(one.conditioning.frame)] = place
            passes.append(one)
        while not passes[0].is_done:
            self.runner.advance(passes)
        drawn = [self.runner.decode(one) for one in passes]
        return [
            request.pixels + (picture - request.pixels) * request.mask[..., None]
            for (request, _), picture in zip(edits, drawn, strict=True)
        ]

    def beside(self, case: Case, place: Place) -> Place:
        """The second edit of a case: it computes both masks, for the first edit was discarded."""
        masked = torch.from_numpy(np.maximum(case.first.mask, case.second.mask) > 0)
        cells = torch.nn.functional.max_pool2d(masked[None].float(), CELL)[0] > 0
        return Place(place.records, grown(cells[None])[0], None if self.margin else cells)


def psnr(ours: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> float:
    return float(-10 * np.log10(max(float(((ours - theirs)[mask > 0.5] ** 2).mean()), 1e-12)))


def lightness(request: Request, picture: np.ndarray) -> float:
    """Mean L* in the mask once the colours are matched."""
    ring = (request.mask > 0) & (request.user_mask == 0)
    matched = match_colour(picture.astype(np.float32), to_bytes(request.pixels), ring, far=MASK / 2)
    return float(to_lab(matched)[request.user_mask > 0.5][:, 0].mean())


def measured(number: int, shift: int, parts: Parts, margin: bool = False) -> dict[str, float]:
    lab = Lab(parts, margin)
    rows: dict[str, list[float]] = {name: [] for name in ("psnr", "recorded", "seam", "colour", "packed")}
    given = cases(number, shift)
    alone: list[np.ndarray] = []
    recorded: list[Place] = []
    for case in given:
        place = Place({})
        (before,) = lab.run((case.first, place))
        (true,) = lab.run((case.second, Place({})))
        recorded.append(lab.beside(case, place))
        (ours,) = lab.run((case.second, recorded[-1]))
        alone.append(ours)
        mask = case.second.user_mask
        ring = ndimage.binary_dilation(mask > 0.5, iterations=8) & ~(mask > 0.5)
        rows["psnr"].append(psnr(ours, true, mask))
        rows["recorded"].append(psnr(before, true, mask))
        rows["seam"].append(float(np.abs(ours - true)[ring].mean() * 255))
        rows["colour"].append(abs(lightness(case.second, ours) - lightness(case.second, true)))
    for at in range(0, number, 6):
        some = [(case.second, place) for case, place in zip(given, recorded, strict=True)][at : at + 6]
        for ours, theirs in zip(lab.run(*some), alone[at : at + 6], strict=True):
            rows["packed"].append(float(np.abs(ours - theirs).max() * 255))
    return {
        "psnr_db_median": float(np.median(rows["psnr"])),
        "psnr_db_p10": float(np.percentile(rows["psnr"], 10)),
        "recorded_psnr_db_median": float(np.median(rows["recorded"])),
        "seam_levels": float(np.median(rows["seam"])),
        "colour_shift_left_l": float(np.median(rows["colour"])),
        "packed_levels_max": max(rows["packed"]),
        "active_share_median": float(np.median(lab.reused.shares)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=24)
    parser.add_argument("--shift", type=int, default=5)
    parser.add_argument("--ablate", action="store_true", help="what each part is worth, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    quiet = Parts(writes=False)
    with torch.inference_mode():
        found = measured(options.edits, options.shift, quiet)
        if options.ablate:
            variants = {f"without_{part}": replace(quiet, **{part: False}) for part in ("halo", "keys", "norms")}
            for name, parts in variants.items():
                figures = measured(options.edits, options.shift, parts)
                found[f"{name}_psnr_db_median"] = figures["psnr_db_median"]
            figures = measured(options.edits, options.shift, quiet, margin=True)
            found |= {f"coarse_margin_{name}": figures[name] for name in ("psnr_db_median", "psnr_db_p10")}
    report(**{name: round(value, 3) for name, value in found.items()}, edits=options.edits)


if __name__ == "__main__":
    main()
