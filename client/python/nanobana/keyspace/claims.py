"""An engine's side of the job record: claim with a fence, heartbeat, presence, and handing in a result (J2, J4)."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from nanobana.keyspace.blobs import CHUNK, put_blobs, put_result_blobs
from nanobana.keyspace.client import Client, Word
from nanobana.keyspace.keys import RESULTS, CanvasKeys, FamilyKeys
from nanobana.protocol.jobs import EngineBeat, JobResult, JobSpec

Order = Literal["go", "cancelled", "superseded", "stale"]

ENGINE_ALIVE_MS = 5000
"""An engine that was silent for longer counts as dead."""

_spec = msgspec.msgpack.Decoder(JobSpec)
_beat = msgspec.msgpack.Decoder(EngineBeat)


class Claim(msgspec.Struct, frozen=True):
    """The job is yours until the lease ends; `attempt` is the fence that every heartbeat and the result carry."""

    attempt: int
    spec: JobSpec


class Leased(msgspec.Struct, frozen=True):
    """Another worker holds the job: leave the ticket pending and look again after `left_ms`."""

    left_ms: int


class Done(msgspec.Struct, frozen=True):
    """The job is in a terminal state, staged or unknown: acknowledge the ticket."""


async def claim(client: Client, canvas: str, job: str, worker: str, lease_ms: int) -> Claim | Leased | Done:
    """Take a job for `lease_ms` by the store's clock; raises the attempt."""
    reply = await client.run("claim", [CanvasKeys(canvas).job(job)], [worker, lease_ms])
    if reply[0]:
        return Claim(int(reply[0]), _spec.decode(reply[1]))
    return Leased(int(reply[2])) if reply[1] == b"leased" else Done()


async def heartbeat(client: Client, canvas: str, job: str, attempt: int, lease_ms: int) -> Order:
    """Extend the lease of this attempt only; anything but "go" means stop working on it. `lease_ms` 0 gives it back."""
    return _order(await client.run("heartbeat", [CanvasKeys(canvas).job(job)], [attempt, lease_ms]))


async def put_result(
    client: Client, canvas: str, job: str, attempt: int, blobs: Sequence[bytes], lease_ms: int
) -> tuple[list[str], Order]:
    """Store the bytes of a result, and extend the lease while it is on its way; names of the blobs, and the order.

    Raises:
        StorageFull, NotFound: as `put_blobs`.
    """
    if sum(map(len, blobs)) <= CHUNK:
        names, reply = await put_result_blobs(client, canvas, blobs, CanvasKeys(canvas).job(job), attempt, lease_ms)
        return names, _order(reply)
    names = await put_blobs(client, canvas, blobs)
    return names, await heartbeat(client, canvas, job, attempt, lease_ms)


def _order(reply: bytes) -> Order:
    order = reply.decode()
    if order == "go":
        return "go"
    if order == "cancelled":
        return "cancelled"
    return "superseded" if order == "superseded" else "stale"


async def hand_in(client: Client, result: JobResult) -> None:
    """Put a result on the results stream; its blobs must be stored already. Acknowledge the ticket after it."""
    await client.call("XADD", RESULTS, "*", "m", msgspec.msgpack.encode(result))


async def beat(client: Client, family: FamilyKeys, engine: EngineBeat) -> None:
    """Tell everybody that this engine lives; once a second."""
    words: list[Word] = [engine.worker, msgspec.msgpack.encode(engine)]
    await client.run("engine_beat", [family.engines, family.engine_ages], words)


async def leave(client: Client, family: FamilyKeys, worker: str) -> None:
    """Take an engine off the list at once, at the end of a drain."""
    await client.run("engine_beat", [family.engines, family.engine_ages], [worker, b""])


async def engines(client: Client, family: FamilyKeys, within_ms: int = ENGINE_ALIVE_MS) -> list[EngineBeat]:
    """The engines that are alive by the store's clock."""
    found = await client.run("engines", [family.engines, family.engine_ages], [within_ms])
    return [_beat.decode(data) for data in found]
