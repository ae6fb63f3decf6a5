"""People who submit, cancel, supersede and decide at random while engines are killed; and what is left after it."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import msgspec
import numpy as np
from anyio import to_thread

from nanobana.keyspace.keys import JOB_GROUP, RESULTS, CanvasKeys, FamilyKeys
from nanobana.protocol.canvas import TERMINAL, Change, OpId
from nanobana.protocol.errors import Conflict, NotFound, TooMany
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Cancel, Decide, Edit
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana_server import jobs
from nanobana_server.jobs.records import open_jobs, read_job
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops import import_image
from nanobana_server.store.types import Author
from support import truth
from support.edits import photo
from support.engine_process import EngineProcess
from support.valkey import private_valkey

SIDE = 320
STEP_S = 0.01
ENDS_S = 150.0


@dataclass
class Outcome:
    """What was done, and what is left of it."""

    edits: int = 0
    kills: int = 0
    struck: int = 0
    """Edits that an engine had in hand when it was killed."""
    again: int = 0
    """Edits that a second engine took over, or a third."""
    states: dict[str, int] = field(default_factory=dict)
    """Of the edits, at the end."""
    stuck: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    """Jobs that were staged or ended more than once, or changed after their end."""
    left: dict[str, int] = field(default_factory=dict)
    """What the queue still holds, by kind; empty if nothing."""
    said: list[str] = field(default_factory=list)
    """Lines of the engines' logs that speak of leaks or bugs."""


class Herd:
    """Engine processes; one that is killed is replaced by a new one."""

    def __init__(self, url: str, folder: Path, count: int) -> None:
        self._url = url
        self._folder = folder
        self._made = 0
        self.engines = [self._engine() for _ in range(count)]

    def _engine(self) -> EngineProcess:
        self._made += 1
        return EngineProcess(self._url, self._folder / f"engine-{self._made}.log", step_s=STEP_S)

    async def ready(self) -> None:
        for engine in self.engines:
            await to_thread.run_sync(engine.wait_ready)

    async def kill(self, which: int, is_over: Callable[[], bool]) -> int:
        """In the midst of an edit, unless there will be none: how many it had in hand when it was stopped."""
        engine = self.engines[which]
        while True:
            engine.process.send_signal(signal.SIGSTOP)
            if (in_hand := _in_hand(engine)) or is_over():
                break
            engine.process.send_signal(signal.SIGCONT)
            await anyio.sleep(0.005)
        await to_thread.run_sync(engine.kill)
        self.engines[which] = self._engine()
        return in_hand

    def end(self) -> list[str]:
        """Drain them all; suspicious lines of every log."""
        for engine in self.engines:
            if engine.process.poll() is None:
                engine.stop()
        texts = [log.read_text("utf-8", "replace") for log in self._folder.glob("engine-*.log")]
        marks = ("integrity:", "Traceback", "could not be worked on", "stumbled")
        return [line for text in texts for line in text.splitlines() if any(mark in line for mark in marks)]


def _in_hand(engine: EngineProcess) -> int:
    """Edits that an engine has claimed and not ended, by its log."""
    events = [
        json.loads(line)["event"] for line in engine.text().splitlines() if line.startswith("{") and line[-1] == "}"
    ]
    return events.count("job claimed") - events.count("job handed in") - events.count("job stopped")


async def chaos(
    folder: Path, *, seed: int, edits: int, people: int, engines: int, kills: int, every_s: float
) -> Outcome:
    """Run it on a store of its own.

    Args:
        edits: how many are submitted by all people together.
        kills: of engines, at random moments.
        every_s: mean time between two kills.
    """
    found, dice = Outcome(), random.Random(seed)
    with private_valkey(fsync="no") as valkey:
        store, herd = await open_store(valkey.url), Herd(valkey.url, folder, engines)
        try:
            for canvas in ("one", "two"):
                await store.create_canvas(canvas)
                picture = encode_png(photo(SIDE, SIDE))
                await import_image(store, canvas, "owner", OpId("owner", 1), picture, layer="photo")
            await herd.ready()
            async with anyio.create_task_group() as serving:
                for name in ("a", "b"):
                    serving.start_soon(jobs.run_results, store, name)
                serving.start_soon(jobs.run_sweeper, store, 0.2)
                acting = set(range(people))

                async def act(n: int) -> None:
                    share = edits // people + (n < edits % people)
                    await _person(store, f"user{n}", random.Random(f"{seed}/{n}"), share)
                    acting.discard(n)

                async with anyio.create_task_group() as tasks:
                    for n in range(people):
                        tasks.start_soon(act, n)
                    for _ in range(kills):
                        await anyio.sleep(dice.uniform(0.5, 1.5) * every_s)
                        found.struck += await herd.kill(dice.randrange(engines), lambda: not acting)
                        found.kills += 1
                await _ended(store)
                serving.cancel_scope.cancel()
            found.said = await to_thread.run_sync(herd.end)
            await _judged(store, found)
        finally:
            for engine in herd.engines:
                if engine.process.poll() is None:
                    engine.kill()
            await store.aclose()
    return found


