"""Every message from every role over a real socket: what the table does not allow is refused, by default (R7)."""

import pytest

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId, Position, Role
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_server.policy.table import OPS
from support.bombs import png
from support.live_server import Links
from support.members import RawMember, member

BOX = Box(0, 0, 8, 8)
ROLES: tuple[Role, ...] = ("owner", "editor", "viewer")


def messages(op: OpId) -> dict[type[m.ClientMessage], m.ClientMessage]:
    """One right message of each kind; what it is about need not exist."""
    edit = EditParams(box=BOX, mask_png=png(8, 8, "L", 255), prompt="a pear")
    made: list[m.ClientMessage] = [
        m.Hello(protocol=1, ticket="none", client="c"),
        m.Paint(op=op, layer="none", box=BOX, png=png(8, 8)),
        m.LayerAdd(op=op, layer="new", name="New"),
        m.LayerSet(op=op, layer="none", name="Other"),
        m.LayerMove(op=op, layer="none", index=0),
        m.LayerDelete(op=op, layer="none"),
        m.CanvasSet(op=op, title="Other"),
        m.Edit(op=op, edit=edit),
        m.Cancel(op=op, job="none-1"),
        m.Decide(op=op, job="none-1", accept=True),
        m.Undo(op=op),
        m.Redo(op=op),
        m.Cursor(x=1.0, y=1.0),
        m.Stroke(id="s", kind="paint", points=[1.0, 1.0, 0.5]),
        m.Mask(tile=(0, 0), png=png(256, 256, "L", 255)),
        m.Prepare(box=BOX, png=png(8, 8, "L", 255)),
        m.Diverged(position=Position(1, 1), sum=1),
        m.Ping(n=7),
    ]
    return {type(message): message for message in made}


def test_r7_every_kind_of_message_is_tried() -> None:
    assert set(messages(OpId("c", 1))) == set(m.ClientMessage.__args__) == set(OPS)


async def codes_of(who: RawMember, message: m.ClientMessage) -> set[str]:
    """Codes of what is refused up to the answer of a ping that follows; an op is answered by then too."""
    seen = len(who.seen)
    await who.send(message)
    if hasattr(message, "op"):
        await who.answer(message.op)
    await who.send(m.Ping(n=4711))
    await who.until(m.Pong, lambda pong: pong.n == 4711)
    return {each.code for each in who.seen[seen:] if isinstance(each, m.Reject | m.Problem)}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", list(OPS), ids=lambda kind: kind.__name__)
async def test_r7_a_role_may_send_what_the_table_says_and_nothing_else(
    canvas: Links, kind: type[m.ClientMessage], role: Role
) -> None:
    link = {"owner": canvas.owner, "editor": canvas.edit, "viewer": canvas.view}[role]
    async with member(link) as (who, _):
        codes = await codes_of(who, messages(who.op())[kind])
    assert ("not_allowed" in codes) == (role not in OPS[kind]), codes


async def test_r7_a_viewer_who_tries_everything_changes_nothing(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, welcome), member(canvas.view) as (ben, _):
        for kind in OPS:
            if kind is not m.Hello:
                await codes_of(ben, messages(ben.op())[kind])
        ack = await ana.do(m.LayerAdd(op=ana.op(), layer="first", name="First"))
    assert ack.seq == welcome.position.seq + 1
