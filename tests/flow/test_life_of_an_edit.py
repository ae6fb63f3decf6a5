"""The main job end to end through the SDK: real store, real server, real engine, the shipped model."""

import io
import json
import signal
import sys
from pathlib import Path

import anyio
import numpy as np
import numpy.typing as npt
import pytest
from anyio import to_thread
from PIL import Image

from nanobana.protocol import messages as m
from nanobana.protocol.errors import BadInput, NanobanaError, NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.trace import trace_of
from nanobana.sdk import Live, create_canvas, join, join_blocking
from nanobana_server.allinone.store import socket_path
from support.product import Product

pytestmark = pytest.mark.timeout(300)

PAINTED = 255
NANOBANA = (sys.executable, "-m", "nanobana.cli")


def picture(width: int = 384, height: int = 320) -> npt.NDArray[np.uint8]:
    """A photo-like picture: a gradient with grain, so that every changed pixel shows."""
    grain = np.random.default_rng(7).integers(0, 40, (height, width, 3))
    ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 15, height)[:, None, None]
    picture: npt.NDArray[np.uint8] = (ramp + grain).clip(0, 255).astype(np.uint8)
    return picture


def png_of(pixels: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def exported(png: bytes) -> npt.NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))


def disc(side: int) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(x * x + y * y <= (side / 2) ** 2, np.uint8(PAINTED), np.uint8(0))


async def test_e5_a_fill_reaches_both_members_and_changes_nothing_outside_an_exact_mask(product: Product) -> None:
    before = picture()
    links = await create_canvas(product.origin, title="flow")
    async with join(links.edit, name="Ana") as ana, join(links.edit, name="Ben") as ben:
        layer = await ana.add_image(png_of(before))
        with ben.events() as events:
            job = await ana.edit(disc(96), 140, 110, "a red apple", exact_edge=True, seed=3)
            staged = await ana.staged(job)
            previews = []
            async for message in events:
                if isinstance(message, m.Preview) and message.job == job and message.jpeg:
                    previews.append(message)
                if isinstance(message, m.Changed) and message.change.job and message.change.job.state == "staged":
                    break
        assert previews, "the other member saw it come"
        assert staged.results[0].seed == 3
        assert staged.cost is not None and 0 < staged.cost.share < 1, "the crop is smaller than the picture"
        assert (staged.cost.tiles, staged.cost.tiles_of) == (1, 4), "an exact mask from 140 to 236 lies in one tile"
        seq = await ana.accept(job)
        await ben.until(lambda: ben.replica.position.seq >= seq)
        assert ana.replica.digest() == ben.replica.digest()
        after = exported(await ben.export())
        mask = np.zeros(before.shape[:2], bool)
        mask[110:206, 140:236] = disc(96) > 0
        changed = (after[..., :3] != before).any(axis=-1)
        assert not changed[~mask].any()
        assert changed[mask].mean() > 0.5
        assert [kept.id for kept in ana.layers] == [layer]
        await ana.undo()
        assert np.array_equal(exported(await ana.export())[..., :3], before)
        await ana.redo()
        assert np.array_equal(exported(await ana.export()), after)


async def test_c9_each_member_undoes_only_their_own_work(product: Product) -> None:
    links = await create_canvas(product.origin, width=300, height=200)
    async with join(links.edit, name="Ana") as ana, join(links.edit, name="Ben") as ben:
        layer = await ana.add_layer("ink")
        await ben.until(lambda: bool(ben.layers))
        red = np.zeros((40, 40, 4), np.uint8)
        red[...] = (255, 0, 0, 255)
        blue = red[..., [2, 1, 0, 3]].copy()
        await ana.paint(layer, 10, 10, red)
        await ben.paint(layer, 30, 10, blue)
        await ana.undo()
        left = await ana.pixels(layer, Box(10, 10, 70, 50))
        assert not left[:, :20, 3].any(), "Ana's own stroke is gone"
        assert np.array_equal(left[:, 20:60], blue), "Ben's stands whole"


async def test_j5_the_first_decision_wins(product: Product) -> None:
    links = await create_canvas(product.origin)
    async with join(links.owner, name="Owner") as owner, join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(picture()))
        job = await ana.edit(disc(64), 100, 100)
        await ana.staged(job)
        await ana.accept(job)
        with pytest.raises(NanobanaError) as told:
            await owner.discard(job)
        assert told.value.code == "already_decided"


async def test_e1_an_empty_mask_is_refused_with_a_reason(product: Product) -> None:
    links = await create_canvas(product.origin, width=256, height=256)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_layer("ground")
        with pytest.raises(NanobanaError) as told:
            await ana.staged(await ana.edit(np.zeros((32, 32), np.uint8), 0, 0, "a cat"))
        assert told.value.code == "empty_mask"


async def test_an_unknown_word_is_refused_with_names_that_are_known(product: Product) -> None:
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(picture()))
        with pytest.raises(BadInput) as told:
            await ana.staged(await ana.edit(disc(64), 50, 50, "xyzzyqwrk"))
        assert told.value.code == "unknown_prompt"


