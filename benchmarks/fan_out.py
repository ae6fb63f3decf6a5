"""What a lively room costs the server: 50 members who draw, everybody sees every stroke; and one of them stops reading.

    python benchmarks/fan_out.py [--members 50] [--rate 600] [--seconds 6]

`cpu_us_per_message`: the server's CPU time over delivered messages (strokes of 64 bytes, `--rate` a second in all);
`shown_ms`: from sending a stroke to its arrival at another member; `paused_reader_bytes`: growth of the server's
memory while one member reads nothing (R4).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
from harness import median, report

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.sdk import create_canvas
from nanobana.sdk.link import Link

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.members import RawMember, member
from support.server_process import ServerProcess, server_process
from support.valkey import private_valkey

SAMPLED = 10
"""Every tenth member decodes what it gets; the others only count bytes, to leave the CPU to the server."""


class Room:
    """Members of one canvas that draw and read."""

    def __init__(self, members: list[RawMember], rate: float) -> None:
        self.members = members
        self._pause = len(members) / rate
        self.seen = 0
        self.waits: list[float] = []

    async def read(self, index: int) -> None:
        while True:
            data = await self.members[index].socket.recv()
            if index % SAMPLED == 0 and isinstance(data, bytes):
                for message in codec.read_server(data):
                    if isinstance(message, m.MemberStroke):
                        self.seen += 1
                        self.waits.append(time.perf_counter() - message.stroke.points[0])

    async def draw(self, index: int) -> None:
        await asyncio.sleep(self._pause * index / len(self.members))
        while True:
            await self.members[index].send(m.Stroke(id="s", kind="paint", points=[time.perf_counter(), 2.0, 0.5]))
            await asyncio.sleep(self._pause)


async def measure(server: ServerProcess, members: int, rate: float, seconds: float) -> dict[str, float]:
    link = Link.parse((await create_canvas(server.origin, width=512, height=512)).edit)
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    async with AsyncExitStack() as stack:
        room = Room([(await stack.enter_async_context(member(link)))[0] for _ in range(members)], rate)
        tasks = [asyncio.create_task(run(index)) for index in range(members) for run in (room.read, room.draw)]
        await asyncio.sleep(1.0)
        seen, cpu, began = room.seen, sum(process.cpu_times()[:2]), time.perf_counter()
        room.waits.clear()
        await asyncio.sleep(seconds)
        cpu = sum(process.cpu_times()[:2]) - cpu
        took = time.perf_counter() - began
        delivered = (room.seen - seen) / len(room.members[::SAMPLED]) * members
        waits = sorted(room.waits)
        before = server.memory_bytes
        asleep = (await stack.enter_async_context(member(link)))[0]
        asleep.socket.transport.pause_reading()
        await asyncio.sleep(seconds)
        grown = server.memory_bytes - before
        for task in tasks:
            task.cancel()
        for one in [*room.members, asleep]:
            one.socket.transport.abort()
    return {
        "delivered_per_s": round(delivered / took),
        "cpu_us_per_message": round(cpu / delivered * 1e6, 2),
        "cpu_share": round(cpu / took, 3),
        "shown_ms": round(median(waits) * 1000, 1),
        "shown_p95_ms": round(waits[int(len(waits) * 0.95)] * 1000, 1),
        "paused_reader_bytes": max(0, grown),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--rate", type=float, default=600.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    told = parser.parse_args()
    with (
        private_valkey(fsync="no") as valkey,
        tempfile.TemporaryDirectory() as folder,
        server_process(valkey.url, Path(folder)) as server,
    ):
        figures = asyncio.run(measure(server, told.members, told.rate, told.seconds))
    report(members=told.members, sent_per_s=told.rate, **figures)


if __name__ == "__main__":
    main()
