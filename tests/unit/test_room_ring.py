"""The ring keeps the newest entries, encoded once, without gaps (R4, R6, R9)."""

import msgspec
import pytest

from nanobana.protocol import codec
from nanobana.protocol.canvas import Change, OpId, TileRef
from nanobana.protocol.messages import Changed
from nanobana_server.room.ring import Ring, changed, conflate


def entry(seq: int, *tiles: TileRef) -> Change:
    return Change(seq=seq, epoch=1, op=OpId("a", seq), user="u", kind="paint", time_ms=0, tiles=list(tiles))


def packed(seq: int, *tiles: TileRef) -> bytes:
    return msgspec.msgpack.encode(entry(seq, *tiles))


def test_r6_the_logs_own_bytes_are_the_message() -> None:
    assert changed(packed(7)) == codec.encode(Changed(change=entry(7)))


def test_r4_old_entries_are_forgotten_by_number_and_by_size() -> None:
    few, small = Ring(0, max_entries=3), Ring(0, max_bytes=3 * len(changed(packed(1))))
    for seq in range(1, 11):
        few.append(seq, packed(seq))
        small.append(seq, packed(seq))
    assert (few.floor, few.head) == (small.floor, small.head) == (7, 10)
    assert few.covers(7) and not few.covers(6)
    assert few.after(8, 10**6) == [changed(packed(9)), changed(packed(10))]


def test_r5_an_entry_that_is_known_already_is_ignored() -> None:
    ring = Ring(5)
    ring.append(5, packed(5))
    ring.append(6, packed(6))
    ring.append(6, packed(6))
    assert ring.after(5, 10**6) == [changed(packed(6))]


def test_r9_a_gap_is_never_papered_over() -> None:
    with pytest.raises(ValueError, match="missing"):
        Ring(5).append(7, packed(7))


def test_r4_a_frame_takes_at_least_one_entry_and_not_much_more_than_its_size() -> None:
    ring = Ring(0)
    for seq in range(1, 6):
        ring.append(seq, packed(seq))
    assert len(ring.after(0, 1)) == 1
    assert len(ring.after(0, 2 * len(changed(packed(1))))) == 2
    assert ring.after(5, 100) == []


def test_r4_who_slept_gets_only_the_newest_version_of_each_tile_and_every_change() -> None:
    messages = [
        changed(packed(1, TileRef("l", 0, 0, "a"), TileRef("l", 1, 0, "b"))),
        changed(packed(2, TileRef("l", 0, 0, "c"))),
        changed(packed(3, TileRef("l", 2, 0, "d"))),
    ]
    short = [
        message.change for message in codec.read_server(codec.join(conflate(messages))) if isinstance(message, Changed)
    ]
    assert [change.seq for change in short] == [1, 2, 3]
    assert [[tile.name for tile in change.tiles] for change in short] == [["b"], ["c"], ["d"]]