async def test_an_erase_needs_no_prompt_and_lands_as_a_staged_patch(product: Product) -> None:
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(picture()))
        staged = await ana.staged(await ana.edit(disc(48), 120, 120, mode="erase"))
        assert staged.result_box is not None
        assert len(staged.results) == 1


async def test_e3_a_region_larger_than_one_picture_comes_in_stages_and_parts_and_is_undone_as_one(
    product: Product,
) -> None:
    before = picture(2600, 1700)
    mask = np.full((1500, 2400), PAINTED, np.uint8)
    mask[:300, :300] = 0
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(before))
        with ana.events() as events:
            job = await ana.edit(mask, 100, 100, "a red apple", exact_edge=True, seed=3)
            staged = await ana.staged(job)
            previews = []
            async for message in events:
                if isinstance(message, m.Preview) and message.job == job:
                    previews.append(message)
                if isinstance(message, m.Changed) and message.change.job and message.change.job.state == "staged":
                    break
        assert {"layout", "detail"} <= {shown.stage for shown in previews}
        assert max(shown.tiles for shown in previews) > 1
        (result,) = staged.results
        assert len(result.parts) > 4
        assert not any(a.box.intersect(b.box).area for a in result.parts for b in result.parts if a is not b)
        seq = await ana.accept(job)
        await ana.until(lambda: ana.replica.position.seq >= seq)
        after = exported(await ana.export())[..., :3]
        changed = (after != before).any(axis=-1)
        inside = np.zeros(changed.shape, bool)
        inside[100:1600, 100:2500] = mask > 0
        assert not changed[~inside].any()
        assert changed[inside].mean() > 0.9
        await ana.undo()
        assert np.array_equal(exported(await ana.export())[..., :3], before)


@pytest.mark.soak
async def test_e3_a_large_thing_is_erased_in_parts(product: Product) -> None:
    before = picture(2600, 1700)
    before[350:1350, 500:2100] = (255, 0, 0)
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(before))
        staged = await ana.staged(await ana.edit(np.full((1040, 1640), PAINTED, np.uint8), 480, 330, mode="erase"))
        assert len(staged.results[0].parts) > 1
        seq = await ana.accept(staged.id)
        await ana.until(lambda: ana.replica.position.seq >= seq)
        after = exported(await ana.export())[..., :3].astype(int)
        gone = after[350:1350, 500:2100]
        assert (gone[..., 0] - gone[..., 1] < 60).mean() > 0.99, "nothing red is left"
        assert 0.5 < gone.std(axis=1).mean() / before[100:300].astype(float).std(axis=1).mean() < 1.5, "grain, no blur"


async def test_three_variations_come_as_one_job_and_differ(product: Product) -> None:
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(picture()))
        staged = await ana.staged(await ana.edit(disc(96), 100, 100, "a cat", variations=3))
        assert len({found.blob for found in staged.results}) == 3


async def test_e7_a_live_session_shows_one_result_that_follows_what_is_asked_until_it_is_accepted(
    product: Product,
) -> None:
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana, join(links.edit, name="Ben") as ben:
        await ana.add_image(png_of(picture()))
        live = Live(ana, seed=5)
        for side in (48, 64, 80):
            await live.show(disc(side), 100, 100, "a red apple")
        first = await live.result()
        assert (first.quality, first.seed, first.box) == ("draft", 5, Box(100, 100, 180, 180))
        await live.show(disc(96), 100, 100, "a red apple")
        result = await live.result()
        await ben.until(lambda: [job.id for job in ben.replica.jobs.values()] == [result.id])
        assert [job.live for job in ben.replica.jobs.values()] == [live.id]
        await live.accept()
        await ben.until(lambda: not ben.replica.jobs)
        assert ben.replica.digest() == ana.replica.digest()
        other = Live(ben)
        await other.show(disc(48), 10, 10)
        await other.discard()
        await ben.until(lambda: not ben.replica.jobs)


async def test_r7_a_viewer_watches_and_writes_nothing(product: Product) -> None:
    links = await create_canvas(product.origin, width=256, height=256)
    async with join(links.edit, name="Ana") as ana, join(links.view, name="Vic") as viewer:
        with pytest.raises(NanobanaError) as told:
            await viewer.add_layer("mine")
        assert told.value.code == "not_allowed"
        await ana.add_layer("hers")
        await viewer.until(lambda: [layer.name for layer in viewer.layers] == ["hers"])


async def test_r5_a_cut_connection_resumes_and_answers_what_was_sent_meanwhile(product: Product) -> None:
    links = await create_canvas(product.origin, width=256, height=256)
    async with join(links.edit, name="Ana") as ana, join(links.edit, name="Ben") as ben:
        await ana.add_layer("one")
        await ben.until(lambda: len(ben.layers) == 1)
        await ben.connection.drop()
        await ana.add_layer("two")
        await ben.add_layer("three")
        await ana.until(lambda: len(ana.layers) == 3)
        await ben.until(lambda: ben.replica.digest() == ana.replica.digest())


