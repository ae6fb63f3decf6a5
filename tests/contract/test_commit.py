"""One op is one atomic script: compare, then write all or nothing (C3, C5, C6, C12)."""

from collections.abc import Sequence

import anyio
import msgspec
import numpy as np
import pytest

from nanobana.keyspace.client import Word
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Change, Layer, OpId
from nanobana.protocol.errors import Conflict, NotFound, StorageFull, TooMany
from nanobana.protocol.geometry import Box
from nanobana.raster.codec import blob_name
from nanobana_server.jobs import upkeep
from nanobana_server.store import Store
from nanobana_server.store.ops.landing import land, refused
from nanobana_server.store.types import Commit, Committed, LayerGone, Moved, Refused, TileWrite
from support.strokes import RED, Easel


def tile(before: str, after: str, tx: int = 0) -> TileWrite:
    return TileWrite(key=("base", tx, 0), before=before, after=after)


def commit(op: OpId, *tiles: TileWrite, **more: object) -> Commit:
    return Commit(op=op, user="ana", kind="paint", tiles=list(tiles), **more)  # type: ignore[arg-type]


async def test_c3_an_op_gets_the_next_seq_and_its_entry_says_what_changed(store: Store, easel: Easel) -> None:
    name = (await store.put_blobs(easel.id, [b"pixels"]))[0]
    first = await store.commit(easel.id, commit(easel.op(), tile("", name), need_layers=("base",)))
    second = await store.commit(easel.id, commit(easel.op(), tile(name, "")))
    assert (first.seq, second.seq) == (1, 2)
    change = msgspec.msgpack.decode(first.changes[-1], type=Change)
    assert [ref.name for ref in change.tiles] == [name]
    assert change.op == OpId("tab-ana", 1)
    assert [entry.seq for entry in await easel.log()] == [1, 2]
    assert await easel.names() == {}


async def test_c3_nothing_is_written_when_a_named_blob_is_missing(store: Store, easel: Easel) -> None:
    before = await easel.manifest()
    with pytest.raises(NotFound) as refusal:
        await store.commit(easel.id, commit(easel.op(), tile("", "0" * 32), canvas=before.canvas))
    assert refusal.value.code == "missing_blob"
    assert await easel.manifest() == before


async def test_c5_a_changed_tile_refuses_the_whole_op_and_names_it(store: Store, easel: Easel) -> None:
    a, b = await store.put_blobs(easel.id, [b"a", b"b"])
    await store.commit(easel.id, commit(easel.op(), tile("", a)))
    with pytest.raises(Moved) as refusal:
        await store.commit(easel.id, commit(easel.op(), tile("", b), tile("", b, tx=1)))
    assert refusal.value.tiles == {("base", 0, 0): a}
    assert await easel.names() == {("base", 0, 0): a}


async def test_c6_a_repeated_op_gets_its_first_answer_and_changes_nothing(store: Store, easel: Easel) -> None:
    a = (await store.put_blobs(easel.id, [b"a"]))[0]
    op = easel.op()
    first = await store.commit(easel.id, commit(op, tile("", a)))
    await store.commit(easel.id, commit(easel.op(), tile(a, "")))
    again = await store.commit(easel.id, commit(op, tile("", a)))
    assert again == Committed(seq=first.seq, first_time=False)
    assert await easel.names() == {}


async def test_c6_the_last_256_answers_are_kept_and_an_older_op_is_called_a_duplicate(
    store: Store, easel: Easel
) -> None:
    for n in range(1, 262):
        await store.commit(easel.id, commit(OpId("tab", n)))
    assert await store.commit(easel.id, commit(OpId("tab", 6))) == Committed(seq=6, first_time=False)
    with pytest.raises(Conflict) as refusal:
        await store.commit(easel.id, commit(OpId("tab", 5)))
    assert refusal.value.code == "duplicate"
    assert (await store.position(easel.id)).seq == 261


