"""E9: an autoencoder run over a part of a picture gives what diffusers gives for the whole, or is not run so."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from nanobana.protocol.geometry import Box
from nanobana_engine.memory import Memory
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.vae.boxes import Bools, Boxes
from nanobana_engine.models.vae.codec import (
    EXACT,
    decode_part,
    decode_whole,
    decoding,
    encode_part,
    encode_whole,
    encoding,
)
from nanobana_engine.models.vae.gate import MEAN_LATENTS, Gate, measured
from nanobana_engine.models.vae.incremental import IncrementalVae
from nanobana_engine.models.vae.parts import finer
from support.edits import edited, mask_in, photo, source_of
from support.tiny import calm_vae, sd_pipeline, vae

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
CELLS = (20, 14)
"""Width and height of the latents in these tests."""
LEVEL = 1.0 / 255.0


def _cells(*boxes: Box) -> Bools:
    """[h, w]"""
    cells = np.zeros(CELLS[::-1], np.bool_)
    for box in boxes:
        cells[box.y0 : box.y1, box.x0 : box.x1] = True
    return cells


def _stroke() -> Bools:
    """From one corner to the other: in a box of everything."""
    return _cells(*(Box(n, n * 14 // 20, n + 2, n * 14 // 20 + 2) for n in range(19)))


PARTS = [
    pytest.param(_cells(Box(7, 5, 11, 8)), id="inside"),
    pytest.param(_cells(Box(0, 0, 3, 3)), id="corner"),
    pytest.param(_cells(Box(17, 4, 20, 14)), id="edge"),
    pytest.param(_cells(Box(1, 1, 2, 2), Box(13, 8, 19, 9)), id="two places"),
    pytest.param(_stroke(), id="stroke"),
    pytest.param(_cells(Box(0, 0, *CELLS)), id="whole"),
]


def _picture(seed: int = 0) -> Any:
    """[H, W, 3] in 0..1."""
    return (photo(8 * CELLS[0], 8 * CELLS[1], seed)[..., :3] / 255.0).astype(np.float32)


def _tensor(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] * 2.0 - 1.0


def _latents(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, CELLS[1], CELLS[0], generator=torch.Generator().manual_seed(seed))


def _theirs(net: Any, latents: torch.Tensor) -> Any:
    """diffusers' own picture of latents, [H, W, 3] in 0..1."""
    with torch.inference_mode():
        return (net.decode(latents[None]).sample[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()


def _encoded(net: Any, pixels: Any) -> torch.Tensor:
    with torch.inference_mode():
        latents: torch.Tensor = net.encode(_tensor(pixels)).latent_dist.mode()[0]
        return latents


KINDS: list[Any] = [
    pytest.param({}, id="sd"),
    pytest.param({"mid_block_add_attention": False}, id="no attention"),
    pytest.param({"use_quant_conv": False, "use_post_quant_conv": False}, id="no quant conv"),
]


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_E9_a_walk_over_the_whole_is_diffusers_own_pass(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net, picture, latents = vae(**kind), _tensor(_picture()), _latents()[None]
    assert (encode_whole(net, picture)[0] - net.encode(picture).latent_dist.mode()).abs().max() < 1e-4
    assert (decode_whole(net, latents)[0] - net.decode(latents).sample).abs().max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", PARTS)
@torch.inference_mode()
def test_E9_a_part_with_the_wholes_statistics_is_that_part_of_the_whole(part: Bools, kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net, latents = vae(**kind), _latents()[None]
    _, passed = decode_whole(net, latents)
    wanted = net.decode(latents).sample[0][:, torch.from_numpy(finer(part, 8))].t()
    assert (decode_part(net, latents, part, decoding(net, part, EXACT), passed) - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("part", PARTS)
@torch.inference_mode()
def test_E9_encoding_a_part_in_which_nothing_changed_changes_nothing(part: Bools) -> None:
    torch.manual_seed(0)
    net, picture = vae(), _tensor(_picture())
    latents, passed = encode_whole(net, picture)
    again, kept = encode_part(net, picture, latents, encoding(net, part, EXACT), passed)
    assert (again - latents).abs().max() < 1e-4
    assert kept.entered is not None and passed.entered is not None
    assert (kept.entered - passed.entered).abs().max() < 1e-3 * passed.entered.abs().max()


def test_E9_a_small_change_is_encoded_beside_what_is_known_and_costs_a_part() -> None:
    net = calm_vae()
    coder, before = IncrementalVae(net, 8), _picture()
    coder.encode(before)
    after = before.copy()
    after[40:56, 60:80] = 0.5
    found, wanted = coder.encode(after), _encoded(net, after)
    assert (found - wanted).abs().mean() < MEAN_LATENTS * wanted.std()
    assert coder.encoded.asked == 2 and coder.encoded.done < 1.6


def test_E9_a_canvas_that_changed_underneath_is_never_taken_for_the_old_one() -> None:
    net = calm_vae()
    coder, dice, picture = IncrementalVae(net, 8), np.random.default_rng(1), _picture()
    coder.encode(picture)
    for n in range(12):  # one pixel, a patch, or all of it, each time over what is by then
        y, x = int(dice.integers(0, 100)), int(dice.integers(0, 150))
        side = (1, 6, 160)[n % 3]
        picture = picture.copy()
        picture[y : y + side, x : x + side] = dice.random(3)
        found, wanted = coder.encode(picture), _encoded(net, picture)
        assert (found - wanted).abs().mean() < 2 * MEAN_LATENTS * wanted.std()
        assert torch.equal(coder.encode(picture), found)


def test_E9_statistics_of_another_picture_are_not_used_for_this_one() -> None:
    net = calm_vae()
    coder = IncrementalVae(net, 8)
    coder.decode(_latents(1))
    shown = coder.decode_part(_latents(2), _cells(Box(6, 5, 12, 9)), _picture())
    assert np.abs(shown - _theirs(net, _latents(2))).max() < 1e-4


def test_E9_a_decoded_part_lies_over_what_stood_there() -> None:
    net = calm_vae()
    coder, beneath, latents, part = IncrementalVae(net, 8), _picture(), _latents(), _cells(Box(6, 5, 12, 9))
    coder.decode(latents)
    latents[:, 6:8, 8:10] += 0.5
    shown = coder.decode_part(latents, part, beneath)
    inside = finer(part, 8)
    apart = np.abs(shown - _theirs(net, latents))[inside]
    assert apart.mean() < LEVEL and apart.max() < 16 * LEVEL
    shown[inside] = beneath[inside]
    assert np.array_equal(shown, beneath)
    assert coder.decoded.done < 1.8


def test_E9_a_network_of_other_blocks_or_with_other_numbers_works_on_whole_pictures() -> None:
    class Other(AutoencoderKL):  # type: ignore[misc]
        """Might compute anything."""

    assert measured(Other.from_config(calm_vae().config), 8) == measured(_shouting(), 8) == Gate()
    net = _shouting()
    coder = IncrementalVae(net, 8)
    assert (coder.gate.encode, coder.gate.decode) == (None, None)
    assert np.array_equal(coder.decode_part(_latents(), _cells(Box(1, 1, 3, 3)), _picture()), _theirs(net, _latents()))


def _shouting() -> Any:
    """A version of diffusers in which a block computes something else."""
    net = calm_vae()
    net.encoder.mid_block.register_forward_hook(lambda *given: given[2] + 0.3 * given[2].roll(1, 3))
    net.decoder.mid_block.register_forward_hook(lambda *given: given[2] + 0.3 * given[2].roll(1, 3))
    return net


def test_E9_switched_off_it_is_diffusers_own() -> None:
    net = calm_vae()
    coder = IncrementalVae(net, 8, is_on=False)
    coder.encode(_picture())
    changed = _picture()
    changed[8:16, 8:16] = 0.0
    assert torch.equal(coder.encode(changed), _encoded(net, changed))
    assert coder.encoded.asked == 0


def test_E9_passes_stay_within_their_bytes_and_two_threads_do_not_disturb_each_other() -> None:
    net, memory = calm_vae(), Memory(budget_bytes=64 << 20, cache_bytes=4 << 20)
    coder = IncrementalVae(net, 8)
    coder.remember_in(memory, "tiny")
    wrong: list[float] = []

    def paint(seed: int) -> None:
        dice, picture = np.random.default_rng(seed), _picture(seed)
        for _ in range(25):
            picture = picture.copy()
            y, x = int(dice.integers(0, 90)), int(dice.integers(0, 140))
            picture[y : y + 12, x : x + 12] = dice.random(3)
            wanted = _encoded(net, picture)
            wrong.append(float((coder.encode(picture) - wanted).abs().mean() / wanted.std()))

    threads = [threading.Thread(target=paint, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    memory.check_integrity()
    assert len(wrong) == 50 and max(wrong) < 2 * MEAN_LATENTS
    assert coder.encoded.done < 0.9 * coder.encoded.asked
    assert memory.host.used_bytes <= memory.cache_bytes


@pytest.mark.parametrize("side", [1, 3, 8])
def test_boxes_cover_what_is_wanted_and_each_pixel_has_one_row(side: int) -> None:
    wanted = np.random.default_rng(side).random((41, 59)) < 0.01
    at = Boxes.over(wanted, side)
    ys, xs = at.pixels
    assert at.covered[wanted].all()
    rows = at.places[at.covered]
    assert len(set(rows.tolist())) == at.covered.sum()
    assert np.array_equal(np.stack([ys[rows], xs[rows]], axis=1), np.argwhere(at.covered))
    assert np.array_equal(np.sort(rows), np.arange(len(ys)))
    assert not Boxes.over(np.zeros((4, 4), np.bool_), side).stacks


def test_E9_a_stroke_costs_what_lies_under_it_and_not_its_box() -> None:
    net = calm_vae()
    coder, beneath, latents = IncrementalVae(net, 8), np.zeros((512, 512, 3), np.float32), torch.zeros(4, 64, 64)
    coder.use(Gate(encode=1, decode=4))
    coder.encode(beneath)
    coder.decode(latents)
    stroke = np.zeros((64, 64), np.bool_)
    for n in range(4, 60):
        stroke[n, n : n + 2] = True
    coder.decode_part(latents, stroke, beneath)
    after = beneath.copy()
    after[finer(stroke, 8)] = 0.01
    coder.encode(after)
    assert coder.decoded.done < 1.25 and coder.encoded.done < 1.25


def _painted() -> Any:
    """[256, 256], 0..255: a diagonal stroke of a brush."""
    mask = np.zeros((256, 256), np.uint8)
    for n in range(60, 180):
        mask[n, n : n + 8] = 255
    return mask


@pytest.mark.parametrize(
    ("channels", "mask"),
    [
        pytest.param(4, mask_in(256, 256, Box(100, 110, 130, 140)), id="4 channels"),
        pytest.param(9, mask_in(256, 256, Box(100, 110, 130, 140)), id="9 channels"),
        pytest.param(4, _painted(), id="a stroke"),
    ],
)
def test_E5_E9_an_edit_in_parts_is_the_edit_on_the_whole_within_the_gates_tolerance(channels: int, mask: Any) -> None:
    picture = photo(256, 256)
    adapter, whole = _adapter(channels), _adapter(channels, encodes_parts=False)
    for request in _requests(adapter, source_of(picture, mask, adapter.preset)):
        adapter.prepare(request, lambda: True)
    ours, source = edited(adapter, picture, mask, prompt="a red apple")
    theirs, _ = edited(whole, picture, mask, prompt="a red apple")
    assert not np.array_equal(ours, picture)
    box = source.plan.result
    inside = (slice(box.y0, box.y1), slice(box.x0, box.x1))
    assert np.abs(ours[inside].astype(int) - theirs[inside].astype(int)).mean() < 1.0
    outside = np.ones((256, 256), np.bool_)
    outside[box.y0 : box.y1, box.x0 : box.x1] = False
    assert np.array_equal(ours[outside], picture[outside])


def _adapter(channels: int, **facts: Any) -> SdAdapter:
    pipeline = sd_pipeline(channels)
    pipeline.vae = calm_vae()
    return SdAdapter(pipeline, Preset(name="tiny", native=256, min_side=192, max_side=256, multiple=64, **facts))


def _requests(adapter: SdAdapter, source: Any) -> Any:
    from nanobana_engine.engine.edit import EditRun
    from nanobana_engine.runner import Runner

    return EditRun(source, Runner(adapter)).requests_ahead()


def test_E9_what_is_prepared_ahead_is_given_up_in_the_middle() -> None:
    adapter = _adapter(4)
    source = source_of(photo(256, 256), mask_in(256, 256, Box(100, 110, 130, 140)), adapter.preset)
    asked = iter([True] * 9)
    for request in _requests(adapter, source):
        adapter.prepare(request, lambda: next(asked, False))
    assert next(asked, None) is None
