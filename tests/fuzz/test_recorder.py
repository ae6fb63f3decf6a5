"""A recorded canvas replays to the same canvas, and a difference is found where it is (C11)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import msgspec
import numpy as np
import pytest
from anyio import to_thread

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.raster.codec import encode_png
from nanobana_server.recorder.flight import Frame, Writer, frames
from nanobana_server.recorder.record import Recorder
from nanobana_server.recorder.replay import Report, replay
from nanobana_server.room.tape import Asked
from nanobana_server.store import Store, open_store
from support.live_server import Links, LiveServer, live_server
from support.members import RawMember, member
from support.restless import SIDE, Restless
from support.valkey import PrivateValkey, private_valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


@pytest.fixture(scope="module")
async def server(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url) as live:
        yield live


@pytest.fixture
async def canvas(server: LiveServer) -> Links:
    return await server.new_canvas()


@pytest.fixture
async def store(valkey: PrivateValkey) -> AsyncIterator[Store]:
    store = await open_store(valkey.url)
    yield store
    await store.aclose()


@pytest.fixture
def elsewhere() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


async def replayed(valkey: PrivateValkey, path: Path) -> Report:
    store = await open_store(valkey.url)
    try:
        return await replay(store, path)
    finally:
        await store.aclose()


def stroke(who: RawMember, shade: int) -> m.Paint:
    png = encode_png(np.full((40, 40, 4), (shade, 0, 0, 255), np.uint8))
    return m.Paint(op=who.op(), layer="sky", box=Box(230, 230, 270, 270), png=png)


async def recorded(store: Store, canvas: str, path: Path, work: object) -> None:
    """Record while something is done."""
    assert callable(work)
    file = await to_thread.run_sync(path.open, "xb")
    stop = anyio.Event()
    try:
        async with anyio.create_task_group() as tasks:
            recorder = Recorder(store, canvas, Writer(file), stop)
            tasks.start_soon(recorder.run)
            await recorder.begun.wait()
            await work()
            stop.set()
    finally:
        await to_thread.run_sync(file.close)


@pytest.fixture
async def flight(store: Store, canvas: Links, tmp_path: Path) -> Path:
    """Somebody takes back what was done before the recording began, and goes on."""
    path = tmp_path / "canvas.flight"
    async with member(canvas.edit) as (ana, _):
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        await ana.do(stroke(ana, 90))

        async def work() -> None:
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(stroke(ana, 120))
            await ana.refused(m.LayerDelete(op=ana.op(), layer="none"))
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.Redo(op=ana.op()))
            await ana.do(m.CommentAdd(op=ana.op(), thread="t", text="more red?", x=5.0, y=5.0))
            await ana.do(m.VersionSet(op=ana.op(), version="v", name="before lunch", seq=2))

        await recorded(store, canvas.edit.canvas, path, work)
    return path


async def test_c11_a_recording_replays_to_the_same_canvas_with_what_was_undone_before_it(
    flight: Path, elsewhere: PrivateValkey, store: Store, canvas: Links
) -> None:
    report = await replayed(elsewhere, flight)
    assert (report.ops, report.changes, report.refused, report.difference, report.is_whole) == (6, 0, 1, "", True)
    assert report.seq == (await store.position(canvas.edit.canvas)).seq


async def test_c11_an_op_that_comes_out_otherwise_is_named_and_nothing_is_replayed_after_it(
    flight: Path, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    forged = tmp_path / "forged.flight"

    def changed(frame: Frame) -> Frame:
        if not isinstance(frame, Asked):
            return frame
        message = codec.read_client(codec.join([frame.message]))[0]
        if isinstance(message, m.Paint):
            png = encode_png(np.full((40, 40, 4), (7, 7, 7, 255), np.uint8))
            return msgspec.structs.replace(frame, message=codec.encode(msgspec.structs.replace(message, png=png)))
        return frame

    def forge() -> None:
        with forged.open("xb") as file:
            writer = Writer(file)
            for frame in frames(flight):
                writer.add(changed(frame))

    await to_thread.run_sync(forge)
    report = await replayed(elsewhere, forged)
    assert report.difference.startswith("seq 4, paint: tiles is ")
    assert (report.ops, report.seq) == (2, 4)


async def test_a_recorder_that_was_killed_leaves_what_it_saw(
    flight: Path, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.flight"
    await to_thread.run_sync(lambda: cut.write_bytes(flight.read_bytes()[:-20]))
    report = await replayed(elsewhere, cut)
    assert (report.difference, report.is_whole) == ("", False)


async def test_what_is_no_recording_is_refused(elsewhere: PrivateValkey, tmp_path: Path) -> None:
    path = tmp_path / "other"
    await to_thread.run_sync(path.write_bytes, b"something else")
    with pytest.raises(BadInput, match="no recorded canvas"):
        await replayed(elsewhere, path)


@pytest.mark.timeout(60)
async def test_c11_whatever_people_do_replays_to_the_same_canvas(
    server: LiveServer, store: Store, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    links = await server.new_canvas(SIDE, SIDE)
    people = [Restless(f"r{n}", [links.edit], 5, steps=25) for n in range(3)]
    path = tmp_path / "lively.flight"

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            for person in people:
                tasks.start_soon(person.run, lambda _: True)

    async with member(links.view):  # so that the canvas is open, and what is asked of it told from the first op on
        await recorded(store, links.edit.canvas, path, work)
    report = await replayed(elsewhere, path)
    assert (report.difference, report.is_whole) == ("", True)
    assert report.ops > 10
