"""What owners decide is not missed while a room is just looking at what counts (R7)."""

import time
from dataclasses import dataclass, field

import anyio

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Role
from nanobana_server.metrics import Metrics
from nanobana_server.policy.standing import StandingWatch
from nanobana_server.policy.tokens import Access
from nanobana_server.room.pace import Pace
from nanobana_server.room.rooms import Rooms
from nanobana_server.store import Store
from support.late import Overtaken
from support.live_server import Links
from support.members import ticket_of


@dataclass
class Seated:
    """As a room knows a member's session."""

    access: Access
    member: m.Member
    ended: anyio.Event = field(default_factory=anyio.Event)
    lags: bool = False
    reasons: list[str] = field(default_factory=list)

    def become(self, role: Role) -> None:
        raise AssertionError(role)

    def push(self) -> None:
        pass

    def end(self, code: int, problem: m.Problem) -> None:
        self.reasons.append(problem.code)
        self.ended.set()


async def test_r7_a_ban_that_comes_while_a_room_looks_at_another_counts_at_once(canvas: Links, store: Store) -> None:
    ben, link = (await ticket_of(canvas.edit))["user"], await store.link_id(canvas.edit.canvas, canvas.edit.secret)
    access = Access(canvas=canvas.edit.canvas, role="editor", link=link, user=ben, name="Ben", expires=2**40)
    overtaken = Overtaken(store)
    watch = StandingWatch(overtaken, "here", time.monotonic)
    rooms = Rooms(overtaken, "here", Pace(poll=3600), Metrics(), watch, time.monotonic)  # only what is told is heard

    async def ban_ben() -> None:
        await store.decide_about(canvas.edit.canvas, "the owner", ben, "ban")
        watch.forget(canvas.edit.canvas)

    async with anyio.create_task_group() as tasks:
        await tasks.start(rooms.run)
        async with rooms.held(canvas.edit.canvas) as room:
            seated = Seated(access, m.Member(id="m", user=ben, name="Ben", color="#000000", role="editor"))
            room.add(seated)
            overtaken.meanwhile = ban_ben
            watch.forget(canvas.edit.canvas)
            with anyio.fail_after(10):
                await seated.ended.wait()
            assert seated.reasons == ["banned"]
        tasks.cancel_scope.cancel()
