"""A full room on one core: 200 editors and 1,000 viewers, 20 of them moving, some painting, one who stops reading.

    python benchmarks/room.py [--editors 200] [--viewers 1000] [--seconds 5] [--runs 5]

The server runs on one core, the store and the load generator on the other, in the shipped fsync mode. `ack_…` is from
sending a stroke to its acknowledgement (in the log, on disk); `fan_out_p99_ms` from sending a cursor's place or a
stroke in progress to its arrival at another member; `tick_ms_p95` the pause between two frames, which stretches where
it must. `paused_reader_growth_mib` is the server's growth in a run in which one member reads nothing over one without;
`paused_reader_slows` the others' p99 with such a reader over without, median of alternating runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

import psutil
from fanout import LOAD_CORE, running
from harness import median, report
from wire_load import Member, Ours

from nanobana.protocol import PROTOCOL_VERSION
from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.sdk import create_canvas
from nanobana.sdk.link import Link

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.bombs import png
from support.members import RawMember, member, ticket_of
from support.valkey import private_valkey

MOVING, MOVES_PER_S = 20, 30
PAINTERS, STROKES_PER_S = 4, 2


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values) or [float("nan")]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def join(port: int, link: Link, count: int, name: str, samples: list[float]) -> list[Member]:
    """Members of the canvas; every 40th looks at the times in what it gets, the others count."""
    loop = asyncio.get_running_loop()
    members = []
    for n in range(count):
        ticket = (await ticket_of(link))["ticket"]
        hello = m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket, client=f"{name}-{n}")
        kept = samples if n % 40 == 0 else None
        path = f"/api/canvases/{link.canvas}/ws"
        _, one = await loop.create_connection(partial(Member, path, Ours(hello), kept), "127.0.0.1", port)
        await one.ready.wait()
        members.append(one)
    return members


async def move(members: list[Member], seconds: float) -> None:
    """So many of them move, evenly, until the time is over."""
    began, sent, rate = time.perf_counter(), 0, len(members) * MOVES_PER_S
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            members[sent % len(members)].send()
            sent += 1
        await asyncio.sleep(0.004)


async def paint(who: RawMember, numbers: itertools.count[int], acks: list[float], seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        n = next(numbers)
        box = Box(n * 7 % 900, n * 13 % 900, n * 7 % 900 + 40, n * 13 % 900 + 40)
        stroke = m.Paint(op=who.op(), layer="base", box=box, png=png(40, 40, "RGBA", (n % 256, 90, 40, 255)))
        sent = time.perf_counter()
        await who.do(stroke)
        acks.append(time.perf_counter() - sent)
        await asyncio.sleep(max(0.0, 1 / STROKES_PER_S - (time.perf_counter() - sent)))


def tick_p95(port: int) -> float:
    """Upper bound in ms of the histogram's bucket that holds the 95th percentile."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    rows = re.findall(r'nanobana_tick_seconds_bucket{le="([^"]+)"} (\S+)', text)
    total = float(rows[-1][1])
    return next(float(le) for le, count in rows if float(count) >= 0.95 * total) * 1000


async def measure(port: int, process: psutil.Process, told: argparse.Namespace) -> dict[str, float]:
    links = await create_canvas(f"http://127.0.0.1:{port}", width=1024, height=1024)
    edit, view = Link.parse(links.edit), Link.parse(links.view)
    before = process.memory_info().rss
    samples: list[float] = []
    arriving = time.perf_counter()
    async with contextlib.AsyncExitStack() as stack:
        editors = await join(port, edit, told.editors - PAINTERS, "e", samples)
        viewers = await join(port, view, told.viewers - 1, "v", samples)
        asleep = (await join(port, view, 1, "z", []))[0]
        joined = time.perf_counter()
        painters = [(await stack.enter_async_context(member(edit)))[0] for _ in range(PAINTERS)]
        await painters[0].do(m.LayerAdd(op=painters[0].op(), layer="base", name="Base"))
        print(f"everybody is here after {joined - arriving:.1f} s", flush=True)
        await asyncio.sleep(2.0)
        per_member = (process.memory_info().rss - before) / (told.editors + told.viewers)
        acks: list[float] = []
        p99: dict[bool, list[float]] = {False: [], True: []}
        waits: list[float] = []
        grown: dict[bool, list[float]] = {False: [], True: []}
        used, began = sum(process.cpu_times()[:2]), time.perf_counter()
        for run in range(2 * told.runs):
            pauses = bool(run % 2)
            transport = asleep._transport
            assert transport is not None
            if pauses:
                transport.pause_reading()
            held = process.memory_info().rss
            samples.clear()
            numbers = itertools.count(run * 1000)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(move(editors[:MOVING], told.seconds))
                for who in painters:
                    tasks.create_task(paint(who, numbers, acks, told.seconds))
            grown[pauses].append((process.memory_info().rss - held) / 2**20)
            if pauses:
                transport.resume_reading()
            p99[pauses].append(percentile(samples, 0.99) * 1000)
            waits += samples
            await asyncio.sleep(0.3)
        cpu = (sum(process.cpu_times()[:2]) - used) / (time.perf_counter() - began)
        for one in (*editors, *viewers, asleep):
            one.close()
    return {
        "editors": told.editors,
        "viewers": told.viewers,
        "ack_p50_ms": round(percentile(acks, 0.5) * 1000, 1),
        "ack_p95_ms": round(percentile(acks, 0.95) * 1000, 1),
        "ack_p99_ms": round(percentile(acks, 0.99) * 1000, 1),
        "fan_out_p50_ms": round(percentile(waits, 0.5) * 1000, 1),
        "fan_out_p99_ms": round(median(p99[False]), 1),
        "paused_reader_slows": round(median(p99[True]) / median(p99[False]), 2),
        "paused_reader_growth_mib": round(median(grown[True]) - median(grown[False]), 2),
        "tick_ms_p95": tick_p95(port),
        "kib_per_member": round(per_member / 1024, 1),
        "cpu_share": round(cpu, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editors", type=int, default=200)
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=5, help="with and without the paused reader, so many each")
    told = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    with private_valkey() as valkey:
        command = [sys.executable, str(Path(__file__).with_name("fanout.py").resolve()), "--serve", valkey.url]
        with running(command) as (port, process):
            report(**asyncio.run(measure(port, process, told)))


if __name__ == "__main__":
    main()
