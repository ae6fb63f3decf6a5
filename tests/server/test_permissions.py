"""Every row of the table of access for every role: messages over a real socket, routes over HTTP (R7).

What the table does not allow is refused, and what it does not name nobody may do.
"""

import pytest
from starlette.routing import Route, WebSocketRoute

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId, Position, Role
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_server.policy.table import OPS, ROLES, ROUTES, TABLE
from support.bombs import png
from support.live_server import Links, LiveServer
from support.members import RawMember, member, ticket_of

BOX = Box(0, 0, 8, 8)
EACH = [pytest.param(kind, role, id=f"{kind.__name__}-{role}") for kind in OPS for role in ROLES]


def messages(op: OpId) -> dict[type[m.ClientMessage], m.ClientMessage]:
    """One right message of each kind; what it is about need not exist."""
    edit = EditParams(box=BOX, mask_png=png(8, 8, "L", 255), prompt="a pear")
    made: list[m.ClientMessage] = [
        m.Hello(protocol=1, ticket="none", client="c"),
        m.Paint(op=op, layer="none", box=BOX, png=png(8, 8)),
        m.Transform(op=op, layer="none", matrix=(1.0, 0.0, 0.0, 1.0, 9.0, 9.0)),
        m.LayerAdd(op=op, layer="new", name="New"),
        m.LayerSet(op=op, layer="none", name="Other"),
        m.LayerMove(op=op, layer="none", index=0),
        m.LayerDelete(op=op, layer="none"),
        m.LayerGroup(op=op, layer="none", name="Group", members=["nowhere"]),
        m.LayerUngroup(op=op, layer="none"),
        m.LayerDuplicate(op=op, layer="none", copy="other"),
        m.LayerMerge(op=op, layer="none"),
        m.CanvasSet(op=op, title="Other"),
        m.Edit(op=op, edit=edit),
        m.Cancel(op=op, job="none-1"),
        m.Decide(op=op, job="none-1", accept=True),
        m.Undo(op=op),
        m.Redo(op=op),
        m.UndoPerson(op=op, user="nobody", minutes=5),
        m.CommentAdd(op=op, thread="none", text="hello"),
        m.CommentDelete(op=op, thread="none", comment="none-1"),
        m.ThreadResolve(op=op, thread="none", resolved=True),
        m.Restore(op=op, seq=0),
        m.VersionSet(op=op, version="v", name="First", seq=0),
        m.Cursor(x=1.0, y=1.0),
        m.Chat(text="hello"),
        m.Look(x0=0.0, y0=0.0, x1=9.0, y1=9.0),
        m.Stroke(id="s", kind="paint", points=[1.0, 1.0, 0.5]),
        m.Moving(layer="none", matrix=(1.0, 0.0, 0.0, 1.0, 9.0, 9.0)),
        m.Mask(tile=(0, 0), png=png(256, 256, "L", 255)),
        m.Prepare(box=BOX, png=png(8, 8, "L", 255)),
        m.Diverged(position=Position(1, 1), sum=1),
        m.Ping(n=7),
    ]
    return {type(message): message for message in made}


def test_r7_every_message_and_every_route_is_in_the_table_and_nothing_else(server: LiveServer) -> None:
    routes = [route.name for route in server.app.routes if isinstance(route, Route | WebSocketRoute)]
    assert len(routes) == len(server.app.routes)
    assert set(TABLE) == {*m.ClientMessage.__args__, *routes}
    assert set(messages(OpId("c", 1))) == set(OPS)


async def codes_of(who: RawMember, message: m.ClientMessage) -> set[str]:
    """Codes of what is refused up to the answer of a ping that follows; an op is answered by then too."""
    seen = len(who.seen)
    await who.send(message)
    if hasattr(message, "op"):
        await who.answer(message.op)
    await who.send(m.Ping(n=4711))
    await who.until(m.Pong, lambda pong: pong.n == 4711)
    return {each.code for each in who.seen[seen:] if isinstance(each, m.Reject | m.Problem)}


@pytest.mark.parametrize(("kind", "role"), EACH)
async def test_r7_a_role_may_send_what_the_table_says_and_nothing_else(
    canvas: Links, kind: type[m.ClientMessage], role: Role
) -> None:
    async with member(canvas.by_role[role]) as (who, _):
        codes = await codes_of(who, messages(who.op())[kind])
    assert ("not_allowed" in codes) == (ROLES.index(role) < ROLES.index(OPS[kind].value)), codes


@pytest.mark.parametrize("name", [name for name, need in ROUTES.items() if need.value in ROLES])
async def test_r7_a_route_lets_in_exactly_the_roles_of_the_table(server: LiveServer, canvas: Links, name: str) -> None:
    route = next(route for route in server.app.routes if isinstance(route, Route) and route.name == name)
    path = route.path.replace("{canvas}", canvas.edit.canvas)
    for part, value in {
        "{name}": "0" * 32, "{layer}": "l", "{level:int}": "1", "{tx:int}": "0", "{ty:int}": "0", "{key}": "0" * 16,
        "{seq:int}": "0", "{link}": "none", "{user}": "somebody",
    }.items():  # fmt: skip
        path = path.replace(part, value)
    method = next(iter(route.methods - {"HEAD"})) if route.methods else "GET"
    async with server.http() as http:
        assert (await http.request(method, path)).json()["code"] == "no_access"
        forged = await http.request(method, path, headers={"authorization": "Bearer e30.e30.x"})
        assert (forged.status_code, forged.json()["code"]) == (403, "token_invalid")
        for role in ROLES:
            access = (await ticket_of(canvas.by_role[role]))["access"]
            answer = await http.request(method, path, headers={"authorization": f"Bearer {access}"})
            refused = answer.status_code == 403
            assert refused == (ROLES.index(role) < ROLES.index(ROUTES[name].value)), (name, role, answer.text)


@pytest.mark.parametrize("role", ["viewer", "commenter"])
async def test_r7_who_may_not_edit_and_tries_everything_changes_nothing(canvas: Links, role: Role) -> None:
    async with member(canvas.edit) as (ana, welcome), member(canvas.by_role[role]) as (ben, _):
        for kind in OPS:
            if kind is not m.Hello:
                await codes_of(ben, messages(ben.op())[kind])
        ack = await ana.do(m.LayerAdd(op=ana.op(), layer="first", name="First"))
    assert ack.seq == welcome.position.seq + 1
