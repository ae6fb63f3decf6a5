"""The engine's thread: stages, previews, company, cancelling, failing, the same pixels again (E3, E4, E7, E8, E11)."""

import time

import numpy as np
import pytest
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFailed, EditFinished, EditProgress
from nanobana_engine.runner import Runner
from nanobana_engine.runner.noise import tile_noise
from support.adapters import BrokenAdapter, PaintAdapter, PixelAdapter, TinyUNetAdapter, preset
from support.edits import Watched, laid, mask_in, photo, source_of

PICTURE = photo(200, 200)
MASK = mask_in(200, 200, Box(70, 70, 130, 120))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_e7_every_step_is_told_with_a_picture_until_the_result_itself_is_there() -> None:
    adapter = PixelAdapter()
    source = source_of(PICTURE, MASK, adapter.preset)
    with Watched(adapter) as watched:
        watched.finish(source)
    steps = watched.steps("edit")
    assert [each.step for each in steps] == [0, 1, 2, 3, 4]
    assert {each.of for each in steps} == {4}
    assert steps[-1].picture is None
    picture = steps[-2].picture
    assert picture is not None
    box = source.plan.result
    assert picture.shape == (box.height, box.width, 3)
    assert np.array_equal(picture, PICTURE[box.y0 : box.y1, box.x0 : box.x1, :3])


def test_e4_the_first_look_is_the_prefilled_hole() -> None:
    adapter = PaintAdapter((1.0, 0.0, 0.0))
    flat = PICTURE.copy()
    flat[..., :3] = 100
    hidden = flat.copy()
    hidden[80:110, 80:120, :3] = 0
    with Watched(adapter) as watched:
        watched.finish(source_of(hidden, MASK, adapter.preset))
    first = watched.steps("edit")[0].picture
    assert first is not None
    assert np.abs(first.astype(int) - 100).max() <= 1


def test_e3_a_large_region_shows_layout_rough_and_detail() -> None:
    adapter = PaintAdapter((0.2, 0.5, 0.8), preset(native=64, max_side=64))
    picture, mask = photo(420, 420), mask_in(420, 420, Box(120, 120, 300, 300))
    source = source_of(picture, mask, adapter.preset, quality="best")
    with Watched(adapter) as watched:
        end = watched.finish(source)
    names = [each.stage for each in watched.steps("edit")]
    assert list(dict.fromkeys(names)) == ["layout", "rough", "detail"]
    after = laid(picture, source, end.patches()[0])
    assert np.abs(after[200:220, 200:220, :3].astype(int) - [51, 128, 204]).max() <= 12


def test_e7_variations_run_as_one_batch_with_seeds_of_their_own() -> None:
    adapter = TinyUNetAdapter()
    source = source_of(PICTURE, MASK, adapter.preset, variations=3)
    with Watched(adapter) as watched:
        pictures = watched.finish(source).pictures
    assert len(pictures) == 3
    assert not np.array_equal(pictures[0], pictures[1])
    assert max(adapter.calls) == 3


def test_e11_the_same_seed_gives_the_same_pixels_alone_or_in_company() -> None:
    adapter = TinyUNetAdapter()
    alone, again = (source_of(PICTURE, MASK, adapter.preset, id=name) for name in ("alone", "again"))
    with Watched(adapter) as watched:
        first = watched.finish(alone).patches()[0]
        for user in ("ben", "eva"):
            watched.engine.submit(source_of(PICTURE, MASK, adapter.preset, id=user, user=user, seed=99))
        second = watched.finish(again).patches()[0]
    assert max(adapter.calls) > 1
    assert np.abs(first.astype(int) - second).max() <= 1


def test_e11_a_variation_can_be_asked_for_by_its_seed() -> None:
    adapter = TinyUNetAdapter()
    with Watched(adapter) as watched:
        three = watched.finish(source_of(PICTURE, MASK, adapter.preset, id="three", variations=3)).patches()
        one = watched.finish(source_of(PICTURE, MASK, adapter.preset, id="one", seed=9)).patches()
    assert np.abs(three[2].astype(int) - one[0]).max() <= 1


