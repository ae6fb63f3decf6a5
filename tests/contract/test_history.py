"""Chapters of the log, bytes in the cellar, canvases asleep: memory is bounded and nothing is lost (C8, C12)."""

from pathlib import Path

import pytest

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Change
from nanobana.protocol.errors import NotAllowed, NotFound, Unavailable
from nanobana.protocol.geometry import Box
from nanobana_server.jobs import upkeep
from nanobana_server.store import Store
from nanobana_server.store.cellar import Cellar
from nanobana_server.store.types import Gone
from support.strokes import BLUE, GREEN, RED, Easel
from support.truth import check_log, replayed, same

SPOT = Box(10, 10, 60, 60)


@pytest.fixture
def cellar(tmp_path: Path, store: Store) -> Cellar:
    """The store's, from here on."""
    store.cellar = Cellar(str(tmp_path / "cellar"))
    return store.cellar


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def whole(store: Store, canvas: str) -> list[Change]:
    return [change async for change in store.history(canvas)]


async def forget_undo(store: Store, canvas: str) -> None:
    """As if two thousand ops had come since."""
    keys = CanvasKeys(canvas)
    await store.client.call("DEL", keys.history, keys.undo, keys.stacks, keys.flips)


async def test_c8_old_entries_become_chapters_and_the_history_stays_whole(store: Store) -> None:
    easel = await Easel.new(store)
    start = await easel.manifest()
    for n in range(13):
        await easel.paint("ana", Box(n * 20, 0, n * 20 + 30, 30), RED if n % 2 else BLUE)
    before = await easel.log()

    assert await store.archive_log(easel.id, kept_ms=0, chapter=5) == 2

    assert await store.client.call("XLEN", CanvasKeys(easel.id).log) == 3
    assert [(each.first, each.last) for each in await store.chapters(easel.id)] == [(1, 5), (6, 10)]
    history = await whole(store, easel.id)
    assert history == before
    check_log(history)
    assert replayed(start, history).digest() == same(await easel.manifest()).digest()


async def test_c8_what_is_young_stays_in_the_log(store: Store) -> None:
    easel = await Easel.new(store)
    for n in range(8):
        await easel.paint("ana", Box(n, 0, n + 9, 9))
    assert await store.archive_log(easel.id, kept_ms=600_000, chapter=3) == 0
    assert len(await easel.log()) == 8


async def test_c8_a_reader_from_before_a_chapter_starts_again(store: Store) -> None:
    easel = await Easel.new(store)
    for n in range(6):
        await easel.paint("ana", Box(n, 0, n + 9, 9))
    await store.archive_log(easel.id, kept_ms=0, chapter=4)
    with pytest.raises(Gone) as gone:
        await store.read_tail(easel.id, 2)
    assert gone.value.reason == "trimmed"
    assert len(await store.read_tail(easel.id, 4)) == 2


async def test_c8_a_chapter_that_two_servers_make_stands_once(store: Store) -> None:
    import anyio

    easel = await Easel.new(store)
    for n in range(9):
        await easel.paint("ana", Box(n, 0, n + 9, 9))
    async with anyio.create_task_group() as servers:
        for _ in range(4):
            servers.start_soon(lambda: store.archive_log(easel.id, kept_ms=0, chapter=4))
    assert [(each.first, each.last) for each in await store.chapters(easel.id)] == [(1, 4), (5, 8)]
    assert len(await whole(store, easel.id)) == 9


