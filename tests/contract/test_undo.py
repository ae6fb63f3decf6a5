"""Undo and redo: per user, by coverage, over what others did since (C9)."""

import itertools

import numpy as np
import pytest

from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import CanvasSet, LayerAdd, LayerDelete, LayerMove, LayerOp, LayerSet
from nanobana_server.store import Store, ops
from support.late import Late
from support.strokes import BLUE, GREEN, RED, VEIL, Easel

CLEAR = (0, 0, 0, 0)


async def test_c9_each_undoes_only_their_own_work(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 20, 20), RED)
    await easel.paint("ben", Box(40, 0, 60, 20), BLUE)
    await easel.undo("ana")
    assert await easel.pixel(5, 5) == CLEAR
    assert await easel.pixel(50, 5) == BLUE
    with pytest.raises(NotFound) as refusal:
        await easel.undo("ana")
    assert refusal.value.code == "nothing_to_undo"
    await easel.redo("ana")
    assert await easel.pixel(5, 5) == RED
    with pytest.raises(NotFound) as refusal:
        await easel.redo("ana")
    assert refusal.value.code == "nothing_to_redo"


async def test_c9_undo_keeps_the_pixels_that_others_covered_later(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 100, 100), RED)
    await easel.paint("ben", Box(50, 0, 150, 100), BLUE)
    await easel.undo("ana")
    assert await easel.pixel(10, 10) == CLEAR
    assert await easel.pixel(75, 10) == BLUE


async def test_c9_coverage_decides_and_not_equal_bytes(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 100, 100), RED)
    await easel.paint("ben", Box(0, 0, 50, 100), RED)
    await easel.undo("ana")
    assert await easel.pixel(10, 10) == RED, "ben painted it too, though it looked the same"
    assert await easel.pixel(75, 10) == CLEAR


async def test_c9_what_was_undone_below_does_not_come_back_from_under_another_undo(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 100, 100), RED)
    await easel.paint("ben", Box(0, 0, 100, 100), BLUE)
    await easel.undo("ana")
    await easel.undo("ben")
    assert await easel.pixel(10, 10) == CLEAR
    await easel.redo("ana")
    assert await easel.pixel(10, 10) == RED


async def test_c9_undo_a_lot_redo_back_to_the_present_and_nothing_changed(easel: Easel) -> None:
    for n in range(6):
        await easel.paint("ana", Box(n * 10, 0, n * 10 + 40, 40), (40 * n, 10, 10, 128))
        await easel.paint("ben", Box(n * 15, 10, n * 15 + 30, 50), VEIL)
    present = await easel.look()
    for _ in range(6):
        await easel.undo("ana")
    for _ in range(4):
        await easel.undo("ben")
    await easel.manifest()  # "copy something"
    for _ in range(4):
        await easel.redo("ben")
    for _ in range(6):
        await easel.redo("ana")
    assert await easel.look() == present


async def test_c9_something_new_ends_redo(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 10, 10), RED)
    await easel.undo("ana")
    await easel.paint("ana", Box(20, 0, 30, 10), GREEN)
    with pytest.raises(NotFound):
        await easel.redo("ana")


async def test_c9_the_last_100_ops_of_a_user_can_be_undone(easel: Easel) -> None:
    for n in range(103):
        await easel.paint("ana", Box(n, 0, n + 1, 1), RED)
    for _ in range(100):
        await easel.undo("ana")
    with pytest.raises(NotFound):
        await easel.undo("ana")
    assert await easel.pixel(2, 0) == RED
    assert await easel.pixel(3, 0) == CLEAR


async def test_c9_a_repeated_undo_undoes_once(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 10, 10))
    await easel.paint("ana", Box(20, 0, 30, 10))
    op = easel.op()
    first = await ops.undo(store, easel.id, "ana", op)
    assert (await ops.undo(store, easel.id, "ana", op)).seq == first.seq
    assert await easel.pixel(5, 5) == RED


