"""Fills of nano as the product makes them, and forty of them on one sheet; `nano_quality.py` reads its figures here."""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from scipy import ndimage

from nanobana_engine.models.base import Item, Request
from nanobana_engine.models.nano import backgrounds, photos
from nanobana_engine.models.nano.adapter import NanoAdapter
from nanobana_engine.models.nano.around import planes
from nanobana_engine.models.nano.conditioning import NanoConditioning

SIDE = 128
THINGS = (
    *("dog", "horse", "penguin", "lizard", "jellyfish", "scorpion", "seedling", "melon", "coconut", "hot dog"),
    *("volcano", "church", "tractor", "dress", "hiking boot", "headphone", "chair", "fire extinguisher"),
    *("carousel horse", "crescent moon"),
)
"""Things whose pictures the training holds out (`SceneMaker`: every 17th); `object_top1` refuses any other."""
Floats = npt.NDArray[np.float32]


def denoised(adapter: NanoAdapter, conditioning: NanoConditioning, seed: int, steps: int = 4) -> torch.Tensor:
    """(1, 3, H, W) in [0, 1]: all steps of one edit."""
    height, width = conditioning.hole.shape[-2:]
    state = torch.randn((48, height // 4, width // 4), generator=torch.Generator().manual_seed(seed))
    for now, then in itertools.pairwise(adapter.sigmas(steps, 1.0, (height, width))):
        clean = adapter.denoise([Item(latents=state, sigma=now, conditioning=conditioning)])[0]
        state = clean + (state - clean) * (then / now)
    return planes(adapter.decode(state))


def request(prompt: str, pixels: Floats, seed: int, variation: int = 0, share: float = 0.54) -> Request:
    """An edit of the middle of a picture; the mask is a box with round corners."""
    size = pixels.shape[0]
    edge = int(size * (1 - share) / 2)
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[edge:-edge, edge:-edge] = 1
    soft = np.maximum(mask, ndimage.gaussian_filter(mask, 0.012 * size)).astype(np.float32)
    return Request(pixels=pixels, mask=soft, user_mask=mask, prompt=prompt, seed=seed + variation)


def fill(adapter: NanoAdapter, asked: Request) -> Floats:
    """The picture with its hole filled and stitched under the soft mask."""
    drawn = denoised(adapter, adapter.condition(asked), asked.seed)[0].permute(1, 2, 0).numpy()
    result: Floats = asked.pixels + (drawn - asked.pixels) * asked.mask[..., None]
    return result


TEXTURES = ("brick", "wood", "grass", "sand", "gravel", "paper", "stone", "checker", "tiles", "snow")
PHOTOS = (
    ("camera.png", (60, 230, 256), "a bird"), ("camera.png", (330, 330, 160), ""),
    ("camera.png", (20, 20, 200), "a balloon"), ("coffee.png", (230, 452, 128), "a strawberry"),
    ("coffee.png", (20, 452, 140), ""), ("rocket.jpg", (40, 60, 240), "a crescent moon"),
    ("astronaut.png", (300, 20, 200), ""), ("chelsea.png", (20, 20, 160), "a butterfly"),
    ("hubble_deep_field.jpg", (300, 300, 256), "a rocket"), ("clock_motion.png", (20, 20, 256), ""),
)  # fmt: skip
"""File, top, left and side of a square, prompt; the first five are held out of training."""


def sheet(adapter: NanoAdapter, path: Path) -> None:
    """Forty fills, each under its picture with the hole: twenty held-out things, ten photographs, ten textures."""
    kinds = list(backgrounds.BACKGROUNDS)
    asked: list[tuple[str, Floats, str]] = []
    for number, name in enumerate(THINGS):
        kind = kinds[(number * 7) % len(kinds)]
        asked.append((f"a {name}", backgrounds.draw(kind, np.random.default_rng(40 + number), SIDE), f"a {name}"))
    for file, (top, left, side), prompt in PHOTOS:
        asked.append(
            (prompt or "(photo, empty)", photos.photograph(file)[top : top + side, left : left + side], prompt)
        )
    for number, kind in enumerate(TEXTURES):
        asked.append((f"({kind}, empty)", backgrounds.draw(kind, np.random.default_rng(80 + number), SIDE), ""))
    cells = [_cell(adapter, *one, seed=8 * number) for number, one in enumerate(asked)]
    rows = [np.concatenate(cells[start : start + 10], 1) for start in range(0, len(cells), 10)]
    path.parent.mkdir(parents=True, exist_ok=True)
    # the last bit of each colour is not seen, and costs a tenth of the file
    Image.fromarray(np.concatenate(rows) | np.uint8(1)).save(path, optimize=True)


def _cell(adapter: NanoAdapter, label: str, pixels: Floats, prompt: str, *, seed: int) -> npt.NDArray[np.uint8]:
    """[272, 128, 3]: the picture with its hole, the fill, and what was asked for."""
    wanted = request(prompt, np.ascontiguousarray(pixels, np.float32), seed)
    line = Image.new("RGB", (SIDE, 16), "white")
    ImageDraw.Draw(line).text((3, 2), label, fill="black")
    holed = pixels * (1 - wanted.mask[..., None])
    return np.concatenate([_resized(holed), _resized(fill(adapter, wanted)), np.asarray(line)])


def _resized(picture: Floats) -> npt.NDArray[np.uint8]:
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
