"""A finished result does not wait for the room's tick: its pixels first, then the word that it is staged (R3, R6)."""

import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import CanvasInfo, Change, Job, Manifest, OpId, Position, Role
from nanobana.protocol.geometry import Box
from nanobana_server.metrics import Metrics
from nanobana_server.policy.tokens import Access
from nanobana_server.room.pace import Pace
from nanobana_server.room.room import Room

PATCH = "0" * 32


class Watcher:
    """A member whose socket takes everything at once."""

    access = Access(canvas="x", role="editor", link="l", user="ben", name="Ben", expires=0)
    lags = False

    def __init__(self, room: Room) -> None:
        self.member = m.Member(id="ben", user="ben", name="Ben", color="#000000", role="editor")
        self.heard: list[m.ServerMessage] = []
        self._frames = room.frames
        self._cursor = room.frames.newcomer(room.position.seq)

    def push(self) -> None:
        while (step := self._frames.step(self._cursor)) is not None:
            self._cursor = step.until
            if step.frame:
                self.heard += codec.read_server(step.frame[4 if step.frame[1] == 126 else 2 :])

    def become(self, role: Role) -> None:
        raise AssertionError(role)

    def end(self, code: int, problem: m.Problem) -> None:
        raise AssertionError(problem)


def room() -> Room:
    manifest = Manifest(
        position=Position(1, 4, OpId("c", 1)),
        canvas=CanvasInfo(id="x", title="", width=64, height=64, used_bytes=0, budget_bytes=0),
        layers=[],
        tiles=[],
        jobs=[],
    )
    return Room(manifest, Pace(), Metrics(), lambda: 0.0)


def staged(seq: int) -> bytes:
    job = Job(id="job", state="staged", user="ana", mode="fill", box=Box(0, 0, 8, 8), mask="", created_ms=0)
    change = Change(seq=seq, epoch=1, op=OpId("job", seq), user="ana", kind="edit", time_ms=0, job=job)
    return msgspec.msgpack.encode(change)


def test_r3_the_pixels_of_a_result_come_before_the_word_that_it_is_staged() -> None:
    canvas = room()
    ben = Watcher(canvas)
    canvas.add(ben)
    canvas.hear(m.Preview(job="job", state="running", patches=(PATCH,), patch=b"webp"))
    canvas.append(5, staged(5))
    told = [message for message in ben.heard if isinstance(message, (m.Preview, m.Changed))]
    assert [type(message) for message in told] == [m.Preview, m.Changed]
    assert isinstance(told[0], m.Preview)
    assert told[0].patch == b"webp"


def test_r3_a_preview_waits_for_the_tick_as_everything_does() -> None:
    canvas = room()
    ben = Watcher(canvas)
    canvas.add(ben)
    canvas.hear(m.Preview(job="job", state="running", step=1, of=4))
    assert not [message for message in ben.heard if isinstance(message, m.Preview)]
    canvas.show()
    assert [message for message in ben.heard if isinstance(message, m.Preview)]