async def _person(store: Store, user: str, dice: random.Random, edits: int) -> None:
    n = 0
    while edits:
        n += 1
        canvas, author, op = dice.choice(("one", "two")), Author(user=user), OpId(f"tab-{user}", n)
        mine = [job for job in await open_jobs(store, canvas) if job.user == user]
        roll = dice.random()
        try:
            if roll < 0.7 or not mine:
                await jobs.submit(store, canvas, author, Edit(op=op, edit=_edit(dice)))
                edits -= 1
            elif roll < 0.85:
                await jobs.cancel(store, canvas, author, Cancel(op=op, job=dice.choice(mine).id))
            else:
                accept = dice.random() < 0.5
                await jobs.decide(store, canvas, author, Decide(op=op, job=dice.choice(mine).id, accept=accept))
        except TooMany:
            for number, job in enumerate(mine):
                await _dropped(store, canvas, author, OpId(f"tab-{user}-{n}", number + 1), job.id)
        except (Conflict, NotFound):
            pass  # somebody was first
        await anyio.sleep(dice.choice((0.0, 0.005, 0.02, 0.05)))


async def _dropped(store: Store, canvas: str, author: Author, op: OpId, job: str) -> None:
    try:
        await jobs.cancel(store, canvas, author, Cancel(op=op, job=job))
    except (Conflict, NotFound):
        return


def _edit(dice: random.Random) -> EditParams:
    width, height = dice.randrange(12, 60), dice.randrange(12, 60)
    x, y = dice.randrange(SIDE - width), dice.randrange(SIDE - height)
    live = dice.random() < 0.25
    return EditParams(
        box=Box(x, y, x + width, y + height),
        mask_png=encode_png(np.full((height, width), 255, np.uint8)),
        seed=dice.randrange(1, 2**31),
        quality=dice.choice(("draft", "balanced", "best")),
        variations=dice.choice((1, 1, 1, 2)),
        lane="batch" if dice.random() < 0.2 else "live",
        live=dice.choice(("s1", "s2")) if live else None,
    )


async def _ended(store: Store) -> None:
    """Until no edit is queued or running and every result was taken, or long enough."""
    with anyio.move_on_after(ENDS_S):
        while True:
            open_now = [job for canvas in ("one", "two") for job in await open_jobs(store, canvas)]
            if all(job.state == "staged" for job in open_now) and not await _left(store):
                return
            await anyio.sleep(0.1)


async def _left(store: Store) -> dict[str, int]:
    """What the queue holds."""
    client, family = store.client, FamilyKeys()
    counts = {"results": await client.call("XLEN", RESULTS)}
    for lane in ("live", "batch"):
        counts[f"{lane} tickets"] = await client.call("XLEN", family.stream(lane))
        counts[f"{lane} pending"] = (await client.call("XPENDING", family.stream(lane), JOB_GROUP))["pending"]
    counts["waiting"] = await client.call("ZCARD", family.waiting)
    counts["turns"] = await client.call("ZCARD", family.turns)
    return {kind: count for kind, count in counts.items() if count}


async def _judged(store: Store, found: Outcome) -> None:
    found.left = await _left(store)
    for canvas in ("one", "two"):
        log = await truth.whole_log(store, canvas)
        truth.check_log(log)
        history = _histories(log)
        found.edits += len(history)
        found.twice += [job for job, states in history.items() if not _is_once(states)]
        for job, states in history.items():
            found.states[states[-1]] = found.states.get(states[-1], 0) + 1
            kept = await read_job(store, canvas, job)
            found.again += kept.attempt > 1
            if kept.state != states[-1] or not (kept.state == "staged" or kept.state in TERMINAL):
                found.stuck.append(f"{job} is {kept.state} after {states}")
        outbox = await store.client.call("HVALS", CanvasKeys(canvas).open_jobs)
        if any(entry != b"-" for entry in outbox):
            found.left["outbox"] = found.left.get("outbox", 0) + sum(entry != b"-" for entry in outbox)


def _histories(log: Sequence[Change]) -> dict[str, list[str]]:
    """Job → the states that the log shows, in order."""
    found: dict[str, list[str]] = {}
    for change in log:
        if change.job is not None:
            found.setdefault(change.job.id, []).append(change.job.state)
    return found


def _is_once(states: Sequence[str]) -> bool:
    ends = [state for state in states if state in TERMINAL]
    return (
        states[0] == "queued"
        and states.count("queued") == 1
        and states.count("staged") <= 1
        and len(ends) <= 1
        and (not ends or states[-1] in TERMINAL)
    )


def told(found: Outcome) -> str:
    """For a failing test's message."""
    return msgspec.json.encode(found).decode()