async def test_c6_an_attempt_still_under_way_does_not_land_after_the_op_was_refused(store: Store, easel: Easel) -> None:
    op = easel.op()

    async def gone() -> Committed:
        raise LayerGone("sky")

    with pytest.raises(LayerGone):  # by the connection that is there now
        await land(store, easel.id, op, gone)
    with pytest.raises(Refused) as late:  # by the one that was lost
        await land(store, easel.id, op, lambda: store.commit(easel.id, commit(op)))
    assert late.value.code == "layer_gone"
    assert await easel.log() == []


async def test_c6_a_refusal_does_not_take_the_place_of_an_answer(store: Store, easel: Easel) -> None:
    for n in range(1, 258):
        await store.commit(easel.id, commit(OpId("tab", n)))
    for n in (1, 3, 258):
        assert await refused(store, easel.id, OpId("tab", n), "layer_gone") == (3 if n == 3 else "layer_gone")
    for n in (1, 2):
        with pytest.raises(Conflict) as too_old:
            await store.commit(easel.id, commit(OpId("tab", n)))
        assert too_old.value.code == "duplicate"


async def test_c6_a_refusal_that_asks_to_come_again_is_no_answer(store: Store, easel: Easel) -> None:
    op = easel.op()

    async def busy() -> Committed:
        raise TooMany("later", retry_ms=1)

    with pytest.raises(TooMany):
        await land(store, easel.id, op, busy)
    assert (await store.commit(easel.id, commit(op))).first_time


async def test_c6_simultaneous_repeats_of_one_op_commit_once(store: Store, easel: Easel) -> None:
    op = easel.op()
    seqs: list[int] = []

    async def send() -> None:
        seqs.append((await store.commit(easel.id, commit(op))).seq)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(send)
    assert seqs == [1] * 10
    assert len(await easel.log()) == 1


async def test_c3_an_op_on_a_layer_that_is_gone_is_refused(store: Store, easel: Easel) -> None:
    with pytest.raises(LayerGone):
        await store.commit(easel.id, commit(easel.op(), need_layers=("nobody",)))


async def test_c5_two_changes_of_the_layer_list_do_not_swallow_each_other(store: Store, easel: Easel) -> None:
    view = await store.look(easel.id)
    both = [[*view.layers, Layer(id=name, name=name)] for name in ("x", "y")]
    await store.commit(easel.id, commit(easel.op(), layers=both[0], layers_version=view.layers_version))
    with pytest.raises(Moved) as refusal:
        await store.commit(easel.id, commit(easel.op(), layers=both[1], layers_version=view.layers_version))
    assert refusal.value.what == "layers"


async def test_c12_a_full_canvas_takes_no_new_bytes_but_can_be_read(store: Store) -> None:
    easel = await Easel.new(store, budget_bytes=1000)
    kept = (await store.put_blobs(easel.id, [b"k" * 900]))[0]
    with pytest.raises(StorageFull) as refusal:
        await store.put_blobs(easel.id, [b"more" * 100])
    assert refusal.value.code == "storage_full"
    assert await store.get_blob(easel.id, kept) == b"k" * 900
    assert (await store.info(easel.id)).used_bytes == 900
    assert await store.put_blobs(easel.id, [b"k" * 900]) == [kept], "what is there already costs nothing"


async def test_c3_many_megabytes_go_in_chunks_and_come_back(store: Store, easel: Easel) -> None:
    blobs = [bytes([n]) * 300_000 for n in range(20)]
    names = await store.put_blobs(easel.id, blobs)
    assert await store.get_blobs(easel.id, [*names, "f" * 32]) == [*blobs, None]
    assert (await store.info(easel.id)).used_bytes == 6_000_000


async def test_c12_what_was_deleted_goes_for_good_once_nobody_took_it_back(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 30, 30), RED)
    await store.set_aside(easel.id, 3_600_000)
    assert await upkeep.look_after(store, easel.id) is not None, "kept, and looked after again"
    await store.take_back(easel.id)
    assert await easel.pixel(5, 5) == RED
    await store.set_aside(easel.id, 1)
    await anyio.sleep(0.01)
    assert await upkeep.look_after(store, easel.id) is None
    keys = CanvasKeys(easel.id)
    assert not await store.client.call("EXISTS", *keys.all)
    with pytest.raises(NotFound):
        await store.take_back(easel.id)


