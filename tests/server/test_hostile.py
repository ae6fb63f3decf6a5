"""Bad input is answered with its own code, and the room goes on (R10)."""

import io
from collections.abc import AsyncIterator

import msgspec
import pytest
from PIL import Image

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId
from nanobana.protocol.geometry import Box
from nanobana_server.room.limits import Allowance
from nanobana_server.room.pace import Pace
from support.live_server import Links, LiveServer, live_server
from support.members import RawMember, member, socket_of
from support.valkey import PrivateValkey

encode = msgspec.msgpack.encode


@pytest.fixture(scope="module")
async def strict(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    allowance = Allowance(ops=(1.0, 3.0), refused=(1.0, 3.0), bad=(0.1, 3.0))
    async with live_server(valkey.url, allowance=allowance, room_members=2, room_watchers=1) as live:
        yield live


def png(width: int, height: int, mode: str = "RGBA") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


async def works(who: RawMember) -> bool:
    """Whether the room still does what it should for somebody."""
    return (await who.do(m.LayerAdd(op=who.op(), layer=f"l{who.op().n}", name="x"))).seq > 0


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xc1\xc1\xc1", "bad_frame"),
        (b"", "bad_frame"),
        (encode({"t": "ping"}), "bad_frame"),
        (encode([{"t": "ping"}])[:-1], "bad_frame"),
        (b"\x91" * 5000, "bad_frame"),
        ("[]", "bad_frame"),
        (encode([{"t": "teleport"}]), "unknown_message"),
        (encode([{"no": "tag"}]), "unknown_message"),
        (encode([17]), "unknown_message"),
        (encode([{"t": "cursor", "x": "left"}]), "bad_message"),
        (encode([{"t": "cursor", "x": float("nan"), "y": 1.0}]), "bad_message"),
        (encode([{"t": "stroke", "id": "s", "kind": "paint", "points": [1.0]}]), "bad_message"),
        (encode([{"t": "mask", "tile": [0, 0], "png": png(8, 8, "L")}]), "bad_message"),
        (encode([{"t": "mask", "png": png(256, 256, "L")}]), "bad_message"),
        (encode([{"t": "mask", "tile": [0, 64], "png": png(256, 256, "L")}]), "bad_message"),
        (encode([{"t": "mask", "tile": [0, 0], "png": b"GIF89a"}]), "bad_message"),
        (encode([{"t": "mask", "tile": [0, 0], "png": bytes(70000)}]), "too_big"),
        (encode([{"t": "hello", "protocol": 1, "ticket": "x", "client": "y"}]), "out_of_order"),
    ],
)
async def test_r10_what_is_not_understood_is_answered_with_its_own_code(
    canvas: Links, frame: bytes | str, code: str
) -> None:
    async with member(canvas.edit) as (ana, _):
        await ana.send_raw(frame)
        assert (await ana.until(m.Problem)).code == code
        assert await works(ana)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"t": "fly"}, "unknown_message"),
        ({"t": "paint", "layer": "l"}, "bad_message"),
        ({"t": "paint", "layer": "l", "box": [0, 0, 9, 9], "png": bytes(70000)}, "too_big"),
        ({"t": "layer_set", "layer": "l", "opacity": 7.0}, "bad_message"),
    ],
)
async def test_r10_a_bad_op_is_rejected_by_its_id_and_the_good_ones_beside_it_count(
    canvas: Links, fields: dict[str, object], code: str
) -> None:
    async with member(canvas.edit) as (ana, _):
        bad, good = ana.op(), ana.op()
        layer = {"t": "layer_add", "op": good, "layer": "l", "name": "l", "of_the_future": 1}
        await ana.send_raw(encode([{**fields, "op": bad}, layer]))
        answer = await ana.answer(bad)
        assert isinstance(answer, m.Reject) and answer.code == code
        assert isinstance(await ana.answer(good), m.Ack)


