"""An editor who does anything at random over a bad network, and remembers what was promised."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import numpy as np
from anyio import to_thread
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.protocol.replica import Replica
from nanobana.raster.codec import encode_png
from nanobana.sdk.link import Link

SIDE = 768
"""Canvas side on which the editors work."""

IN_FLIGHT = 4
"""Ops that an editor sends ahead of their answers."""

FINAL = 4500
"""Close codes from here on say that coming back is pointless (R8)."""

_DOWN = (OSError, InvalidHandshake, InvalidMessage, ConnectionClosed, TimeoutError, urllib.error.URLError)


class Broken(Exception):
    """The server broke a promise."""


@dataclass
class Record:
    """What was asked and what was answered."""

    acked: dict[OpId, int] = field(default_factory=dict)
    refused: dict[OpId, str] = field(default_factory=dict)
    pending: dict[OpId, m.Op] = field(default_factory=dict)
    """Not answered yet, in the order in which they were first sent."""
    resends: int = 0


class Restless:
    """One tab of one person.

    Args:
        links: share links of the same canvas, by different servers or bad links; every connection takes one of them.
        seed: all its choices come from it; times and the network stay what they are.
        steps: ops that it makes.
    """

    def __init__(self, name: str, links: Sequence[Link], seed: int, steps: int) -> None:
        self.name = name
        self.record = Record()
        self.replica = Replica()
        self.is_loaded = False
        self._links = links
        self._dice = random.Random(f"{seed}/{name}")
        self._left = steps
        self._n = 0
        self._client = f"{name}-{seed}-{self._dice.randrange(10**6)}"
        self._person: dict[str, str] = {}
        self._again: dict[OpId, float] = {}
        """When a rejected op that may be retried is sent again."""

    @property
    def is_done(self) -> bool:
        return self._left == 0 and not self.record.pending

    async def run(self, until: Callable[[Restless], bool]) -> None:
        """Edit until the steps are made and answered, then watch until something holds.

        Raises:
            Broken: an answer contradicted an earlier one, a change did not follow on, or the door was closed for good.
        """
        while not (self.is_done and until(self)):
            try:
                await self._stay(until)
            except* _DOWN:
                await anyio.sleep(self._dice.uniform(0.01, 0.25))

    # ── one connection ──────────────────────────────────────────────────────────────────────────────────────────

    async def _stay(self, until: Callable[[Restless], bool]) -> None:
        link = self._dice.choice(self._links)
        ticket = await to_thread.run_sync(_ticket, link, self.name, self._person, abandon_on_cancel=True)
        if ticket.get("user_key"):
            self._person = {"user": ticket["user"], "user_key": ticket["user_key"]}
        socket: ClientConnection
        async with connect(link.socket, max_size=None, compression=None, open_timeout=5, ping_interval=None) as socket:
            position = self.replica.position if self.is_loaded else None
            hello = m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket["ticket"], client=self._client, position=position)
            await socket.send(codec.frame([hello]))
            async with anyio.create_task_group() as tasks:
                welcomed = anyio.Event()
                tasks.start_soon(self._act, socket, welcomed)
                try:
                    await self._read(socket, welcomed, until)
                finally:
                    tasks.cancel_scope.cancel()
        if (socket.close_code or 0) >= FINAL:
            raise Broken(f"{self.name} was sent away for good: {socket.close_code} {socket.close_reason}")

    async def _read(self, socket: ClientConnection, welcomed: anyio.Event, until: Callable[[Restless], bool]) -> None:
        while not (self.is_done and until(self)):
            with anyio.move_on_after(0.1) as waited:
                data = await socket.recv()
            if waited.cancelled_caught:
                continue
            for message in codec.read_server(data if isinstance(data, bytes) else data.encode()):
                self._take(message)
                if isinstance(message, m.Welcome):
                    welcomed.set()
            if self._dice.random() < 0.01:
                await anyio.sleep(self._dice.uniform(0.05, 0.4))  # a reader that pauses

    def _take(self, message: m.ServerMessage) -> None:
        match message:
            case m.Welcome(manifest=manifest) if manifest is not None:
                self._load(m.Resync(manifest=manifest, reason="welcome"))
            case m.Resync():
                self._load(message)
            case m.Changed(change=change):
                before = self.replica.position
                if self.replica.apply(change) and (change.epoch != before.epoch or change.seq != before.seq + 1):
                    raise Broken(f"{self.name} got seq {change.seq} after {before.seq}")
            case m.Ack(op=op, seq=seq):
                self._acked(op, seq)
            case m.Reject(op=op, code=code, retry_ms=retry_ms):
                self._rejected(op, code, retry_ms)
            case _:
                pass

    def _load(self, message: m.Resync) -> None:
        if self.is_loaded and message.manifest.position.epoch < self.replica.position.epoch:
            raise Broken(f"{self.name} was sent back to epoch {message.manifest.position.epoch}")
        self.replica.load(message.manifest)
        self.is_loaded = True

    def _acked(self, op: OpId, seq: int) -> None:
        if op in self.record.refused:
            raise Broken(f"{op} was refused and then taken")
        if self.record.acked.setdefault(op, seq) != seq:
            raise Broken(f"{op} was answered with seq {self.record.acked[op]} and then {seq}")
        self.record.pending.pop(op, None)

    def _rejected(self, op: OpId, code: str, retry_ms: int | None) -> None:
        if retry_ms is not None:
            if op in self.record.pending:  # else it was sent twice, and the store went away between the two answers
                self._again[op] = anyio.current_time() + retry_ms / 1000
            return
        if op in self.record.acked:
            raise Broken(f"{op} was taken and then refused as {code}")
        self.record.refused[op] = code
        self.record.pending.pop(op, None)

    # ── doing things ────────────────────────────────────────────────────────────────────────────────────────────

    async def _act(self, socket: ClientConnection, welcomed: anyio.Event) -> None:
        with contextlib.suppress(ConnectionClosed):
            await welcomed.wait()
            await self._resend(socket)
            while True:
                now = anyio.current_time()
                for op in [op for op, at in self._again.items() if at <= now]:
                    del self._again[op]
                    if op in self.record.pending:
                        await self._send(socket, [self.record.pending[op]])
                if self._left and len(self.record.pending) < IN_FLIGHT:
                    await self._step(socket)
                await anyio.sleep(self._dice.choice([0.0, 0.001, 0.01, 0.03]))

    async def _resend(self, socket: ClientConnection) -> None:
        """Unanswered ops under their own IDs; sometimes also ones that were answered long ago, or everything twice."""
        self._again.clear()
        again = list(self.record.pending.values())
        self.record.resends += len(again)
        if self._dice.random() < 0.2:
            again = again + again
        if again:
            await self._send(socket, again)

    async def _step(self, socket: ClientConnection) -> None:
        self._left -= 1
        first = self._invent()
        self.record.pending[first.op] = first
        if self._dice.random() < 0.02 and self._left:
            self._left -= 1
            second = self._invent()
            self.record.pending[second.op] = second
            await self._send(socket, [second, first])  # out of order: the older one comes too late (C6)
            return
        if self._dice.random() < 0.1:
            await socket.send(codec.frame([m.Cursor(x=self._dice.random() * SIDE, y=9.0)]))
        if self._dice.random() < 0.03:
            await self._send(socket, [first, first])
        else:
            await self._send(socket, [first])
        if self._dice.random() < 0.01:
            socket.transport.abort()

    async def _send(self, socket: ClientConnection, ops: Sequence[m.Op]) -> None:
        await socket.send(codec.frame(ops))

    def _invent(self) -> m.Op:
        self._n += 1
        op, dice = OpId(self._client, self._n), self._dice
        layer = dice.choice(self.replica.layers).id if self.replica.layers else "none"
        jobs = list(self.replica.jobs.values())
        roll = dice.random()
        if roll < 0.45:
            return self._paint(op, layer)
        if roll < 0.60:
            return m.Undo(op=op)
        if roll < 0.70:
            return m.Redo(op=op)
        if roll < 0.85:
            return self._layer_op(op, layer)
        if roll < 0.87:
            return m.CanvasSet(op=op, title=f"{self.name} {self._n}")
        if roll < 0.89:
            seq = dice.randrange(self.replica.position.seq + 1)
            return m.Restore(op=op, seq=seq, box=self._box(400) if dice.random() < 0.8 else None)
        if roll < 0.93 or not jobs:
            return m.Edit(op=op, edit=self._edit())
        job = dice.choice(jobs).id
        if dice.random() < 0.3:
            return m.Cancel(op=op, job=job)
        return m.Decide(op=op, job=job, accept=dice.random() < 0.7, new_layer=dice.random() < 0.3)

    def _box(self, most: int) -> Box:
        width, height = self._dice.randrange(1, most), self._dice.randrange(1, most)
        x, y = self._dice.randrange(0, SIDE - width), self._dice.randrange(0, SIDE - height)
        return Box(x, y, x + width, y + height)

    def _paint(self, op: OpId, layer: str) -> m.Paint:
        box = self._box(300)
        colour = (*self._dice.randbytes(3), self._dice.choice([255, 255, 90]))
        png = encode_png(np.full((box.height, box.width, 4), colour, np.uint8))
        return m.Paint(op=op, layer=layer, box=box, png=png, mode="erase" if self._dice.random() < 0.2 else "over")

    def _layer_op(self, op: OpId, layer: str) -> m.Op:
        dice = self._dice
        choices: list[m.Op] = [
            m.LayerGroup(op=op, layer=f"g{self._client}{self._n}", name=self.name, members=[layer]),
            m.LayerUngroup(op=op, layer=layer),
            m.LayerDuplicate(op=op, layer=layer, copy=f"d{self._client}{self._n}"),
            m.LayerMerge(op=op, layer=layer),
            m.LayerAdd(op=op, layer=f"l{self._client}{self._n}", name=self.name, above=layer),
            m.LayerSet(op=op, layer=layer, opacity=dice.random(), visible=dice.random() < 0.8),
            m.LayerMove(op=op, layer=layer, index=dice.randrange(4)),
        ]
        if len(self.replica.layers) > 3:
            choices.append(m.LayerDelete(op=op, layer=layer))
        return dice.choice(choices)

    def _edit(self) -> EditParams:
        box = self._box(90)
        mask = encode_png(np.full((box.height, box.width), 255, np.uint8))
        return EditParams(box=box, mask_png=mask, prompt="red", quality="draft", seed=self._dice.randrange(1, 2**31))


async def have_done(people: Sequence[Restless], ops: int) -> None:
    """Until so many ops of theirs were answered: what happens next happens in the midst of their work."""
    while sum(len(one.record.acked) + len(one.record.refused) for one in people) < ops:  # noqa: ASYNC110 - no event
        await anyio.sleep(0.01)


def _ticket(link: Link, name: str, person: dict[str, str]) -> dict[str, str]:
    body = json.dumps({"secret": link.secret, "name": name, **person}).encode()
    request = urllib.request.Request(f"{link.api}/tickets", body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            told: dict[str, str] = json.loads(answer.read())
    except (http.client.HTTPException, ValueError) as cut:  # in the middle of the answer
        raise ConnectionError from cut
    except urllib.error.HTTPError as refusal:
        refusal.close()  # it holds the connection, and garbage is collected in the middle of somebody else's test
        raise
    return told
