"""An owner takes back what somebody did in the last minutes: one op, and nobody else's pixels (C9)."""

import pytest

from nanobana.protocol.errors import NotAllowed, NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerAdd
from nanobana_server.store import Store, ops
from nanobana_server.store.types import Committed
from support.strokes import BLUE, GREEN, RED, Easel

CLEAR = (0, 0, 0, 0)


async def take_back(easel: Easel, person: str, *, since_seq: int = 1) -> Committed:
    """As the owner ana, everything since a change."""
    since_ms = next(change.time_ms for change in await easel.log() if change.seq == since_seq)
    first = await easel.store.first_since(easel.id, since_ms)
    return await ops.undo_person(easel.store, easel.id, "ana", easel.op("ana"), person, first)


async def test_c9_an_owner_takes_back_a_persons_work_in_one_op_and_others_pixels_over_it_stay(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 20, 20), GREEN)
    await easel.paint("ben", Box(10, 0, 40, 20), RED)
    await easel.paint("ben", Box(300, 300, 340, 340), RED)
    await easel.paint("cy", Box(30, 0, 50, 20), BLUE)
    before = len(await easel.log())

    await take_back(easel, "ben")

    (change,) = (await easel.log())[before:]
    assert (change.kind, change.user, change.about) == ("undo", "ana", "ben")
    spots = [await easel.pixel(x, y) for x, y in ((5, 5), (15, 5), (25, 5), (35, 5), (320, 320))]
    assert spots == [GREEN, GREEN, CLEAR, BLUE, CLEAR]


async def test_c9_the_owners_redo_brings_all_of_it_back_and_nothing_has_changed(store: Store, easel: Easel) -> None:
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="sky", name="Sky"))
    for n in range(5):
        await easel.paint("ben", Box(n * 20, 0, n * 20 + 30, 30), (40 * n, 20, 20, 120), layer="sky")
        await easel.paint("ana", Box(n * 25, 10, n * 25 + 20, 40), (0, 40 * n, 20, 120))
    present = await easel.look()
    await take_back(easel, "ben")
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base"]
    await easel.redo("ana")
    assert await easel.look() == present
    await easel.undo("ana")
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base"]


async def test_c9_what_was_taken_back_is_not_the_persons_to_redo_and_what_is_older_stays(
    store: Store, easel: Easel
) -> None:
    await easel.paint("ben", Box(0, 0, 20, 20), GREEN)
    moment_ms = await store.now_ms()
    while await store.now_ms() == moment_ms:
        pass
    await easel.paint("ben", Box(100, 0, 120, 20), RED)
    await take_back(easel, "ben", since_seq=2)
    with pytest.raises(NotFound):
        await easel.redo("ben")
    assert [await easel.pixel(10, 10), await easel.pixel(110, 10)] == [GREEN, CLEAR]
    await easel.undo("ben")
    assert await easel.pixel(10, 10) == CLEAR


async def test_c6_taking_back_that_is_sent_again_takes_back_once(store: Store, easel: Easel) -> None:
    await easel.paint("ben", Box(0, 0, 20, 20), RED)
    op = easel.op("ana")
    first = await ops.undo_person(store, easel.id, "ana", op, "ben", 1)
    await easel.paint("ben", Box(40, 0, 60, 20), BLUE)
    again = await ops.undo_person(store, easel.id, "ana", op, "ben", 1)
    assert (again.seq, again.first_time) == (first.seq, False)
    assert await easel.pixel(50, 10) == BLUE
    await easel.undo("ben")
    assert await easel.pixel(50, 10) == CLEAR


async def test_c9_an_owner_with_nothing_to_take_back_is_told_so(store: Store, easel: Easel) -> None:
    with pytest.raises(NotFound) as nothing:
        await ops.undo_person(store, easel.id, "ana", easel.op("ana"), "ben", 1)
    assert nothing.value.code == "nothing_to_undo"
    with pytest.raises(NotAllowed) as own:
        await ops.undo_person(store, easel.id, "ana", easel.op("ana"), "ana", 1)
    assert own.value.code == "not_yourself"
