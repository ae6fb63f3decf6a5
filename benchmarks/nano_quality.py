"""How good nano's fills are; errors and seams on pictures, photographs and scenes that it was not trained on.

    python benchmarks/nano_quality.py [--scenes 96] [--sheet docs/nano-fills.png]

Scenes come from the held-out part of the training's generator; every guess, placement and step is the engine's own
path (`NanoAdapter`), four Euler steps. Ratios are to the smooth prefill, the same picture with its hole filled softly
and the retrieved picture laid over it. The object classifier is trained here, apart, on pictures laid on backgrounds.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from harness import report
from nano_fills import SIDE, THINGS, Floats, denoised, fill, request, sheet
from PIL import Image
from scipy import ndimage

from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.memory.heap import keep_freed
from nanobana_engine.models.base import Item
from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.adapter import NanoAdapter
from nanobana_engine.models.nano.around import look_around, planes
from nanobana_engine.models.nano.conditioning import NanoConditioning
from nanobana_engine.models.nano.data import Scene, SceneMaker
from nanobana_engine.models.nano.folder import WEIGHTS
from nanobana_engine.models.nano.layout import over, place, random_pose
from nanobana_engine.models.nano.losses import grain_ratio, hole_error
from nanobana_engine.models.nano.network import Condition
from nanobana_engine.models.nano.prefill import diffuse
from nanobana_engine.models.nano.words import COLOURS

GRAINY = ("grass", "sand", "gravel", "paper")


def conditioning_of(scene: Scene) -> NanoConditioning:
    """The engine's own guesses for a training scene, with the scene's reference laid over them."""
    around = look_around(scene.truth, scene.hole.astype(np.float32))
    assert around is not None, "a training scene shows something beside its hole"
    hole = scene.hole[..., None]
    guesses = [np.where(hole, over(scene.reference, g), scene.truth) for g in around.guesses]
    stacked = torch.stack([planes(g) for g in guesses], 1)
    frame = Condition(stacked, planes(hole.astype(np.float32)), planes(scene.reference), torch.tensor([around.costs]))
    return NanoConditioning(frame, stacked, frame.hole, " ".join(scene.words))


def scene_figures(adapter: NanoAdapter, pack: AssetPack, count: int) -> dict[str, float]:
    """Errors, grain and seams over held-out scenes."""
    maker = SceneMaker(pack, SIDE, held_out=True)
    rows: dict[str, list[tuple[float, float, float]]] = {"all": [], "structured": [], "photo": []}
    seams = []
    drawn = (maker.scene(np.random.default_rng((7, 8_000_000 + number))) for number in itertools.count())
    plain = (scene for scene in drawn if not set(scene.words) & set(COLOURS))  # colour words have their own figure
    for number, scene in enumerate(itertools.islice(plain, count)):
        given = conditioning_of(scene)
        filled, truth, hole = denoised(adapter, given, number), planes(scene.truth), given.frame.hole
        errors = (
            float(hole_error(filled, truth, hole)),
            float(hole_error(planes(over(scene.reference, diffuse(scene.truth, scene.hole))), truth, hole)),
            float(hole_error(given.guesses[:, 1], truth, hole)),
        )
        rows["all"].append(errors)
        if scene.structured:
            rows["structured"].append(errors)
        if scene.kind == "photo":
            rows["photo"].append(errors)
        if scene.reference[..., 3].max() < 0.1:
            seams.append(seam_ratio(filled[0].permute(1, 2, 0).numpy(), scene.truth, scene.hole))
    mean = {name: np.mean(values, axis=0) for name, values in rows.items() if values}
    return {
        "mse_ratio": float(mean["all"][0] / mean["all"][1]),
        "structure_mse_ratio": float(mean["structured"][0] / mean["structured"][1]),
        "photo_mse_ratio": float(mean["photo"][0] / mean["photo"][1]),
        "network_gain": float(mean["all"][0] / mean["all"][2]),
        "seam_ratio": float(np.median(seams)),
        "scenes": count,
    }


def texture_energy_ratio(adapter: NanoAdapter) -> float:
    """Median energy of fine detail inside empty-prompt fills of grass, sand, gravel and paper, over the truth's."""
    ratios = []
    for number, kind in enumerate(GRAINY * 4):
        ground = backgrounds.draw(kind, np.random.default_rng(600 + number), SIDE)
        asked = request("", ground, number)
        hole = planes((asked.user_mask > 0.5)[..., None].astype(np.float32))
        ratios.append(float(grain_ratio(planes(fill(adapter, asked)), planes(ground), hole)))
    return float(np.median(ratios))


