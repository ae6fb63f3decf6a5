"""A person in a room who comes and goes: one user and one client over many sockets, with a replica of what they saw."""

from __future__ import annotations

import anyio
import httpx2 as httpx
from websockets.asyncio.client import connect

from nanobana.protocol import PROTOCOL_VERSION
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId
from nanobana.protocol.replica import Replica
from nanobana.sdk.link import Link
from support.members import PATIENCE_S, RawMember


class Seat:
    """Somebody who says one thing at a time and hears its answer, whatever becomes of their sockets meanwhile."""

    def __init__(self, name: str, link: Link) -> None:
        self.name = name
        self.link = link
        self.replica = Replica()
        self.joins = 0
        self.resumes = 0
        """Joins that went on from where this person had been, without a manifest."""
        self._who: dict[str, str] = {}
        self._raw: RawMember | None = None
        self._n = 0

    @property
    def is_here(self) -> bool:
        return self._raw is not None

    @property
    def user(self) -> str:
        return self._who["user"]

    def op(self) -> OpId:
        self._n += 1
        return OpId(f"tab-{self.name}", self._n)

    async def sit(self) -> None:
        """Join, or come back: as the same person, from the same position."""
        ticket = await self._ticket()
        self._who = {"user": ticket["user"], "user_key": ticket.get("user_key") or self._who["user_key"]}
        socket = await connect(self.link.socket, max_size=None, compression=None)
        self._raw = RawMember(socket, f"tab-{self.name}")
        position = self.replica.position if self.joins else None
        hello = m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket["ticket"], client=self._raw.client, position=position)
        await self._raw.send(hello)
        while not isinstance(welcome := await self._hear(), m.Welcome):
            pass
        self.joins += 1
        self.resumes += welcome.manifest is None

    async def leave(self) -> None:
        """As a tab that is closed, or a network that is gone: no word of it."""
        if self._raw is not None:
            self._raw.socket.transport.abort()
            await self._raw.socket.wait_closed()
            self._raw = None

    async def say(self, message: m.Op) -> int | str:
        """The seq that an op got, or the code with which it was refused."""
        await self.start(message)
        return await self._answer(message.op)

    async def say_and_be_cut_off(self, message: m.Op) -> int | str:
        """The same, over a connection that is gone before the answer: it is said again by the next one (C6)."""
        await self.start(message)
        await self.leave()
        await self.sit()
        return await self.say(message)

    async def start(self, message: m.Op) -> None:
        """Send an op and hear no answer: `say` it again to have one."""
        assert self._raw is not None
        await self._raw.send(message)

    async def sent_away(self) -> int:
        """Until the server ends the connection; the close code."""
        assert self._raw is not None
        code = await self._raw.closed()
        self._raw = None
        return code

    async def see(self, seq: int) -> None:
        """Until this person has seen a change."""
        while self.replica.position.seq < seq:
            await self._hear()

    async def _answer(self, op: OpId) -> int | str:
        while True:
            match await self._hear():
                case m.Ack(op=found, seq=seq) if found == op:
                    return seq
                case m.Reject(op=found, code=code) if found == op:
                    return code

    async def _hear(self) -> m.ServerMessage:
        assert self._raw is not None
        message = await self._raw.next()
        match message:
            case m.Welcome(manifest=manifest) if manifest is not None:
                self.replica.load(manifest)
            case m.Resync(manifest=manifest):
                self.replica.load(manifest)
            case m.Changed(change=change):
                self.replica.apply(change)
        return message

    async def _ticket(self) -> dict[str, str]:
        """A ticket; somebody who was sent away a moment ago is let in from the next millisecond on."""
        body = {"secret": self.link.secret, "name": self.name, **self._who}
        with anyio.fail_after(PATIENCE_S):
            async with httpx.AsyncClient(verify=False, timeout=PATIENCE_S) as http:
                while (answer := await http.post(f"{self.link.api}/tickets", json=body)).status_code != 200:
                    assert answer.json()["code"] == "kicked", answer.text
                    await anyio.sleep(0.001)
        told: dict[str, str] = answer.json()
        return told