async def test_c1_a_canvas_is_made_once_and_deleted_whole(store: Store, easel: Easel) -> None:
    with pytest.raises(Conflict):
        await store.create_canvas(easel.id)
    await store.put_blobs(easel.id, [b"x"])
    await store.create_links(easel.id)
    await store.delete_canvas(easel.id)
    assert not await store.canvas_exists(easel.id)
    assert easel.id not in await store.canvases()
    for call in (store.manifest, store.info, store.position):
        with pytest.raises(NotFound) as refusal:
            await call(easel.id)
        assert refusal.value.code == "no_canvas"
    with pytest.raises(NotFound):
        await store.put_blobs(easel.id, [b"x"])
    with pytest.raises(NotFound):
        await store.commit(easel.id, commit(easel.op()))


async def test_c8_bytes_that_no_op_named_are_freed_and_no_others(store: Store, easel: Easel) -> None:
    kept, orphan = await store.put_blobs(easel.id, [b"kept", b"orphan"])
    await store.commit(easel.id, commit(easel.op(), tile("", kept)))
    await store.commit(easel.id, commit(easel.op(), tile(kept, "")))
    await store.put_blobs(easel.id, [b"kept"])
    assert await store.sweep_blobs(easel.id) == 0, "within the grace period nothing goes"
    await store.client.call("ZADD", CanvasKeys(easel.id).blob_ages, 1, orphan)
    assert await store.sweep_blobs(easel.id) == len(b"orphan")
    assert await store.get_blobs(easel.id, [kept, orphan]) == [b"kept", None]
    assert (await store.info(easel.id)).used_bytes == len(b"kept")
    again = (await store.put_blobs(easel.id, [b"orphan"]))[0]
    await store.commit(easel.id, commit(easel.op(), tile("", again)))


async def test_c3_a_blob_above_a_mebibyte_comes_in_pieces_and_is_seen_whole(
    store: Store, easel: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(1).bytes(3 * (1 << 20) + 17)
    longest: list[int] = []
    pipeline, run = store.client.pipeline, store.client.run

    async def watched(commands: Sequence[Sequence[Word]]) -> list[object]:
        longest.append(sum(len(word) for words in commands for word in words if isinstance(word, bytes)))
        assert await store.get_blobs(easel.id, [blob_name(data)]) == [None], "half of it was seen"
        return await pipeline(commands)

    async def ran(name: str, keys: Sequence[str], args: Sequence[Word] = ()) -> object:
        longest.append(sum(len(word) for word in args if isinstance(word, bytes)))
        return await run(name, keys, args)

    monkeypatch.setattr(store.client, "pipeline", watched)
    monkeypatch.setattr(store.client, "run", ran)
    used = (await easel.manifest()).canvas.used_bytes
    assert await store.put_blobs(easel.id, [data, b"small"]) == [blob_name(data), blob_name(b"small")]
    monkeypatch.undo()
    assert await store.get_blobs(easel.id, [blob_name(data)]) == [data]
    assert max(longest) <= 1 << 20
    assert await store.put_blobs(easel.id, [data]) == [blob_name(data)]
    assert (await easel.manifest()).canvas.used_bytes == used + len(data) + len(b"small")
    assert await store.client.call("EXISTS", CanvasKeys(easel.id).pieces(blob_name(data))) == 0


async def test_c3_a_large_blob_over_the_budget_is_refused(store: Store) -> None:
    easel = await Easel.new(store, budget_bytes=1 << 20)
    with pytest.raises(StorageFull):
        await store.put_blobs(easel.id, [bytes((1 << 20) + 1)])
    with pytest.raises(NotFound):
        await store.put_blobs("nowhere", [bytes((1 << 20) + 1)])


async def test_c12_storage_tells_what_canvas_and_store_have_used(store: Store) -> None:
    easel = await Easel.new(store, budget_bytes=12345)
    await store.put_blobs(easel.id, [b"twelve bytes"])
    found = await store.storage(easel.id)
    assert (found.canvas.used, found.canvas.budget) == (12, 12345)
    assert found.store.used > 0
    assert found.store.budget is None or found.store.budget > 0
