"""One canvas that is open on this server: its ring, its board, its members, and the tick that shows them (R4, R6)."""

from collections.abc import Callable
from typing import Protocol

import anyio
import msgspec
import structlog

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import TERMINAL, Change, Job, Manifest, Position, Role
from nanobana.protocol.jobs import Foretold, Hint, Opened
from nanobana.protocol.trace import trace_of
from nanobana_server.metrics import Metrics
from nanobana_server.policy.tokens import Access
from nanobana_server.room.board import Board
from nanobana_server.room.cursor import Frames
from nanobana_server.room.pace import Pace
from nanobana_server.room.presence import Presence
from nanobana_server.room.ring import Ring
from nanobana_server.room.tape import Tape
from nanobana_server.room.volatile import Volatile

RECENTLY_S = 2.0

MAX_OUTGOING = 512
"""Messages that wait for the relay; while the store is away the oldest are dropped."""

_log = structlog.get_logger("nanobana.room")
_change = msgspec.msgpack.Decoder(Change)


class Reader(Protocol):
    """All that a room knows of its members' sessions."""

    @property
    def member(self) -> m.Member: ...

    @property
    def access(self) -> Access:
        """How it came; where that does not count any more the session ends."""
        ...

    @property
    def lags(self) -> bool: ...

    def become(self, role: Role) -> None:
        """An owner gave the member another role. Never waits."""
        ...

    def push(self) -> None:
        """The room has something new to show. Never waits, never raises."""
        ...

    def end(self, code: int, problem: m.Problem) -> None:
        """Close the session, giving the reason (R8). Never waits."""
        ...


