"""A canvas as one member has it: a replica that follows the server, and the messages that move it."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Job, Layer, OpId, Position
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.parameters import ModelFacts
from nanobana.protocol.replica import Replica
from nanobana.sdk.comments import Comments
from nanobana.sdk.connection import Connection
from nanobana.sdk.http import CanvasHttp
from nanobana.sdk.past import Past


class EventStream:
    """One reader's queue of server messages: at most `limit` wait; a reader that falls behind is told so."""

    def __init__(self, limit: int = 2000) -> None:
        self._queue: asyncio.Queue[m.ServerMessage | Exception] = asyncio.Queue(limit + 1)
        self._limit = limit
        self._lost = False

    def put(self, message: m.ServerMessage | Exception) -> None:
        if self._lost:
            return
        if self._queue.qsize() >= self._limit:
            self._lost = True
            message = Unavailable("this reader fell behind; read the canvas anew", code="fell_behind")
        self._queue.put_nowait(message)

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> m.ServerMessage:
        message = await self._queue.get()
        if isinstance(message, Exception):
            raise message
        return message


class Joined:
    """What it is like now, and everything that happens; the ground that all one may do stands on."""

    def __init__(self, http: CanvasHttp) -> None:
        self.http = http
        self.client = secrets.token_urlsafe(9)
        self.replica = Replica()
        self.you: m.Member | None = None
        self.members: dict[str, m.Member] = {}
        self.models: tuple[ModelFacts, ...] = ()
        """That engines serve, with what can be asked of each; the one of edits that name none first."""
        self.comments = Comments(http, self.next_op, self._settled)
        self.past = Past(http, self.replica, self.next_op, self._settled)
        self._n = 0
        self._streams: set[EventStream] = set()
        self._finished: dict[str, Job] = {}
        self._moved = asyncio.Event()
        self.connection = Connection(http, self.client, position=self._position, receive=self._receive)

    @property
    def layers(self) -> list[Layer]:
        """Bottom to top."""
        return self.replica.layers

    @contextlib.contextmanager
    def events(self) -> Iterator[EventStream]:
        """Server messages from now on: ``with canvas.events() as events: async for message in events: …``."""
        stream = EventStream()
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def next_op(self) -> OpId:
        self._n += 1
        return OpId(self.client, self._n)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is true of the replica; looked at after every message."""
        while not holds():
            self._moved.clear()
            if holds():
                return
            await self._moved.wait()

    async def _settled(self, message: m.Op) -> int:
        """Send, and wait until the replica holds the result too."""
        seq = await self.connection.send(message)
        await self.until(lambda: self.replica.position.seq >= seq)
        return seq

    def _position(self) -> Position | None:
        return self.replica.position if self.replica.position.epoch else None

    def _receive(self, message: m.ServerMessage) -> m.ClientMessage | None:
        """Take a message in; what is to be said to it, if anything."""
        answer: m.ClientMessage | None = None
        match message:
            case m.Welcome():
                self.you = message.you
                self.members = {member.id: member for member in message.members}
                if message.manifest is not None:
                    self.replica.load(message.manifest)
            case m.Resync():
                self.replica.load(message.manifest)
            case m.Checksum(position=position, sum=wanted) if position == self.replica.position:
                found = self.replica.sum()
                answer = m.Diverged(position=position, sum=found) if found != wanted else None
            case m.Changed(change=change):
                self.replica.apply(change)
                if change.job is not None and change.job.id not in self.replica.jobs:
                    self._finished[change.job.id] = change.job
            case m.Engines(models=models):
                self.models = models
            case m.Joined(member=member):
                self.members[member.id] = member
            case m.Left(id=gone):
                self.members.pop(gone, None)
            case _:
                pass
        self._moved.set()
        for stream in list(self._streams):
            stream.put(message)
        return answer
