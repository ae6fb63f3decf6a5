"""A recorded canvas replays to the same canvas, and a difference is found where it is (C11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from anyio import to_thread

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Change, Thread
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.trace import name_of
from nanobana.raster.codec import encode_png
from nanobana_server.recorder.flight import Begin, Entry, Frame, Writer, frames
from nanobana_server.room.tape import Asked
from nanobana_server.store import Store, open_store
from nanobana_server.store.contents import Value
from nanobana_server.store.ops import import_image
from support.flights import recorded, replayed
from support.live_server import Links, LiveServer
from support.members import RawMember, member
from support.valkey import PrivateValkey, private_valkey


@pytest.fixture(autouse=True)
def no_blocking() -> None:
    """A recorder has a process of its own, and writes its file as it goes."""


@pytest.fixture
def elsewhere() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


def texts(thread: Thread) -> tuple[bool, list[str]]:
    """Whether it is resolved, and what it says; only the times are those of the replay."""
    return thread.resolved, [comment.text for comment in thread.comments]


def stroke(who: RawMember, shade: int) -> m.Paint:
    png = encode_png(np.full((40, 40, 4), (shade, 0, 0, 255), np.uint8))
    return m.Paint(op=who.op(), layer="sky", box=Box(230, 230, 270, 270), png=png)


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


async def forged(flight: Path, changed: Callable[[Frame], Frame | list[Frame]]) -> Path:
    """The same recording, with other frames."""

    def forge() -> Path:
        path = flight.with_name("forged.flight")
        with path.open("xb") as file:
            writer = Writer(file)
            for frame in frames(flight):
                found = changed(frame)
                for each in found if isinstance(found, list) else [found]:
                    writer.add(each)
        return path

    return await to_thread.run_sync(forge)


async def test_c11_an_op_that_comes_out_otherwise_is_named_and_nothing_is_replayed_after_it(
    flight: Path, elsewhere: PrivateValkey
) -> None:
    def changed(frame: Frame) -> Frame:
        if not isinstance(frame, Asked):
            return frame
        message = codec.read_client(codec.join([frame.message]))[0]
        if isinstance(message, m.Paint):
            png = encode_png(np.full((40, 40, 4), (7, 7, 7, 255), np.uint8))
            return msgspec.structs.replace(frame, message=codec.encode(msgspec.structs.replace(message, png=png)))
        return frame

    report = await replayed(elsewhere, await forged(flight, changed))
    assert report.difference.startswith("seq 4, paint: tiles is ")
    assert (report.ops, report.seq) == (2, 4)


async def test_c11_what_was_asked_again_by_a_later_connection_is_still_whose_it_was(
    flight: Path, elsewhere: PrivateValkey
) -> None:
    """The first one did it and was lost before it could say so; a person who comes back may have another colour."""

    def changed(frame: Frame) -> Frame:
        if not isinstance(frame, Asked):
            return frame
        return msgspec.structs.replace(frame, member=msgspec.structs.replace(frame.member, name="Bo", color="#123456"))

    report = await replayed(elsewhere, await forged(flight, changed))
    assert (report.ops, report.difference, report.is_whole) == (6, "", True)


async def test_c6_an_op_replays_as_it_was_asked_the_first_time(flight: Path, elsewhere: PrivateValkey) -> None:
    def again(frame: Frame) -> list[Frame]:
        if not isinstance(frame, Asked):
            return [frame]
        message = codec.read_client(codec.join([frame.message]))[0]
        assert isinstance(message, m.Op)
        other = codec.encode(m.LayerDelete(op=message.op, layer="sky"))
        return [frame, msgspec.structs.replace(frame, message=other, again=True)]

    report = await replayed(elsewhere, await forged(flight, again))
    assert (report.ops, report.difference) == (6, "")


A_DAY_MS = 86_400_000


def older(change: bytes) -> bytes:
    then = msgspec.msgpack.decode(change, type=Change)
    return msgspec.msgpack.encode(msgspec.structs.replace(then, time_ms=then.time_ms - A_DAY_MS))


def log_older(log: Value) -> Value:
    """Each of its entries is an ID, a field and a change."""
    return Value(log.key, log.kind, log.ttl_ms, [older(w) if n % 3 == 2 else w for n, w in enumerate(log.words)])


def a_day_older(frame: Frame) -> Frame:
    """The same recording, made a day before, of people who have no role any more."""
    match frame:
        case Begin(values=values):
            return msgspec.structs.replace(frame, values=[log_older(v) if v.key == "log" else v for v in values])
        case Entry(change=change):
            return Entry(change=older(change))
        case Asked(member=member):
            return msgspec.structs.replace(frame, member=msgspec.structs.replace(member, role="viewer"))
        case _:
            return frame


async def test_c11_what_an_owner_decided_about_the_last_minutes_is_the_same_a_day_later(
    store: Store, canvas: Links, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    path = tmp_path / "owner.flight"
    async with member(canvas.owner) as (ana, _), member(canvas.edit) as (ben, joined):
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        await ben.do(stroke(ben, 90))
        said = ben.op()

        async def work() -> None:
            await ben.do(stroke(ben, 120))
            await ben.do(m.CommentAdd(op=said, thread="t", text="more red?", x=5.0, y=5.0))
            await ana.do(m.CommentDelete(op=ana.op(), thread="t", comment=name_of(said)))
            await ana.do(m.UndoPerson(op=ana.op(), user=joined.you.user, minutes=1))

        await recorded(store, canvas.edit.canvas, path, work)
    report = await replayed(elsewhere, await forged(path, a_day_older))
    assert (report.ops, report.difference, report.is_whole) == (4, "", True)


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


async def test_c11_threads_replay_with_their_answers_and_what_became_of_them(
    server: LiveServer, store: Store, canvas: Links, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    path = tmp_path / "threads.flight"
    async with member(canvas.comment, name="Cy") as (cy, _), member(canvas.edit, name="Ana") as (ana, _):
        await cy.do(m.CommentAdd(op=cy.op(), thread="before", text="begun before it", x=1.0, y=1.0))
        taken_back = ana.op()

        async def work() -> None:
            await ana.do(m.CommentAdd(op=ana.op(), thread="before", text="answered during it"))
            await cy.do(m.ThreadResolve(op=cy.op(), thread="before", resolved=True))
            await cy.do(m.CommentAdd(op=cy.op(), thread="before", text="open again"))
            await ana.do(m.CommentAdd(op=taken_back, thread="new", text="begun during it", x=9.0, y=9.0))
            await cy.do(m.CommentAdd(op=cy.op(), thread="new", text="that stays"))
            await ana.do(m.CommentDelete(op=ana.op(), thread="new", comment=name_of(taken_back)))
            await cy.refused(m.CommentAdd(op=cy.op(), thread="none", text="to nobody"))
            await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
            await ana.do(m.Undo(op=ana.op()))

        await recorded(store, canvas.edit.canvas, path, work)
    report = await replayed(elsewhere, path)
    assert (report.ops, report.changes, report.refused, report.difference, report.is_whole) == (8, 0, 1, "", True)
    again = await open_store(elsewhere.url)
    try:
        threads = [texts(thread) for thread in await again.threads(canvas.edit.canvas)]
    finally:
        await again.aclose()
    assert threads == [texts(thread) for thread in await store.threads(canvas.edit.canvas)]
    assert threads[0] == (False, ["begun before it", "answered during it", "open again"])


async def test_c11_everything_that_is_done_to_layers_replays_to_the_same_canvas(
    store: Store, canvas: Links, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    path = tmp_path / "layers.flight"
    async with member(canvas.edit) as (ana, _):
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        await ana.do(stroke(ana, 90))

        async def work() -> None:
            await ana.do(m.LayerAdd(op=ana.op(), layer="sea", name="sea", above="sky"))
            await ana.do(m.LayerSet(op=ana.op(), layer="sky", opacity=0.5, blend="multiply", name="dusk"))
            await ana.do(m.LayerDuplicate(op=ana.op(), layer="sky", copy="copy"))
            await ana.do(m.Transform(op=ana.op(), layer="copy", matrix=(0.0, 1.0, -1.0, 0.0, 300.0, 40.0)))
            await ana.do(m.LayerGroup(op=ana.op(), layer="group", name="both", members=["sky", "copy"]))
            await ana.do(m.LayerMove(op=ana.op(), layer="sea", index=0, parent="group"))
            await ana.do(m.LayerUngroup(op=ana.op(), layer="group"))
            await ana.do(m.LayerMerge(op=ana.op(), layer="copy"))
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.LayerDelete(op=ana.op(), layer="sky"))
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.Redo(op=ana.op()))
            await ana.do(m.CanvasSet(op=ana.op(), width=900, title="wider"))
            await ana.do(m.Restore(op=ana.op(), seq=4))

        await recorded(store, canvas.edit.canvas, path, work)
    report = await replayed(elsewhere, path)
    assert (report.ops, report.changes, report.refused, report.difference, report.is_whole) == (14, 0, 0, "", True)


async def test_c9_pictures_that_come_in_over_http_are_taken_back_in_a_replay(
    store: Store, canvas: Links, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    path = tmp_path / "pictures.flight"
    png = encode_png(np.full((300, 300, 4), (0, 90, 0, 255), np.uint8))
    async with member(canvas.edit) as (ana, welcome):

        async def bring(layer: str) -> None:
            await import_image(store, canvas.edit.canvas, welcome.you.user, ana.op(), png, layer=layer, name=layer)

        async def work() -> None:
            await bring("photo")
            await bring("other")
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.Transform(op=ana.op(), layer="photo", matrix=(2.0, 0.0, 0.0, 2.0, 40.0, 0.0)))
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.Redo(op=ana.op()))

        await recorded(store, canvas.edit.canvas, path, work)
    report = await replayed(elsewhere, path)
    assert (report.ops, report.changes, report.difference, report.is_whole) == (5, 2, "", True)


async def test_c14_a_placed_picture_and_its_undo_replay(
    store: Store, canvas: Links, elsewhere: PrivateValkey, tmp_path: Path
) -> None:
    path = tmp_path / "placed.flight"
    png = encode_png(np.full((300, 300, 4), (0, 90, 0, 255), np.uint8))
    async with member(canvas.edit) as (ana, welcome):
        brought = ana.op()
        twice = (2.0, 0.0, 0.0, 2.0, 40.0, 0.0)

        async def work() -> None:
            await import_image(store, canvas.edit.canvas, welcome.you.user, brought, png, layer="photo")
            await ana.do(m.Transform(op=ana.op(), layer="photo", matrix=twice, group=brought.n))
            await ana.do(m.Undo(op=ana.op()))
            await ana.do(m.Redo(op=ana.op()))
            await ana.do(m.Undo(op=ana.op()))

        await recorded(store, canvas.edit.canvas, path, work)
    report = await replayed(elsewhere, path)
    assert (report.ops, report.changes, report.difference, report.is_whole) == (4, 1, "", True)
    assert (await store.manifest(canvas.edit.canvas)).tiles == []