def test_the_blocking_sdk_does_the_same(product: Product) -> None:
    import anyio

    links = anyio.run(lambda: create_canvas(product.origin, width=256, height=256))
    with join_blocking(links.edit, name="Ana") as canvas:
        layer = canvas.add_layer("ink")
        canvas.paint(layer, 0, 0, np.full((8, 8, 4), 255, np.uint8))
        assert exported(canvas.export())[:8, :8].min() == 255


async def test_one_edit_is_one_story_in_the_logs_of_server_and_engine(product: Product) -> None:
    links = await create_canvas(product.origin)
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(picture()))
        job = await ana.edit(disc(64), 100, 100, "a secret heron", seed=5)
        await ana.staged(job)
        seq = await ana.accept(job)
        await ana.until(lambda: ana.replica.position.seq >= seq)
    logs = [(product.data / "logs" / f"{part}.log").read_text("utf-8") for part in ("server", "engine")]
    lines = "\n".join(logs).splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    story = sorted((fact for fact in told if fact.get("trace") == trace_of(job)), key=lambda fact: fact["timestamp"])
    events = [(fact["part"], fact["event"], fact.get("kind") or fact.get("state", "")) for fact in story]
    wanted = [
        ("server", "job queued", ""),
        ("server", "op saved", "edit"),
        ("engine", "job claimed", ""),
        ("server", "first preview", ""),
        ("engine", "job handed in", ""),
        ("server", "result staged", ""),
        ("server", "job shown", "staged"),
        ("server", "op saved", "decide"),
    ]
    assert [event for event in events if event in wanted] == sorted(wanted, key=events.index)
    assert set(wanted) <= set(events)
    assert all("ms" in fact for fact in story if fact["event"] not in ("job queued", "job shown"))
    assert "heron" not in "".join(lines)


async def test_c11_a_recorded_fill_replays_to_the_same_canvas(product: Product, tmp_path: Path) -> None:
    links = await create_canvas(product.origin)
    flight = tmp_path / "canvas.flight"
    async with join(links.edit, name="Ana") as ana:
        await ana.add_image(png_of(picture()))
        store = f"unix://{socket_path(product.data / 'valkey')}"
        recorder = await anyio.open_process([*NANOBANA, "record", links.view, str(flight), "--redis-url", store])
        try:
            with anyio.fail_after(20):
                while not await to_thread.run_sync(_has_begun, flight):  # noqa: ASYNC110 - another process
                    await anyio.sleep(0.05)
            job = await ana.edit(disc(64), 100, 100, "a red apple")
            await ana.staged(job)
            await ana.accept(job)
            await ana.undo()
            recorder.send_signal(signal.SIGINT)
            with anyio.fail_after(20):
                assert await recorder.wait() == 0
        finally:
            if recorder.returncode is None:
                recorder.kill()
            await recorder.aclose()
    told = await anyio.run_process([*NANOBANA, "replay", str(flight), "--json"])
    report = json.loads(told.stdout)
    assert (report["difference"], report["is_whole"]) == ("", True)
    assert (report["ops"], report["changes"]) == (3, 1), "edit, acceptance, undo; the engine's result as it was"
    assert report["digest"] == ana.replica.digest()


def _has_begun(flight: Path) -> bool:
    return flight.exists() and flight.stat().st_size > 1000


async def test_c13_a_script_looks_back_names_a_moment_and_brings_it_back(product: Product) -> None:
    links = await create_canvas(product.origin, width=300, height=200)
    async with join(links.edit, name="Ana") as ana:
        layer = await ana.add_layer("Ink")
        red, blue = (np.full((40, 40, 4), colour, np.uint8) for colour in ((255, 0, 0, 255), (0, 0, 255, 255)))
        await ana.paint(layer, 10, 10, red)
        version = await ana.past.name("Red")
        seq = ana.replica.position.seq
        await ana.paint(layer, 10, 10, blue)
        page = await ana.past.moments()
        assert [moment.kind for moment in page.moments] == ["paint", "paint", "layers"]
        assert [person.name for person in page.people] == ["Ana"]
        assert [(found.id, found.name) for found in await ana.past.versions()] == [(version, "Red")]
        assert (await ana.past.look(seq)).tiles != (await ana.past.look(seq + 1)).tiles

        await ana.past.restore(seq, Box(0, 0, 30, 300))

        shown = exported(await ana.export())
        assert shown[20, 20].tolist() == [255, 0, 0, 255]
        assert shown[20, 40].tolist() == [0, 0, 255, 255]
        await ana.undo()
        assert exported(await ana.export())[20, 20].tolist() == [0, 0, 255, 255]
        with pytest.raises(NotFound):
            await ana.past.look(10_000)
        await ana.past.forget(version)
        assert await ana.past.versions() == []
