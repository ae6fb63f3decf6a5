"""The board shows each reader what it has not seen, and of latest-only things the newest (R3, R4, R6)."""

import msgspec
import pytest

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana_server.room import board as boards
from nanobana_server.room.board import Board, TooFarBehind
from nanobana_server.room.masks import MEMBER_BYTES

ROOMY = 10**9


def preview(step: int, job: str = "j", **fields: object) -> m.Preview:
    return m.Preview(job=job, state="running", step=step, **fields)  # type: ignore[arg-type]


def put(board: Board, *previews: m.Preview) -> None:
    for one in previews:
        board.preview(one, codec.encode(one))
    board.advance()


def after(board: Board, turn: int, max_bytes: int = ROOMY) -> list[msgspec.Struct]:
    return list(codec.read_server(codec.join(board.after(turn, max_bytes)[0])))


def test_r3_a_slow_reader_gets_only_the_newest_preview_of_each_job() -> None:
    board = Board()
    put(board, preview(1), preview(1, "k"))
    seen = board.turn
    for step in range(2, 9):
        put(board, preview(step), preview(step, "k"))
    assert after(board, seen) == [preview(8), preview(8, "k")]


def test_r3_who_missed_a_jobs_first_preview_still_gets_its_alpha() -> None:
    board = Board()
    put(board, preview(1, alpha=b"A", box=Box(0, 0, 1, 1)))
    seen = board.turn
    put(board, preview(2))
    assert after(board, 0) == [preview(1, alpha=b"A", box=Box(0, 0, 1, 1)), preview(2)]
    assert after(board, seen) == [preview(2)]


def test_r3_a_jobs_first_preview_and_a_newer_one_of_the_same_turn_are_both_shown() -> None:
    board = Board()
    turn = board.turn
    put(board, preview(1, alpha=b"A"), preview(2), preview(3))
    assert after(board, turn) == [preview(1, alpha=b"A"), preview(3)]


def test_a_preview_that_comes_after_its_job_ended_is_not_shown() -> None:
    board = Board()
    put(board, preview(1))
    board.forget_job("j")
    put(board, preview(2))
    assert after(board, 0) == []


def test_r6_cursors_of_a_turn_are_one_message() -> None:
    board = Board()
    turn = board.turn
    board.cursor("a", 1.0, 2.0)
    board.cursor("b", 3.0, None)
    board.cursor("a", 5.0, 6.0)
    board.advance()
    assert after(board, turn) == [m.Cursors(rows=[("a", 5.0, 6.0), ("b", 3.0, None)])]


def test_r3_a_newcomer_gets_the_masks_that_stand_and_no_old_strokes_or_comings() -> None:
    board = Board()
    board.mask(m.MemberMask(member="a", tile=(0, 1), png=b"wiped"))
    board.mask(m.MemberMask(member="a"))
    board.mask(m.MemberMask(member="a", tile=(0, 0), png=b"old"))
    board.mask(m.MemberMask(member="a", tile=(2, 0), png=b"other"))
    board.mask(m.MemberMask(member="a", tile=(0, 0), png=b"new"))
    board.stroke(codec.encode(m.Pong(n=1)))
    board.event(codec.encode(m.Left(id="z")))
    board.advance()
    assert after(board, 0) == [
        m.MemberMask(member="a"),
        m.MemberMask(member="a", tile=(0, 0), png=b"new"),
        m.MemberMask(member="a", tile=(2, 0), png=b"other"),
    ]
    assert [mask.tile for mask in board.masks()] == [(0, 0), (2, 0)]


def test_r3_who_is_behind_gets_the_tiles_that_changed_and_the_emptied_ones() -> None:
    board = Board()
    for tile in ((0, 0), (1, 0), (2, 0)):
        board.mask(m.MemberMask(member="a", tile=tile, png=b"x"))
    board.advance()
    turn = board.turn
    board.mask(m.MemberMask(member="a", tile=(1, 0)))
    board.advance()
    assert after(board, turn) == [m.MemberMask(member="a", tile=(1, 0))]
    assert [mask.tile for mask in board.masks()] == [(0, 0), (2, 0)]


def test_r6_one_member_s_mask_takes_no_more_memory_than_it_may() -> None:
    board = Board()
    for n in range(80):
        board.mask(m.MemberMask(member="a", tile=(n % 64, n // 64), png=bytes(60_000)))
    board.mask(m.MemberMask(member="b", tile=(0, 0), png=b"small"))
    assert sum(len(mask.png or b"") for mask in board.masks() if mask.member == "a") <= MEMBER_BYTES
    assert [mask.tile for mask in board.masks() if mask.member == "b"] == [(0, 0)]


def test_r4_a_reader_gets_each_stroke_and_coming_since_its_turn_once_and_in_order_however_far_behind() -> None:
    board = Board()
    turns = [board.turn]
    told: list[msgspec.Struct] = []
    for n in range(40):
        for k in range(n % 3):
            told.append(m.Left(id=f"{n}.{k}"))
            board.event(codec.encode(told[-1]))
        board.advance()
        turns.append(board.turn)
    for n, turn in enumerate(turns):
        missed = sum(k % 3 for k in range(n, 40))
        assert after(board, turn) == told[len(told) - missed :]
    board = Board()
    for n in range(30):
        board.stroke(codec.encode(m.Pong(n=n)))
        if n % 4 == 3:
            board.advance()
    assert after(board, 1) == [m.Pong(n=n) for n in range(28)]
    assert after(board, board.turn - 2) == [m.Pong(n=n) for n in range(20, 28)]
    assert after(board, board.turn) == []


def test_what_was_put_since_the_last_turn_is_not_shown_yet() -> None:
    board = Board()
    board.cursor("a", 1.0, 2.0)
    assert after(board, board.turn) == []
    board.advance()
    assert len(after(board, board.turn - 1)) == 1


def test_a_member_that_left_takes_its_cursor_and_mask_along() -> None:
    board = Board()
    board.cursor("a", 1.0, 2.0)
    board.mask(m.MemberMask(member="a", tile=(0, 0), png=b"x"))
    board.advance()
    board.leave("a")
    assert after(board, 0) == []


def test_who_would_miss_a_coming_or_going_is_told_to_join_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "_EVENTS", 3)
    board = Board()
    seen = board.turn
    for n in range(5):
        board.event(codec.encode(m.Left(id=str(n))))
        board.advance()
    with pytest.raises(TooFarBehind):
        board.after(seen, ROOMY)
    assert [left.id for left in after(board, seen + 2) if isinstance(left, m.Left)] == ["2", "3", "4"]


def test_r4_what_does_not_fit_in_one_frame_comes_in_several_oldest_first() -> None:
    board = Board()
    turn = board.turn
    for n in range(4):
        put(board, preview(n, f"j{n}", jpeg=bytes(1000)))
    jobs = []
    while turn < board.turn:
        messages, turn = board.after(turn, 2500)
        jobs.append([one.job for one in codec.read_server(codec.join(messages)) if isinstance(one, m.Preview)])
    assert jobs == [["j0", "j1"], ["j2", "j3"]]