@pytest.mark.parametrize("seed", range(6))
async def test_c9_the_picture_depends_only_on_which_ops_are_in_force(easel: Easel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    users = ["ana", "ben", "cy"]
    log: list[tuple[str, Box, tuple[int, int, int, int]]] = []
    in_force: dict[int, bool] = {}
    stacks: dict[str, tuple[list[int], list[int]]] = {user: ([], []) for user in users}
    for _ in range(40):
        user = users[int(rng.integers(3))]
        done, undone = stacks[user]
        choice = rng.random()
        if choice < 0.5:
            x, y = int(rng.integers(0, 300)), int(rng.integers(0, 200))
            box = Box(x, y, x + 120, y + 90)
            colour = (*(int(c) for c in rng.integers(0, 256, 3)), 255)
            await easel.paint(user, box, colour)  # type: ignore[arg-type]
            done.append(len(log))
            undone.clear()
            in_force[len(log)] = True
            log.append((user, box, colour))  # type: ignore[arg-type]
        elif choice < 0.8 and done:
            await easel.undo(user)
            undone.append(done.pop())
            in_force[undone[-1]] = False
        elif undone:
            await easel.redo(user)
            done.append(undone.pop())
            in_force[done[-1]] = True
    expected = np.zeros((768, 1024, 4), np.uint8)
    for n, (_user, box, colour) in enumerate(log):
        if in_force[n]:
            expected[box.y0 : box.y1, box.x0 : box.x1] = colour
    from nanobana_server.store.ops.export import visible_pixels

    shown = await visible_pixels(easel.store, easel.id)
    assert np.array_equal(shown, expected)


async def test_c9_layer_ops_are_undone_in_turn(store: Store, easel: Easel) -> None:
    start = await easel.look()
    messages: list[LayerOp] = [
        LayerAdd(op=easel.op(), layer="ink", name="Ink"),
        LayerAdd(op=easel.op(), layer="wash", name="Wash", above="base"),
        LayerSet(op=easel.op(), layer="ink", opacity=0.5, name="Pen"),
        LayerMove(op=easel.op(), layer="ink", index=0),
    ]
    states = [start]
    for message in messages:
        await ops.layer_op(store, easel.id, "ana", message)
        states.append(await easel.look())
    assert [layer.id for layer in states[2][0]] == ["base", "wash", "ink"]
    for state in reversed(states[:-1]):
        await easel.undo()
        assert await easel.look() == state
    for state in states[1:]:
        await easel.redo()
        assert await easel.look() == state


async def test_c9_a_deleted_layer_comes_back_with_its_pixels(store: Store, easel: Easel) -> None:
    await easel.paint("ben", Box(0, 0, 300, 300), BLUE)
    before = await easel.look()
    await ops.layer_op(store, easel.id, "ana", LayerDelete(op=easel.op(), layer="base"))
    assert await easel.look() == ([], {})
    await easel.undo("ana")
    assert await easel.look() == before
    await easel.redo("ana")
    assert await easel.look() == ([], {})


async def test_c9_undoing_a_layer_that_others_painted_on_keeps_it(store: Store, easel: Easel) -> None:
    await ops.layer_op(store, easel.id, "ana", LayerAdd(op=easel.op(), layer="ink", name="Ink"))
    await easel.paint("ben", Box(0, 0, 10, 10), BLUE, layer="ink")
    await easel.undo("ana")
    assert await easel.pixel(5, 5) == BLUE
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base", "ink"]


async def test_c9_undo_over_a_layer_deleted_by_another_changes_nothing_there(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 10, 10))
    await ops.layer_op(store, easel.id, "ben", LayerDelete(op=easel.op("ben"), layer="base"))
    await easel.undo("ana")
    assert await easel.look() == ([], {})
    await easel.undo("ben")
    assert (await easel.pixel(5, 5)) == CLEAR, "ana's stroke is taken back, so it does not return with the layer"


async def test_c9_the_canvas_title_and_size_are_undone(store: Store, easel: Easel) -> None:
    await ops.canvas_set(store, easel.id, "ana", CanvasSet(op=easel.op(), title="Pears", width=640))
    await ops.canvas_set(store, easel.id, "ben", CanvasSet(op=easel.op("ben"), title="Plums"))
    await easel.undo("ana")
    info = await store.info(easel.id)
    assert (info.title, info.width, info.height) == ("Plums", 1024, 768)


async def test_c9_undo_is_an_op_in_the_log_that_names_what_it_took_back(easel: Easel) -> None:
    done = await easel.paint("ana", Box(0, 0, 10, 10))
    await easel.undo("ana")
    change = (await easel.log())[-1]
    assert (change.kind, change.undoes, change.user) == ("undo", done.seq, "ana")
    assert [(ref.tx, ref.name) for ref in change.tiles] == [(0, "")]


async def test_c9_interleaved_undos_of_two_people_converge(easel: Easel) -> None:
    boxes = [Box(x, x, x + 90, x + 90) for x in range(0, 120, 30)]
    for box in boxes:
        await easel.paint("ana", box, RED)
        await easel.paint("ben", box.shift(20, 0), BLUE)
    present = await easel.look()
    for order in itertools.islice(itertools.permutations(["ana", "ana", "ben", "ben"]), 0, 24, 7):
        for user in order:
            await easel.undo(user)
        for user in reversed(order):
            await easel.redo(user)
        assert await easel.look() == present


async def test_c9_a_stroke_redone_while_its_layer_is_gone_comes_back_with_the_layer(store: Store, easel: Easel) -> None:
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="ink", name="Ink"))
    await easel.paint("ana", Box(0, 0, 10, 10), RED, layer="ink")
    painted = await easel.look()
    await easel.undo("ana")
    await easel.undo("ben")
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base"]
    await easel.redo("ana")
    assert await easel.names() == {}
    await easel.redo("ben")
    assert await easel.look() == painted


async def test_c9_undo_of_a_deletion_brings_back_what_was_redone_meanwhile(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(600, 0, 610, 10), RED)
    painted = await easel.look()
    await easel.undo("ana")
    await ops.layer_op(store, easel.id, "ben", LayerDelete(op=easel.op("ben"), layer="base"))
    await easel.redo("ana")
    await easel.undo("ben")
    assert await easel.look() == painted


@pytest.mark.parametrize(("first", "late"), [("ana", "ben"), ("ben", "ana")])
async def test_c9_two_who_take_back_what_lies_over_each_other_at_once_leave_nothing(
    store: Store, easel: Easel, first: str, late: str
) -> None:
    box = Box(0, 0, 100, 100)
    await easel.paint("ana", box, RED)
    await easel.paint("ben", box, BLUE)
    await ops.undo(Late(store, lambda: easel.undo(first)), easel.id, late, easel.op(late))
    assert await easel.pixel(5, 5) == CLEAR
    await ops.redo(Late(store, lambda: easel.redo(first)), easel.id, late, easel.op(late))
    assert await easel.pixel(5, 5) == BLUE


async def test_c9_what_somebody_paints_while_it_is_taken_back_stays_though_it_looks_the_same(
    store: Store, easel: Easel
) -> None:
    await easel.paint("ana", Box(0, 0, 100, 100), RED)
    over = Late(store, lambda: easel.paint("ben", Box(0, 0, 50, 100), RED))
    await ops.undo(over, easel.id, "ana", easel.op("ana"))
    assert await easel.pixel(10, 10) == RED
    assert await easel.pixel(75, 10) == CLEAR