class Room:
    """State of one open canvas. Nothing here waits for a socket or for the store.

    Args:
        manifest: the canvas when the room was opened; the ring begins after it.
    """

    def __init__(self, manifest: Manifest, pace: Pace, metrics: Metrics, clock: Callable[[], float]) -> None:
        self.canvas = manifest.canvas.id
        self.pace = pace
        self.position = manifest.position
        self.board = Board()
        self.presence = Presence(self.board)
        self.tape = Tape(clock)
        self.ring = Ring(manifest.position.seq, max_entries=pace.ring_entries)
        self.frames = Frames(self.ring, self.board, pace, metrics.frame_bytes.observe)
        self.open_jobs = {job.id for job in manifest.jobs if job.state in ("queued", "running")}
        self._metrics = metrics
        self._clock = clock
        self._worked_on: dict[str, float] = {}
        self._awaited: dict[str, float] = {}
        """Edits of members here that nothing was seen of yet, and when they were queued."""
        self._readers: dict[str, Reader] = {}
        self._volatile = Volatile()
        self._volatile_at = 0.0
        self._heard_at: float | None = None
        self._default = ""
        """Name of the model of edits that name none."""
        self._is_stirred = False
        self._stirred: anyio.Event | None = None
        """Awaited by the tick in a quiet spell; a lively room needs none."""
        self.outgoing: list[msgspec.Struct] = []
        """Volatile messages that other servers need; taken by the relay."""
        self.relay_wanted = anyio.Event()
        self.foreseen: dict[str, Foretold] = {}
        """By user, the region that they may ask for next, by "" the model that anybody may; taken by who tells the
        engines."""
        self.foreseen_wanted = anyio.Event()
        self._newest_model = next((job.model for job in reversed(manifest.jobs) if job.model), "")

    # ── members ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def readers(self) -> list[Reader]:
        return list(self._readers.values())

    def add(self, reader: Reader) -> None:
        """A session takes its seat: from now on it is pushed to, though it says nothing until its own welcome."""
        self._readers[reader.member.id] = reader
        self.presence.join(reader.member)
        self._tell_others(m.Joined(member=reader.member))
        self.stir()

    def renew(self, reader: Reader) -> None:
        """A session's member is described anew, e.g. by another role."""
        if self._readers.get(reader.member.id) is reader:
            self.add(reader)

    def remove(self, reader: Reader) -> None:
        """Take a session's seat away, unless a newer session has it by now."""
        if self._readers.get(reader.member.id) is reader:
            del self._readers[reader.member.id]
            self._volatile.forget(reader.member.id)
            self.presence.leave(reader.member.id)
            self._tell_others(m.Left(id=reader.member.id))
            self.stir()

    # ── what members show: the Stage of their inboxes ───────────────────────────────────────────────────────────

    def show_cursor(self, member: m.Member, cursor: m.Cursor) -> None:
        self._volatile.cursor(member.id, cursor)
        self.stir()

    def show_word(self, member: m.Member, word: m.Chat | m.Look | m.Moving) -> None:
        self._volatile.word(member.id, word)
        self.stir()

    def show_stroke(self, member: m.Member, stroke: m.Stroke) -> None:
        self._volatile.stroke(member.id, stroke)
        self.stir()

    def show_mask(self, member: m.Member, mask: m.Mask) -> None:
        self._volatile.mask(member.id, mask)
        self.stir()

    def foresee(self, member: m.Member, region: m.Prepare) -> None:
        """A member may soon ask for an edit; the newest word of each user counts."""
        model = region.model or self._default
        hint = Hint(canvas=self.canvas, user=member.user, box=region.box, mask_png=region.png, model=model)
        self.foreseen[member.user] = hint
        self.foreseen_wanted.set()

    def opened(self) -> None:
        """The first member comes: engines that are idle get the model ready (E10)."""
        self.foreseen[""] = Opened(canvas=self.canvas, model=self._newest_model or self._default)
        self.foreseen_wanted.set()

    # ── what the store says ─────────────────────────────────────────────────────────────────────────────────────

    def bell(self) -> None:
        """A change was announced at this moment; starts the clock of `shown_seconds`."""
        if self._heard_at is None:
            self._heard_at = self._clock()

    def append(self, seq: int, entry: bytes) -> None:
        """The next log entry. Raises ValueError for a gap."""
        if seq <= self.ring.head:
            return
        self.ring.append(seq, entry)
        change = _change.decode(entry)
        self.position = Position(change.epoch, seq, change.op)
        if change.job is not None:
            self._follow_job(change.job.id, change.job.state)
            trace = trace_of(change.job.id)
            _log.info("job shown", trace=trace, canvas=self.canvas, job=change.job.id, state=change.job.state, seq=seq)
            self._await_preview(change.job)
            if change.job.state == "staged":
                self.show()
        self.stir()

    def _await_preview(self, job: Job) -> None:
        """Time the first look at an edit, on the servers where its author is."""
        if job.state == "queued" and any(reader.member.user == job.user for reader in self._readers.values()):
            self._awaited[job.id] = self._clock()
        elif job.state != "running":
            self._awaited.pop(job.id, None)

    def _follow_job(self, job: str, state: str) -> None:
        if state in TERMINAL or state == "staged":
            self.open_jobs.discard(job)
            self._worked_on.pop(job, None)
            self.board.forget_job(job)
        else:
            self.open_jobs.add(job)

    def restart(self, manifest: Manifest) -> None:
        """The log is another one now: drop the ring; everybody gets the manifest (C4)."""
        self._metrics.resynced.inc()
        self.ring = Ring(manifest.position.seq, max_entries=self.pace.ring_entries)
        self.position = manifest.position
        self.open_jobs = {job.id for job in manifest.jobs if job.state in ("queued", "running")}
        self.frames.restart(self.ring)
        self.stir()

    def hear(self, message: m.ServerMessage) -> None:
        """Volatile or latest-only traffic from an engine or another server."""
        match message:
            case m.Preview(job=job, patches=patches):
                self._worked_on[job] = self._clock()
                if (message.jpeg is not None or patches) and job in self._awaited:
                    took = self._clock() - self._awaited.pop(job)
                    self._metrics.first_preview_seconds.observe(took)
                    ms = round(took * 1000, 1)
                    _log.info("first preview", trace=trace_of(job), canvas=self.canvas, job=job, ms=ms)
                self.board.preview(message, codec.encode(message))
                if patches:  # at once: staged in this same turn, it would be forgotten and everybody would have to ask
                    self.show()
            case m.Cursors(rows=rows):
                for member, x, y in rows:
                    self.board.cursor(member, x, y)
            case m.MemberStroke() | m.MemberChat() | m.MemberLook() | m.MemberMoving() | m.ImportProgress():
                self.board.stroke(codec.encode(message))
            case m.MemberMask():
                self.board.mask(message)
            case m.Joined(member=member):
                self.presence.heard_join(member)
                self._replay_masks()
            case m.Left(id=member_id):
                self.presence.heard_leave(member_id)
            case _:
                return
        self.stir()

    def show_place(self, job: str, place: int, wait_s: float) -> None:
        """An edit's place in the queue, unless an engine has just been heard to work on it: then this is old news."""
        if self._clock() - self._worked_on.get(job, -RECENTLY_S) >= RECENTLY_S:
            waiting = m.Preview(job=job, state="queued", place=place, wait_s=wait_s)
            self.board.preview(waiting, codec.encode(waiting))
            self.stir()

    def engines(self, engines: m.Engines) -> None:
        self._default = engines.models[0].name if engines.models else ""
        self.board.single("engines", codec.encode(engines))
        self.stir()

    def _replay_masks(self) -> None:
        """Another server may just have opened this canvas: it knows none of the masks drawn here."""
        for mask in self.board.masks():
            if mask.member in self._readers:
                self._volatile.repeat(mask)

    def _tell_others(self, *messages: msgspec.Struct) -> None:
        self.outgoing.extend(messages)
        del self.outgoing[:-MAX_OUTGOING]
        self.relay_wanted.set()

    # ── the tick ────────────────────────────────────────────────────────────────────────────────────────────────

    def stir(self) -> None:
        """Something new waits to be shown."""
        self._is_stirred = True
        if self._stirred is not None:
            self._stirred.set()

    async def tick(self) -> None:
        """Show what is new: at once after a quiet spell, then at the room's pace, for ever."""
        while True:
            if not self._is_stirred:
                self._stirred = anyio.Event()
                await self._stirred.wait()
                self._stirred = None
            self._is_stirred = False
            began = self._clock()
            self.show()
            took = self._clock() - began
            is_small = len(self._readers) <= self.pace.big_members
            pause = self.pace.tick if took < self.pace.tick / 4 and is_small else self.pace.big_tick
            pause = max(pause, min(3 * took, self.pace.longest_tick))  # three quarters of the time are for the rest
            self._metrics.tick_seconds.observe(pause)
            await anyio.sleep(pause)

    def show(self) -> None:
        """One turn: everything new in one frame for everybody."""
        now = self._clock()
        if not self._volatile.is_empty:
            if now - self._volatile_at >= self.pace.volatile - 0.002:
                self._volatile_at = now
                shown = self._volatile.take(self.board)
                if not self._volatile.is_empty:
                    self.stir()
                if self.presence.is_shared:
                    self._tell_others(*shown)
            else:
                self.stir()
        self.frames.show()
        for reader in self._readers.values():
            reader.push()
        if self._heard_at is not None:
            self._metrics.shown_seconds.observe(self._clock() - self._heard_at)
            self._heard_at = None