def seam_ratio(filled: Floats, truth: Floats, hole: npt.NDArray[np.bool_]) -> float:
    """Mean step between neighbours on an 8-pixel ring around the hole's border, over that of the true picture there."""
    ring = ndimage.binary_dilation(hole, iterations=4) & ~ndimage.binary_erosion(hole, iterations=4)

    def roughness(picture: Floats) -> float:
        down, right = np.abs(np.diff(picture, axis=0)).mean(-1), np.abs(np.diff(picture, axis=1)).mean(-1)
        return float(down[ring[:-1]].mean() + right[ring[:, :-1]].mean())

    return roughness(filled) / max(1e-4, roughness(truth))


class Classifier(torch.nn.Module):
    """Names one of THINGS in a 40-pixel crop."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for before, after in ((3, 24), (24, 48), (48, 96)):
            layers += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        self.body = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(96 * 25, len(THINGS)))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return self.body(crops - 0.5)  # type: ignore[no-any-return]


def crop(picture: Floats) -> torch.Tensor:
    """(1, 3, 40, 40): the middle 54 % of a square picture."""
    edge = int(picture.shape[0] * 0.23)
    inner = np.clip(picture[edge:-edge, edge:-edge], 0, 1)
    small = Image.fromarray((inner * 255).astype(np.uint8)).resize((40, 40), Image.Resampling.BOX)
    return planes(np.asarray(small, np.float32) / 255)


def trained_classifier(adapter: NanoAdapter, pack: AssetPack, samples: int, rng: np.random.Generator) -> Classifier:
    """Trained on the things' pictures, turned and mirrored, laid on drawn backgrounds: it never sees a fill."""
    torch.manual_seed(0)
    mask = np.zeros((64, 64), bool)
    mask[14:-14, 14:-14] = True
    pictures = [adapter.retriever.understand(name).things[0].picture for name in THINGS]
    if any(picture % 17 != 5 for picture in pictures):
        raise SystemExit(f"trained on: {[n for n, p in zip(THINGS, pictures, strict=True) if p % 17 != 5]}")
    kinds = list(backgrounds.BACKGROUNDS)
    crops, labels = [], []
    for _ in range(samples):
        label = int(rng.integers(len(THINGS)))
        layer = place([pack.image(pictures[label])], [random_pose(rng)], mask)
        ground = backgrounds.draw(str(rng.choice(kinds)), rng, 64) * np.float32(rng.uniform(0.6, 1.0))
        crops.append(crop(over(layer * np.float32(rng.uniform(0.7, 1.05)), ground)))
        labels.append(label)
    inputs, targets = torch.cat(crops), torch.tensor(labels)
    model = Classifier()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    for epoch in range(12):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - epoch / 12)
        for part in torch.randperm(len(inputs)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[part]), targets[part]).backward()
            optimiser.step()
    return model.eval()


def object_top1(adapter: NanoAdapter, pack: AssetPack) -> float:
    """Share of fills, three for each held-out thing, in which the classifier names what was asked for."""
    rng = np.random.default_rng(5)
    model = trained_classifier(adapter, pack, 2500, rng)
    kinds = list(backgrounds.BACKGROUNDS)
    right = 0
    for number, (name, variation) in enumerate(itertools.product(THINGS, range(3))):
        ground = backgrounds.draw(kinds[(number * 7) % len(kinds)], np.random.default_rng(700 + number), SIDE)
        filled = fill(
            adapter, request(f"a {name}", ground, 4 * number, 2 * (variation % 2))
        )  # even: not an alternative
        with torch.no_grad():
            right += THINGS[int(model(crop(filled)).argmax())] == name
    return right / (3 * len(THINGS))