def test_e4_the_noise_of_overlapping_tiles_agrees() -> None:
    left, right = (tile_noise(3, 0, 4, Box(x, 40, x + 512, 300), 4) for x in (0, 384))
    assert torch.equal(left[:, :, 96:], right[:, :, :32])
    assert not torch.equal(left[:, :, :32], right[:, :, :32])
    assert abs(float(left.std()) - 1.0) < 0.05


def test_e4_where_d_is_0_the_latents_are_what_is_known_at_every_step() -> None:
    adapter = PaintAdapter((1, 1, 1))
    source = source_of(PICTURE, MASK, adapter.preset)
    from nanobana_engine.engine.edit import EditRun

    runner = Runner(adapter)
    run = EditRun(source, runner)
    run.begin_stage()
    (part,) = run.parts.values()
    while not part.one.is_done:
        runner.advance([part.one])
        sigma = part.one.sigmas[part.one.step]
        outside = (part.one.depth == 0).expand_as(part.one.latents)
        expected = (1 - sigma) * part.one.known + sigma * part.one.noise
        assert torch.allclose(part.one.latents[outside], expected[outside], atol=1e-6)
    inside = (part.one.depth == 1).expand_as(part.one.latents)
    assert torch.equal(part.one.latents[inside], torch.ones_like(part.one.latents[inside]))


def test_e8_cancel_takes_effect_within_one_step_and_on_its_own_edit_only() -> None:
    adapter = PixelAdapter(step_s=0.05)
    keeps = source_of(PICTURE, MASK, adapter.preset, id="keeps", user="ben", quality="best")
    goes = source_of(PICTURE, MASK, adapter.preset, id="goes", quality="best")
    with Watched(adapter) as watched:
        watched.engine.submit(goes)
        watched.engine.submit(keeps)
        watched.wait_for(EditProgress, "goes")
        watched.engine.cancel("goes")
        before = len(watched.steps("goes"))
        watched.wait_for(EditFinished, "keeps")
    assert len(watched.steps("goes")) <= before + 1
    assert not [event for event in watched.events if isinstance(event, EditFinished) and event.id == "goes"]


def test_e8_a_failing_edit_fails_after_three_times_alone_and_takes_nobody_with_it() -> None:
    adapter = BrokenAdapter("break it")
    with Watched(adapter) as watched:
        watched.engine.submit(source_of(PICTURE, MASK, adapter.preset, id="bad", prompt="break it"))
        good = source_of(PICTURE, MASK, adapter.preset, id="good", user="ben")
        watched.finish(good)
        failed = watched.wait_for(EditFailed, "bad")
    assert failed.code == "engine_error"
    assert "three times" in failed.message


def test_e8_a_bug_in_the_loop_fails_the_edits_and_the_engine_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = PixelAdapter()
    with Watched(adapter) as watched:
        with monkeypatch.context() as broken:
            broken.setattr("nanobana_engine.scheduler.Scheduler.next_step", lambda _: 1 / 0)
            watched.engine.submit(source_of(PICTURE, MASK, adapter.preset, id="unlucky"))
            assert watched.wait_for(EditFailed, "unlucky").code == "engine_error"
        watched.finish(source_of(PICTURE, MASK, adapter.preset, id="next"))


def test_timing_counts_each_call_of_the_adapter_once_for_all_variations() -> None:
    adapter = PixelAdapter(step_s=0.02)
    with Watched(adapter) as watched:
        began = time.perf_counter()
        end = watched.finish(source_of(PICTURE, MASK, adapter.preset, variations=4))
        took_ms = 1000.0 * (time.perf_counter() - began)
    assert 80 <= end.model_ms <= took_ms  # four steps; counted for each variation they would take longer than all did