async def test_c12_bytes_that_only_history_names_leave_for_the_cellar(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    old = (await easel.names())["base", 0, 0]
    await easel.paint("ana", SPOT, BLUE)
    shown = (await easel.names())["base", 0, 0]
    await easel.paint("ana", Box(300, 10, 310, 20), GREEN)
    await forget_undo(store, easel.id)
    await store.archive_log(easel.id, kept_ms=0, chapter=2)
    used = (await store.storage(easel.id)).canvas.used

    assert await store.release_blobs(easel.id, grace_ms=0) == 0, "the first look only notes"
    freed = await store.release_blobs(easel.id, grace_ms=0)

    assert 0 < freed == used - (await store.storage(easel.id)).canvas.used
    assert await store.client.call("HEXISTS", CanvasKeys(easel.id).blobs, old) == 0
    assert await store.client.call("HEXISTS", CanvasKeys(easel.id).blobs, shown) == 1
    assert await store.get_blob(easel.id, old) == await cellar.get(easel.id, old)
    assert len(await whole(store, easel.id)) == 3, "the chapter itself may be in the cellar"


async def test_c8_what_undo_needs_stays(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    before = await easel.look()
    await easel.paint("ana", SPOT, BLUE)
    for _ in range(3):
        await store.release_blobs(easel.id, grace_ms=0)
    await easel.undo("ana")
    assert await easel.look() == before


async def test_c8_a_blob_that_an_op_names_again_between_the_looks_stays(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    again = (await easel.names())["base", 0, 0]
    await easel.paint("ana", SPOT, BLUE)
    await forget_undo(store, easel.id)
    await store.archive_log(easel.id, kept_ms=0, chapter=1)
    await store.release_blobs(easel.id, grace_ms=0)

    await easel.paint("ana", SPOT, RED)
    await forget_undo(store, easel.id)
    await store.release_blobs(easel.id, grace_ms=0)

    assert (await easel.names())["base", 0, 0] == again
    assert await store.client.call("HEXISTS", CanvasKeys(easel.id).blobs, again) == 1


async def test_c8_a_noted_blob_is_no_orphan(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    old = (await easel.names())["base", 0, 0]
    await easel.paint("ana", SPOT, BLUE)
    await forget_undo(store, easel.id)
    await store.archive_log(easel.id, kept_ms=0, chapter=1)
    await store.release_blobs(easel.id)
    await store.sweep_blobs(easel.id, grace_ms=0)
    assert await store.client.call("HEXISTS", CanvasKeys(easel.id).blobs, old) == 1


async def test_c8_a_canvas_that_sleeps_leaves_nothing_in_the_store_and_wakes_as_it_was(
    store: Store, cellar: Cellar
) -> None:
    easel = await Easel.new(store)
    links = await store.create_links(easel.id)
    await easel.paint("ana", SPOT, RED)
    await easel.paint("ben", Box(40, 40, 90, 90), BLUE)
    await store.archive_log(easel.id, kept_ms=0, chapter=1)
    before, history = await easel.manifest(), await whole(store, easel.id)

    assert await store.put_to_sleep(easel.id)

    keys = CanvasKeys(easel.id)
    left = [key for key in keys.all if await store.client.call("EXISTS", key)]
    assert left == [keys.asleep]
    assert not await store.put_to_sleep(easel.id), "it sleeps already"
    with pytest.raises(NotAllowed):
        await store.admit(easel.id, links["owner"][1], "ana")
    assert await store.wake(easel.id)
    assert await easel.manifest() == before
    assert await whole(store, easel.id) == history
    assert (await store.admit(easel.id, links["owner"][1], "ana")).role == "owner"
    assert not await store.wake(easel.id), "it is awake"
    await easel.undo("ana")
    assert (await easel.pixel(20, 20)) == (0, 0, 0, 0)
    assert (await easel.pixel(50, 50)) == BLUE


async def test_c8_a_canvas_that_changes_while_it_is_copied_stays(store: Store, tmp_path: Path) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)

    class Disturbed(Cellar):
        async def put(self, canvas: str, data: bytes, name: str | None = None) -> str:
            if name is None:  # the file itself: everything has been read by now
                await easel.paint("ben", Box(100, 100, 120, 120), BLUE)
            return await super().put(canvas, data, name)

    store.cellar = Disturbed(str(tmp_path))
    assert not await store.put_to_sleep(easel.id)
    assert await easel.pixel(110, 110) == BLUE


async def test_c8_a_canvas_with_an_open_edit_or_a_member_stays_awake(store: Store, cellar: Cellar) -> None:
    from nanobana.protocol.messages import Member
    from nanobana_server import jobs
    from support.strokes import author

    busy, visited = await Easel.new(store), await Easel.new(store)
    await jobs.submit(store, busy.id, author(), busy.edit("ana", SPOT))
    await store.put_member(visited.id, Member(id="m1", user="ana", name="Ana", color="#aa0000", role="viewer"))
    assert not await store.put_to_sleep(busy.id)
    assert not await store.put_to_sleep(visited.id)


async def test_c8_a_waking_that_was_cut_short_is_made_good(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    before = await easel.manifest()
    await store.put_to_sleep(easel.id)
    name = before.tiles[0].name
    data = await cellar.get(easel.id, name)
    assert data is not None
    await store.client.call("HSET", CanvasKeys(easel.id).blobs, name, data)  # killed after its first bytes
    with pytest.raises(NotFound):
        await easel.manifest()
    assert await store.wake(easel.id)
    assert await easel.manifest() == before


async def test_c8_a_sleeping_canvas_says_so_where_its_cellar_cannot_be_read(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    await store.put_to_sleep(easel.id)
    store.cellar = None
    with pytest.raises(Unavailable) as away:
        await store.wake(easel.id)
    assert away.value.code == "cellar_unavailable"
    store.cellar = cellar
    assert await store.wake(easel.id)


async def test_c12_a_deleted_canvas_leaves_nothing_in_the_cellar(store: Store, cellar: Cellar, tmp_path: Path) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    await store.put_to_sleep(easel.id)
    await store.delete_canvas(easel.id)
    assert not await store.wake(easel.id)
    assert not files_under(tmp_path)


async def test_c8_upkeep_puts_only_idle_canvases_to_sleep(store: Store, cellar: Cellar) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    await upkeep.look_after(store, easel.id, sleep_after_ms=3_600_000)
    assert await easel.pixel(20, 20) == RED
    await upkeep.look_after(store, easel.id, sleep_after_ms=-1)
    with pytest.raises(NotFound):
        await easel.manifest()
    assert await store.wake(easel.id)


async def test_c8_the_cellar_may_be_anything_that_fsspec_knows(store: Store) -> None:
    store.cellar = Cellar("memory://nanobana-test")
    easel = await Easel.new(store)
    await easel.paint("ana", SPOT, RED)
    before = await easel.manifest()
    assert await store.put_to_sleep(easel.id)
    assert await store.wake(easel.id)
    assert await easel.manifest() == before
    await store.cellar.forget(easel.id)


def test_a_cellar_that_nothing_understands_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be used for history"):
        Cellar("no-such-scheme://bucket")
