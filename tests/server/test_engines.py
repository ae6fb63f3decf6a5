"""What the room is told of engines and of its edits on their way, and what the logs say of them (R3, J1, design §8)."""

import io
from typing import Any

import anyio
import msgspec
import pytest
from PIL import Image
from structlog.testing import capture_logs

from nanobana.keyspace.claims import beat, leave
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import EngineBeat, Foretold, Hint, Opened
from nanobana.protocol.parameters import EditParams, ModelFacts
from nanobana.protocol.trace import name_of
from nanobana.sdk.link import Link
from nanobana_server.store import Store
from support.bombs import jpeg
from support.live_server import Links, LiveServer, live_server
from support.members import PATIENCE_S, RawMember, member, ticket_of
from support.valkey import PrivateValkey

PROMPT = "a very private lighthouse"


@pytest.fixture
async def photo(server: LiveServer, canvas: Links) -> Links:
    """A canvas with a picture on it."""
    access = (await ticket_of(canvas.edit))["access"]
    async with server.http(headers={"authorization": f"Bearer {access}"}) as http:
        where: dict[str, str | int] = {"client": "importer", "n": 1, "layer": "photo"}
        answer = await http.post(f"{canvas.edit.api}/images", params=where, content=jpeg(512, 512))
        assert answer.status_code == 201
    return canvas


def mask() -> bytes:
    out = io.BytesIO()
    Image.new("L", (64, 64), 255).save(out, "PNG")
    return out.getvalue()


def edit(who: RawMember, x: int = 0) -> m.Edit:
    return m.Edit(op=who.op(), edit=EditParams(box=Box(x, 0, x + 64, 64), mask_png=mask(), prompt=PROMPT))


async def test_r3_members_hear_of_engines_that_come_and_go(canvas: Links, store: Store) -> None:
    family = FamilyKeys()
    nano, sdxl = ModelFacts(name="nano", loaded=True), ModelFacts(name="sdxl", good_for="photographs", seconds=4.0)
    engine = EngineBeat(worker="w1", model="nano", device="cpu", running=0, pid=1, host="h", models=[nano, sdxl])
    async with member(canvas.view) as (ben, _):
        await beat(store.client, family, engine)
        heard = await ben.until(m.Engines, lambda engines: engines.count > 0)
        assert heard == m.Engines(count=1, models=(nano, sdxl))
        async with member(canvas.view) as (cy, welcome):
            assert welcome.model == "nano"
            assert (await cy.until(m.Engines)).count == 1
        await leave(store.client, family, "w1")
        assert (await ben.until(m.Engines)).count == 0


async def test_r3_members_hear_what_an_engine_waits_for_and_then_what_its_model_takes(
    server: LiveServer, canvas: Links, store: Store
) -> None:
    family = FamilyKeys()
    facts = ModelFacts(name="sd", takes=["negative", "styles"], steps=(4, 8, 12), styles=["Ink"])
    engine = EngineBeat(worker="w1", model="sd", device="cpu", running=0, pid=1, host="h")
    async with member(canvas.view) as (ben, _), server.http() as http:
        await beat(store.client, family, msgspec.structs.replace(engine, loading="downloading sd: 35 %"))
        heard = await ben.until(m.Engines, lambda engines: engines.loading != "")
        assert heard == m.Engines(count=0, loading="downloading sd: 35 %")
        assert (await http.get("/readyz")).json() | {"ready": True} == {
            "ready": True, "store": True, "engines": 0, "loading": "downloading sd: 35 %"
        }  # fmt: skip
        assert (await http.get("/readyz?engines=1")).status_code == 503
        await beat(store.client, family, msgspec.structs.replace(engine, models=[facts]))
        assert await ben.until(m.Engines, lambda engines: engines.count > 0) == m.Engines(count=1, models=(facts,))


async def test_j1_everybody_sees_an_edit_queued_with_its_place_and_cancelled(photo: Links) -> None:
    async with member(photo.edit, name="Ana") as (ana, _), member(photo.view) as (ben, _):
        first, second = edit(ana), edit(ana, x=256)
        await ana.do(first)
        await ana.do(second)
        job = (await ben.until(m.Changed)).change.job
        assert job is not None and (job.state, job.user_name, job.prompt) == ("queued", "Ana", PROMPT)
        places = [await ben.until(m.Preview) for _ in range(2)]
        assert sorted((one.state, one.place) for one in places) == [("queued", 1), ("queued", 2)]
        await ana.do(m.Cancel(op=ana.op(), job=job.id))
        await ben.until(m.Changed, lambda changed: _state(changed) == "cancelled")


