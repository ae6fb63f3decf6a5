"""The desk where engines take tickets, with the engines in a test's hands."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec

from nanobana.keyspace import claims
from nanobana.keyspace.keys import JOB_GROUP, FamilyKeys
from nanobana.protocol.jobs import EngineBeat, JobTicket
from nanobana.protocol.parameters import ModelFacts
from nanobana_engine.worker.intake import LANES, Delivery, Intake
from nanobana_server.store import Store

SLOTS, MOST = 4, 12
LONG_MS = 60_000


class Desk:
    """One family's queue, and engines that take from it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.family = FamilyKeys(f"desk-{secrets.token_hex(4)}")
        self.hands: dict[str, dict[str, Delivery]] = {}
        self.models: dict[str, dict[str, bool]] = {}
        self._intakes: dict[str, Intake] = {}

    async def engine(
        self, name: str, models: Mapping[str, bool] | None = None, *, dead_ms: int = LONG_MS, left_ms: int = LONG_MS
    ) -> str:
        """`models`: that it serves, and whether each is in memory."""
        limits = {"slots": SLOTS, "most": MOST, "dead_ms": dead_ms, "left_ms": left_ms}
        self.models[name] = dict(models or {})
        self._intakes[name] = Intake(self.store.client, self.family, name, lambda: self.models[name], **limits)
        self.hands[name] = {}
        await self.beat(name)
        return name

    async def beat(self, name: str, each_s: float = 0.0) -> None:
        models = [ModelFacts(name=model) for model in self.models[name]]
        await claims.beat(self.store.client, self.family, engine(name, *models, each_s=each_s))

    async def put(self, *jobs_of: str, lane: str = "live", front: bool = False, model: str = "") -> None:
        """A ticket for each ``user/n``."""
        for job in jobs_of:
            user, name = job.split("/")[0], job.replace("/", "-")
            ticket = JobTicket(canvas="c", job=name, user=user, lane=lane, front=front, model=model)
            await self.store.client.call("XADD", self.family.stream(lane), "*", "m", msgspec.msgpack.encode(ticket))

    async def take(self, name: str = "one", *, look: bool = False) -> str | None:
        """One ticket into the engine's hands; its job."""
        delivery = await self._intakes[name].take(self.hands[name].values(), look=look)
        if delivery is None:
            return None
        assert delivery.key not in self.hands[name], "a ticket in hand was handed out again"
        self.hands[name][delivery.key] = delivery
        return delivery.ticket.job

    async def take_all(self, name: str = "one") -> list[str]:
        found = []
        while (job := await self.take(name)) is not None:
            found.append(job)
        return found

    async def done(self, job: str, name: str = "one") -> None:
        delivery = next(each for each in self.hands[name].values() if each.ticket.job == job)
        await self._intakes[name].acknowledge(delivery)
        del self.hands[name][delivery.key]

    async def close(self, name: str) -> None:
        await self._intakes[name].close()

    async def is_empty(self) -> bool:
        """Nothing is left of any ticket anywhere."""
        client, family = self.store.client, self.family
        left = [await client.call("ZCARD", key) for key in (family.waiting, family.turns)]
        for lane in LANES:
            left.append(await client.call("XLEN", family.stream(lane)))
            left.append((await client.call("XPENDING", family.stream(lane), JOB_GROUP))["pending"])
        return left == [0] * 6


def of(user: str, count: int) -> list[str]:
    return [f"{user}/{n}" for n in range(count)]


def engine(worker: str, *models: ModelFacts, **more: object) -> EngineBeat:
    """What an engine says of itself that serves these models."""
    facts = {"model": models[0].name if models else "", "device": "cpu", "running": 0, "pid": 1, "host": "h"}
    return EngineBeat(worker=worker, models=list(models), **facts, **more)  # type: ignore[arg-type]
