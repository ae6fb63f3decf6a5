"""A crowd that opens one canvas at the same moment: ticket, socket, and every tile that their windows show.

    python benchmarks/crowd.py [--people 200]

Half of the people see the whole 4096 x 4096 canvas in a window of 1280 x 800 (mip tiles), the others look at some place
of it at full size; everything is asked for over kept-alive connections, as a browser does, and read to its last byte.
Decoding and drawing are theirs, on 200 machines, and not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal
from harness import product, report
from websockets.asyncio.client import connect

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Manifest
from nanobana.protocol.geometry import mip_key
from nanobana.sdk.http import CanvasHttp
from nanobana.sdk.link import Link

WINDOW = (1280, 800)
LEVEL, PARALLEL, TILE = 2, 6, 256


def seen(manifest: Manifest, dice: random.Random) -> list[str]:
    """Paths under the canvas's own of the tiles that a window shows, of the lowest layer."""
    layer = manifest.layers[0].id
    names = {(tile.tx, tile.ty): tile.name for tile in manifest.tiles if tile.layer == layer}
    side = 2**LEVEL
    if dice.random() < 0.5:
        columns, rows = (range(size // (TILE * side)) for size in (manifest.canvas.width, manifest.canvas.height))
        keys = {
            (x, y): mip_key([names.get((x * side + i, y * side + j), "") for j in range(side) for i in range(side)])
            for x in columns
            for y in rows
        }
        return [f"/mips/{layer}/{LEVEL}/{x}/{y}/{key}" for (x, y), key in keys.items()]
    wide, high = (-(-size // TILE) + 1 for size in WINDOW)
    x0, y0 = dice.randrange(16 - wide), dice.randrange(16 - high)
    return [f"/blobs/{names[x0 + i, y0 + j]}" for j in range(high) for i in range(wide)]


async def fetch(link: Link, access: str, paths: list[str]) -> int:
    """Ask for one after the other until none is left; the bytes that came."""
    place = urlsplit(link.api)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1 << 20)
    size = 0
    try:
        while paths:
            head = (
                f"GET {place.path}{paths.pop()} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {access}\r\n"
            )
            writer.write(f"{head}\r\n".encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.startswith(b"http/1.1 200"), answer[:200]
            length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
            size += len(await reader.readexactly(length))
    finally:
        writer.close()
    return size


async def come(link: Link, number: int) -> tuple[float, float, int]:
    """One person: seconds to the welcome, seconds to the last tile, bytes."""
    dice = random.Random(number)
    began = time.perf_counter()
    async with CanvasHttp(link, name=f"p{number}") as http:
        ticket = await http.authorise()
    async with connect(link.socket, max_size=None, compression=None, open_timeout=60) as socket:
        hello = m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket.ticket, client=f"crowd-{number}")
        await socket.send(codec.frame([hello]))
        welcome: m.Welcome | None = None
        while welcome is None:
            data = await socket.recv()
            assert isinstance(data, bytes)
            welcome = next((one for one in codec.read_server(data) if isinstance(one, m.Welcome)), None)
        here = time.perf_counter() - began
        assert welcome.manifest is not None
        paths = seen(welcome.manifest, dice)
        sizes = await asyncio.gather(*(fetch(link, ticket.access, paths) for _ in range(PARALLEL)))
        return here, time.perf_counter() - began, sum(sizes)


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def come_together(url: str, people: int) -> dict[str, float]:
    """Everybody at once; when the last one sees the canvas."""
    link = Link.parse(url)
    came = await asyncio.gather(*(come(link, number) for number in range(people)))
    welcomed, done, sizes = zip(*came, strict=True)
    return {
        "people": people,
        "crowd_s": round(max(done), 2),
        "crowd_p50_s": round(percentile(done, 0.5), 2),
        "crowd_welcomed_s": round(max(welcomed), 2),
        "crowd_mib": round(sum(sizes) / 2**20, 1),
    }


def main() -> None:
    from join import prepare

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    people = parser.parse_args().people
    os.environ["NANOBANA_ROOM_MEMBERS"] = str(people + 8)
    with product() as origin, start_blocking_portal() as portal:
        report(**portal.call(come_together, portal.call(prepare, origin), people))


if __name__ == "__main__":
    main()
