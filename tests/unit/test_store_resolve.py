"""What a tile looks like when ops change sides, without a store (C9)."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobana.raster import coverage
from nanobana.raster.codec import blank_tile
from nanobana_server.store.ops import resolve
from nanobana_server.store.ops.resolve import Past

Tile = npt.NDArray[np.uint8]


def past(
    seq: int, *, before: str = "", after: str = "x", cover: str = "*", in_force: bool = True, flipped: int = 0
) -> Past:
    return Past(seq, before, after, cover, in_force, flipped)


def test_c9_the_newest_op_is_taken_back_by_name_without_touching_pixels() -> None:
    history = [past(1, after="a"), past(2, before="a", after="b", in_force=False)]
    assert resolve.shortcut(history, [2]) == "a"
    assert resolve.shortcut([history[0], past(2, before="a", after="b")], [2]) == "b"


def test_c9_a_later_op_in_force_needs_pixels() -> None:
    assert resolve.shortcut([past(1, in_force=False), past(2)], [1]) is None
    assert resolve.shortcut([past(1, in_force=False), past(2, in_force=False, flipped=3)], [1]) == ""


def test_c9_an_earlier_op_that_changed_sides_since_needs_pixels() -> None:
    history = [past(1, in_force=False, flipped=3), past(2, in_force=False)]
    assert resolve.shortcut(history, [2]) is None


def test_c9_ops_of_one_group_are_taken_back_by_name_unless_somebody_came_in_between() -> None:
    ana, ben = past(1, after="a", in_force=False), past(2, before="a", after="b")
    again = past(3, before="b", after="c", in_force=False)
    assert resolve.shortcut([ana, past(2, before="a", after="b", in_force=False)], [1, 2]) == ""
    assert resolve.shortcut([ana, ben, again], [1, 3]) is None


def test_a_member_of_the_history_is_read_back() -> None:
    assert resolve.parse("base/3/-1/0000000000000012//abc/*", "base/3/-1") == (12, "", "abc", "*")


class World:
    """A tile and its ops, replayed the slow way."""

    def __init__(self) -> None:
        self.names: dict[str, Tile] = {}
        self.covers: dict[str, bytes] = {}
        self.history: list[Past] = []
        self.current = blank_tile()

    def paint(self, x: int, y: int, size: int, colour: int) -> None:
        seq = len(self.history) + 1
        where = np.zeros((256, 256), np.bool_)
        where[y : y + size, x : x + size] = True
        before = f"before{seq}"
        self.names[before] = self.current.copy()
        self.current[where] = (colour, 0, 0, 255)
        self.names[f"after{seq}"] = self.current.copy()
        self.covers[f"cover{seq}"] = coverage.pack(where)
        self.history.append(Past(seq, before, f"after{seq}", f"cover{seq}", True, 0))

    def flip(self, group: set[int]) -> None:
        """Those of the group that stand on the side of its first member change to the other, as one."""
        in_force = self.history[min(group)].in_force
        mine = [self.history[index].seq for index in group if self.history[index].in_force == in_force]
        for seq in mine:
            old = self.history[seq - 1]
            self.history[seq - 1] = Past(old.seq, old.before, old.after, old.cover, not in_force, 99)
        known: dict[str, bytes] = {}
        while isinstance(pixels := resolve.plan(self.history, mine, known), resolve.Wanted):
            known[pixels.names[0]] = self.covers[pixels.names[0]]
        self.current = resolve.apply(self.current, pixels, self.names)

    def expected(self, paints: list[tuple[int, int, int, int]]) -> Tile:
        tile = blank_tile()
        for (x, y, size, colour), op in zip(paints, self.history, strict=True):
            if op.in_force:
                tile[y : y + size, x : x + size] = (colour, 0, 0, 255)
        return tile


group = st.sets(st.integers(0, 5), min_size=1, max_size=3)
spot = st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(1, 120), st.integers(1, 255))


@given(paints=st.lists(spot, min_size=1, max_size=6), flips=st.lists(group, max_size=8))
@settings(max_examples=60)
def test_c9_whatever_changes_sides_in_whatever_order_the_picture_is_of_those_in_force(
    paints: list[tuple[int, int, int, int]], flips: list[set[int]]
) -> None:
    world = World()
    for paint in paints:
        world.paint(*paint)
    for flip in flips:
        world.flip({index % len(paints) for index in flip})
    assert np.array_equal(world.current, world.expected(paints))
