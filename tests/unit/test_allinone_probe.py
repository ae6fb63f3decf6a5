"""The health check of an engine's container: a fresh heartbeat of this machine in the store (J4)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from nanobana.keyspace.claims import beat
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.probe import engine_is_well
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.jobs import EngineBeat
from support.valkey import PrivateValkey, private_valkey


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


@pytest.fixture
async def client(valkey: PrivateValkey) -> AsyncIterator[Client]:
    opened = Client(valkey.url)
    yield opened
    await opened.aclose()


def heartbeat_of(host: str) -> EngineBeat:
    return EngineBeat(worker="w", model="nano", device="cpu", running=0, pid=1, host=host)


async def test_j4_an_engine_that_beats_is_well(valkey: PrivateValkey, client: Client) -> None:
    await beat(client, FamilyKeys(), heartbeat_of(socket.gethostname()))

    assert await engine_is_well(valkey.url)


async def test_j4_anothers_heartbeat_does_not_count(valkey: PrivateValkey, client: Client) -> None:
    await beat(client, FamilyKeys(), heartbeat_of("elsewhere"))

    assert not await engine_is_well(valkey.url)


async def test_j4_a_store_that_is_away_is_told_apart(valkey: PrivateValkey) -> None:
    valkey.kill()

    with pytest.raises(Unavailable):
        await engine_is_well(valkey.url)