async def test_r3_a_newcomer_sees_the_newest_preview_of_a_running_edit(photo: Links, store: Store) -> None:
    async with member(photo.edit) as (ana, _):
        op = edit(ana)
        await ana.do(op)
        job = f"{op.op.client}-{op.op.n}"
        for step in (1, 2, 3):
            shown = m.Preview(job=job, state="running", step=step, of=3, jpeg=b"J", alpha=b"A" if step == 1 else None)
            await store.publish(photo.edit.canvas, "engine", codec.encode(shown))
        await ana.until(m.Preview, lambda preview: preview.step == 3)
        async with member(photo.view) as (ben, welcome):
            assert welcome.manifest is not None and [open_job.id for open_job in welcome.manifest.jobs] == [job]
            steps = [await ben.until(m.Preview, lambda preview: preview.state == "running") for _ in range(2)]
            assert [(one.step, one.alpha) for one in steps] == [(1, b"A"), (3, None)]


async def test_the_logs_tell_the_story_of_an_edit_and_keep_its_prompt_to_themselves(photo: Links) -> None:
    with capture_logs() as told:
        async with member(photo.edit, name="Ana Secretive") as (ana, _):
            op = edit(ana)
            ack = await ana.do(op)
    saved = next(line for line in told if line.get("kind") == "edit")
    assert (saved["op"], saved["seq"], saved["canvas"]) == (name_of(op.op), ack.seq, photo.edit.canvas)
    everything = str(told)
    for secret in (PROMPT, "Secretive", photo.edit.secret):
        assert secret not in everything


def _state(changed: m.Changed) -> str:
    return changed.change.job.state if changed.change.job is not None else ""


async def test_e9_engines_are_told_of_a_mask_that_is_ready_and_the_room_is_not(canvas: Links, store: Store) -> None:
    box = Box(8, 8, 72, 72)
    async with (
        store.client.sharded_channels(FamilyKeys().hints) as channel,
        member(canvas.edit) as (ana, welcome),
        member(canvas.view) as (ben, _),
    ):
        await ana.send(m.Prepare(box=box, png=mask(), model="sdxl"))
        heard = await _first_of(channel, b"mask")
        told = Hint(canvas=canvas.edit.canvas, user=welcome.you.user, box=box, mask_png=mask(), model="sdxl")
        assert msgspec.msgpack.decode(heard, type=Foretold) == told
        await ana.send(m.Cursor(x=1.0, y=2.0))
        await ben.until(m.Cursors, lambda _: True)
        assert not [each for each in ben.seen if isinstance(each, m.Preview | m.MemberMask)]


async def test_e10_engines_are_told_of_a_canvas_that_is_opened_and_of_its_newest_edit_s_model(
    photo: Links, store: Store, valkey: PrivateValkey
) -> None:
    engine = EngineBeat(
        worker="w2", model="sdxl", device="cpu", running=0, pid=1, host="h", models=[ModelFacts(name="sdxl")]
    )
    await beat(store.client, FamilyKeys(), engine)
    async with live_server(valkey.url) as other, member(photo.edit) as (ana, _):
        asked = edit(ana)
        await ana.do(m.Edit(op=asked.op, edit=msgspec.structs.replace(asked.edit, model="sdxl")))
        elsewhere = Link(other.origin, photo.edit.canvas, photo.edit.secret)
        async with store.client.sharded_channels(FamilyKeys().hints) as channel, member(elsewhere):
            heard = await _first_of(channel, b"opened")
    await leave(store.client, FamilyKeys(), "w2")
    told = msgspec.msgpack.decode(heard, type=Foretold)
    assert told == Opened(canvas=photo.edit.canvas, model="sdxl")


async def _first_of(channel: Any, kind: bytes) -> bytes:
    """The first hint of a kind."""
    tag = b"type" + bytes([0xA0 + len(kind)]) + kind
    with anyio.fail_after(PATIENCE_S):
        while True:
            message = await channel.get_message(timeout=1.0)
            if message and message["type"] == "smessage" and tag in message["data"]:
                body: bytes = message["data"]
                return body
