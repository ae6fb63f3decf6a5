"""Whatever bytes arrive, the server answers or closes with a code, logs no failure, and nobody else notices (R10)."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from websockets.exceptions import ConnectionClosed

from nanobana.protocol import messages as m
from support.garbage import Garbage
from support.live_server import FREE, Links, LiveServer, live_server
from support.members import RawMember, member
from support.valkey import PrivateValkey, private_valkey

TOO_BIG = 1009
"""The WebSocket's own code for a message above the limit."""
A_WHILE = 250
"""Frames between two looks at the bystander."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


@pytest.fixture(scope="module")
async def server(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url, allowance=FREE) as live:
        yield live


async def torment(links: Links, seed: int, frames: int) -> set[str]:
    """Send garbage for so many frames, coming back after each close; the codes with which it was answered."""
    closes = sent = 0
    codes: set[str] = set()
    while sent < frames:
        async with member(links.edit) as (who, _):
            garbage = Garbage(seed * 1000 + closes, who.op)
            with contextlib.suppress(ConnectionClosed):
                while sent < frames:
                    await who.send_raw(garbage.frame())
                    sent += 1
                    if sent % A_WHILE == 0 or sent == frames:
                        codes |= await _answers(who)
                continue
            code = who.socket.close_code or 0
            assert 4000 <= code < 5000 or code == TOO_BIG, f"closed with {code}"
            closes += 1
    return codes


async def _answers(who: RawMember) -> set[str]:
    """Codes of all refusals so far, once everything before this was dealt with."""
    op = who.op()
    await who.send(m.LayerSet(op=op, layer="nowhere", name="x"))
    await who.answer(op)
    codes = {message.code for message in who.seen if isinstance(message, m.Reject | m.Problem)}
    who.seen.clear()
    return codes


async def untroubled(server: LiveServer, seed: int, frames: int) -> None:
    """One torments, one works on; nothing unexpected is logged, and the worker's room is as it should be."""
    links = await server.new_canvas()
    with structlog.testing.capture_logs() as logs:
        async with member(links.edit) as (worker, _):
            codes = await torment(links, seed, frames)
            done = await worker.do(m.LayerAdd(op=worker.op(), layer="mine", name="still here"))
            assert done.seq > 0
    assert {"bad_frame", "bad_message", "unknown_message", "not_yours", "too_big"} <= codes, codes
    failed = [entry for entry in logs if entry["log_level"] in ("error", "critical") or "exc_info" in entry]
    assert not failed, failed[:3]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
async def test_r10_three_thousand_frames_of_garbage_harm_nobody(
    server: LiveServer, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    gc.collect()  # what other tests left unclosed is said of them now, and not in the midst of this
    with caplog.at_level(logging.ERROR):
        await untroubled(server, seed, 1500)
    assert not caplog.records, caplog.text


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_r10_a_hundred_thousand_frames_of_garbage_harm_nobody(
    server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        for seed in range(10, 30):
            await untroubled(server, seed, 5000)
    assert not caplog.records, caplog.text