def colour_word_top1(adapter: NanoAdapter) -> float:
    """Share of fills whose thing has, on average, the colour asked for: of the 13 words' tones the nearest in Lab."""
    from skimage.color import rgb2lab

    words = list(COLOURS)
    tones = rgb2lab(np.array([[COLOURS[w] for w in words]], np.float64))[0]
    right = total = 0
    for number, (word, name) in enumerate(itertools.product(words, ("balloon", "car", "T-shirt"))):
        ground = backgrounds.draw("studio", np.random.default_rng(900 + number), SIDE)
        asked = request(f"a {word} {name}", ground, number)
        alpha = adapter.condition(asked).frame.reference[0, 3].numpy()
        filled = fill(adapter, asked)
        inside = rgb2lab(np.clip(filled, 0, 1).astype(np.float64))[alpha > 0.95]
        nearest = np.argmin(np.linalg.norm(tones[None] - np.median(inside, axis=0)[None, None], axis=-1))
        right += words[int(nearest)] == word
        total += 1
    return right / total


def speed(adapter: NanoAdapter) -> dict[str, object]:
    """Seconds of one 128-pixel edit with four steps, from request to pixels, and of four packed steps over one."""
    ground = backgrounds.draw("field", np.random.default_rng(1), SIDE)
    fill(adapter, request("a cat", ground, 0))
    seconds = []
    for number in range(5):
        grain = np.clip(ground + np.random.default_rng(number).normal(0, 0.01, ground.shape), 0, 1).astype(np.float32)
        started = time.perf_counter()
        fill(adapter, request("a cat", grain, number))
        seconds.append(time.perf_counter() - started)
    one, four = packed(adapter)
    ratios = [together / alone for together, alone in zip(four, one, strict=True)]
    return {
        "edit_128_s": float(np.median(seconds)),
        "step_s": float(np.median(one)),
        "packed4_ratio": float(np.median(ratios)),
        "packed4_spread": [round(float(np.quantile(ratios, share)), 2) for share in (0.1, 0.9)],
    }


def packed(adapter: NanoAdapter, rounds: int = 15) -> tuple[list[float], list[float]]:
    """Seconds of one step: of each of four edits alone, on average, and of the four in one call, by turns.

    Four prompts on four grounds, each at another noise level.
    """
    items = []
    for number, (prompt, sigma) in enumerate((("a cat", 1.0), ("", 0.75), ("two balloons", 0.5), ("a red car", 0.25))):
        ground = backgrounds.draw("field", np.random.default_rng(number), SIDE)
        given = adapter.condition(request(prompt, ground, number))
        items.append(Item(latents=torch.randn(48, 32, 32), sigma=sigma, conditioning=given))
    one, four = [], []
    for _ in range(rounds + 2):
        started = time.perf_counter()
        for item in items:
            adapter.denoise([item])
        between = time.perf_counter()
        adapter.denoise(items)
        one.append((between - started) / len(items))
        four.append(time.perf_counter() - between)
    return one[2:], four[2:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=96)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet of 40 fills")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()  # as the engine does
    pack = AssetPack()
    adapter = NanoAdapter.shipped(args.weights)
    if args.sheet:
        sheet(adapter, args.sheet)
    figures: dict[str, object] = {"object_top1": object_top1(adapter, pack)}
    figures |= {"colour_word_top1": colour_word_top1(adapter), "texture_energy_ratio": texture_energy_ratio(adapter)}
    figures |= scene_figures(adapter, pack, args.scenes)
    figures |= speed(adapter)
    size = sum(path.stat().st_size for path in args.weights.rglob("*") if path.is_file())
    figures |= {"size_mb": size / 1e6, "languages": len(pack.languages), "pictures": len(pack)}
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    report(**rounded, threads=1, training=json.loads((args.weights / "training.json").read_text()))


if __name__ == "__main__":
    main()
