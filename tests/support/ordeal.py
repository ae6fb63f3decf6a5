"""Restless editors on a fleet whose parts are killed at random; what was lost, and how long each kill was felt."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import numpy as np

from nanobana.protocol.canvas import Manifest
from nanobana.protocol.errors import NanobanaError
from nanobana.sdk import Canvas, join
from nanobana.sdk.http import create_canvas
from nanobana.sdk.link import Link
from nanobana_server.store import Store, open_store
from support import truth
from support.fleet import Fleet
from support.restless import SIDE, Restless

EDITS_END_S = 120.0
PULSE_S = 0.02
MASK = np.full((48, 48), 255, np.uint8)


@dataclass
class Pulse:
    """Somebody who does the same small thing again and again: (begun, done) of each time, by the loop's clock."""

    beats: list[tuple[float, float]] = field(default_factory=list)

    async def keep(self, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            began = anyio.current_time()
            with contextlib.suppress(NanobanaError):
                await act()
                self.beats.append((began, anyio.current_time()))
            await anyio.sleep(PULSE_S)

    async def after(self, moment: float) -> float:
        """Seconds from a moment to the first thing that was begun after it and done."""
        while True:
            for began, done in reversed(self.beats):
                if began >= moment:
                    first = next(end for start, end in self.beats if start >= moment)
                    return first - moment
                if done < moment:
                    break
            await anyio.sleep(0.01)


@dataclass
class Outcome:
    """What an ordeal found."""

    ops: int
    kills: int
    acked_lost: int
    diverged: int
    felt_s: dict[str, list[float]]
    """By kind of kill: seconds until work of that kind was done again."""


async def ordeal(fleet: Fleet, *, seed: int, people: int, steps: int, kills: Sequence[str], every_s: float) -> Outcome:
    """Run it on a new canvas.

    Args:
        steps: ops of each editor.
        kills: "server", "engine" or "store", in the order in which they happen while the editors work.
        every_s: mean time between a recovery and the next kill.

    Raises:
        AssertionError: the log has a gap, an op twice or a job that ended twice, or an edit hangs.
    """
    links = await create_canvas(fleet.servers[0].origin, width=SIDE, height=SIDE)
    edit = Link.parse(links.edit)
    doors = [Link(server.origin, edit.canvas, edit.secret) for server in fleet.servers]
    store = await open_store(fleet.valkey.url)
    try:
        start = await store.manifest(edit.canvas)
        restless = [Restless(f"p{n}", doors, seed, steps) for n in range(people)]
        goal: list[int] = []
        async with anyio.create_task_group() as editing:
            for person in restless:
                editing.start_soon(person.run, lambda who: bool(goal) and who.replica.position.seq >= goal[0])
            felt = await _killing(fleet, random.Random(seed), kills, every_s)
            while not all(person.is_done for person in restless):  # noqa: ASYNC110 - no event is common to them
                await anyio.sleep(0.05)
            goal.append((await edits_end(store, edit.canvas)).position.seq)
        return await _judged(store, edit.canvas, start, restless, felt)
    finally:
        await store.aclose()


async def _killing(fleet: Fleet, dice: random.Random, kills: Sequence[str], every_s: float) -> dict[str, list[float]]:
    """Kill one thing after the other; how long each was felt on a canvas that the editors do not disturb."""
    made = Link.parse((await create_canvas(fleet.servers[0].origin, width=256, height=256)).edit)
    doors = [Link(server.origin, made.canvas, made.secret) for server in fleet.servers]
    felt: dict[str, list[float]] = {kind: [] for kind in kills}
    saving, filling = [Pulse() for _ in doors], Pulse()
    async with anyio.create_task_group() as pulses:
        for door, pulse in zip(doors, saving, strict=True):
            pulses.start_soon(_saves, door, pulse)
        pulses.start_soon(_fills, doors[0], filling)
        for pulse in (*saving, filling):  # who is killed while joining was never there
            await pulse.after(0.0)
        for kind in kills:
            await anyio.sleep(dice.uniform(0.5, 1.5) * every_s)
            which = dice.randrange(len(fleet.servers))
            moment = anyio.current_time()
            if kind == "server":
                await fleet.kill_server(which)
                felt[kind].append(await saving[which].after(moment))
            elif kind == "store":
                await fleet.kill_store()
                felt[kind].append(await saving[which].after(moment))
            else:
                await fleet.kill_engine(which % len(fleet.engines))
                felt[kind].append(await filling.after(moment))
        pulses.cancel_scope.cancel()
    return felt


async def _saves(door: Link, pulse: Pulse) -> None:
    async with join(str(door), name="pulse") as canvas:
        layer = await canvas.add_layer("pulse")
        await pulse.keep(lambda: canvas.set_layer(layer, name=f"pulse {len(pulse.beats)}"))


async def _fills(door: Link, pulse: Pulse) -> None:
    async with join(str(door), name="filler") as canvas:
        await pulse.keep(lambda: _filled(canvas))


async def _filled(canvas: Canvas) -> None:
    job = await canvas.edit(MASK, 20, 20, "red", quality="draft", seed=1)
    await canvas.staged(job)
    await canvas.discard(job)


async def edits_end(store: Store, canvas: str) -> Manifest:
    """The canvas once no edit is queued or running any more (J5)."""
    with anyio.fail_after(EDITS_END_S):
        while True:
            manifest = await store.manifest(canvas)
            if all(job.state == "staged" for job in manifest.jobs):
                return manifest
            await anyio.sleep(0.1)


async def _judged(
    store: Store, canvas: str, start: Manifest, people: Sequence[Restless], felt: dict[str, list[float]]
) -> Outcome:
    manifest, log = await store.manifest(canvas), await truth.whole_log(store, canvas)
    truth.check_log(log)
    await truth.check_blobs(store, canvas, manifest)
    there = truth.same(manifest).digest()
    at = {change.op: change.seq for change in log}
    return Outcome(
        ops=sum(len(person.record.acked) for person in people),
        kills=sum(map(len, felt.values())),
        acked_lost=sum(at.get(op) != seq for person in people for op, seq in person.record.acked.items()),
        diverged=sum(person.replica.digest() != there for person in people)
        + (truth.replayed(start, log).digest() != there),
        felt_s=felt,
    )