async def test_r10_an_oversized_frame_ends_its_socket_and_nobody_elses(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _), member(canvas.edit) as (ben, _):
        await ana.send_raw(bytes(m.MAX_FRAME + 1))
        assert await ana.closed() == 1009
        assert await works(ben)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (m.Paint(op=OpId("tab", 1), layer="gone", box=Box(0, 0, 4, 4), png=png(4, 4)), "layer_gone"),
        (m.Paint(op=OpId("tab", 1), layer="sky", box=Box(0, 0, 4, 4), png=png(5, 4)), "bad_patch"),
        (m.Paint(op=OpId("tab", 1), layer="sky", box=Box(0, 0, 4, 4), png=b"%!PS-Adobe"), "image_format"),
        (m.Paint(op=OpId("tab", 1), layer="sky", box=Box(9000, 0, 9004, 4), png=png(4, 4)), "outside"),
        (m.Paint(op=OpId("tab", 1), layer="sky", box=Box(0, 0, 4, 4), blob="0" * 32), "missing_blob"),
        (m.LayerDelete(op=OpId("tab", 1), layer="gone"), "layer_gone"),
        (m.Undo(op=OpId("tab", 1)), "nothing_to_undo"),
        (m.Cancel(op=OpId("tab", 1), job="none"), "no_job"),
    ],
)
async def test_r2_an_op_that_cannot_be_done_is_rejected_with_the_reason(
    canvas: Links, message: m.Op, code: str
) -> None:
    async with member(canvas.edit) as (ben, _), member(canvas.edit, client="tab") as (ana, _):
        await ben.do(m.LayerAdd(op=ben.op(), layer="sky", name="sky"))
        assert (await ana.refused(message)).code == code


async def test_r10_too_many_ops_are_rejected_and_a_flood_is_cut_off(strict: LiveServer) -> None:
    links = await strict.new_canvas()
    async with member(links.edit) as (ana, _), member(links.edit) as (ben, _):
        flood = [m.LayerAdd(op=ana.op(), layer=f"l{n}", name="l") for n in range(20)]
        await ana.send(*flood)
        refused = await ana.until(m.Reject)
        assert refused.code == "too_many" and refused.retry_ms is not None
        assert await ana.closed() == m.CLOSE_RATE
        assert await works(ben)


async def test_r10_a_client_that_only_talks_nonsense_is_closed_for_good(strict: LiveServer) -> None:
    links = await strict.new_canvas()
    async with member(links.edit) as (ana, _):
        for _ in range(5):
            await ana.send_raw(b"\xc1")
        assert await ana.closed() == m.CLOSE_BAD_FRAME


async def test_r1_a_socket_that_says_nothing_is_closed(valkey: PrivateValkey) -> None:
    async with live_server(valkey.url, pace=Pace(hello=0.2)) as hasty:
        links = await hasty.new_canvas()
        async with socket_of(links.edit) as socket:
            assert await RawMember(socket, "tab").closed() == m.CLOSE_SLOW


@pytest.mark.parametrize("first", [b"\xc1", b"\x90", encode([{"t": "ping"}]), "hello"])
async def test_r1_the_first_message_must_be_hello(canvas: Links, first: bytes | str) -> None:
    async with socket_of(canvas.edit) as socket:
        await socket.send(first)
        assert await RawMember(socket, "tab").closed() == m.CLOSE_BAD_FRAME


async def test_r8_a_full_room_says_so_and_lets_one_watch(strict: LiveServer) -> None:
    links = await strict.new_canvas()
    async with member(links.edit), member(links.edit):
        with pytest.raises(Exception, match="4503"):
            async with member(links.edit):
                pass
        async with member(links.edit, watch=True) as (_, welcome):
            assert welcome.you.role == "viewer"
            with pytest.raises(Exception, match="4503"):
                async with member(links.view):
                    pass
            async with member(links.owner) as (_, owner):
                assert owner.you.role == "owner", "an owner always finds a seat"


async def test_r8_who_watches_takes_no_seat_of_those_who_work(strict: LiveServer) -> None:
    links = await strict.new_canvas()
    async with member(links.view), member(links.view), member(links.edit) as (_, welcome):
        assert welcome.you.role == "editor"
