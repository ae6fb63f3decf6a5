"""The one table of access: what each message and each HTTP route asks for, deny by default (R7, design §8)."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Role


class Need(StrEnum):
    """What a message or a route asks of the one who sends it."""

    NOTHING = "nothing"
    """Anybody; the route shows no canvas."""
    SECRET = "secret"
    """A link's secret in the body; the route itself exchanges it."""
    TICKET = "ticket"
    """A room ticket in the first message of the socket."""
    VIEWER = "viewer"
    COMMENTER = "commenter"
    EDITOR = "editor"
    OWNER = "owner"


ROLES: tuple[Role, ...] = ("viewer", "commenter", "editor", "owner")
"""Each may do what those before it may, and more."""

TABLE: Mapping[type[m.ClientMessage] | str, Need] = {
    m.Hello: Need.VIEWER,
    m.Ping: Need.VIEWER,
    m.Cursor: Need.VIEWER,
    m.Look: Need.VIEWER,
    m.Diverged: Need.VIEWER,
    m.Chat: Need.COMMENTER,
    m.Stroke: Need.EDITOR,
    m.Moving: Need.EDITOR,
    m.Mask: Need.EDITOR,
    m.Prepare: Need.EDITOR,
    m.Paint: Need.EDITOR,
    m.Transform: Need.EDITOR,
    m.LayerAdd: Need.EDITOR,
    m.LayerSet: Need.EDITOR,
    m.LayerMove: Need.EDITOR,
    m.LayerDelete: Need.EDITOR,
    m.LayerGroup: Need.EDITOR,
    m.LayerUngroup: Need.EDITOR,
    m.LayerDuplicate: Need.EDITOR,
    m.LayerMerge: Need.EDITOR,
    m.CanvasSet: Need.EDITOR,
    m.Edit: Need.EDITOR,
    m.Cancel: Need.EDITOR,
    m.Decide: Need.EDITOR,
    m.Undo: Need.EDITOR,
    m.Redo: Need.EDITOR,
    m.UndoPerson: Need.OWNER,
    m.CommentAdd: Need.COMMENTER,
    m.CommentDelete: Need.COMMENTER,
    m.ThreadResolve: Need.COMMENTER,
    m.Restore: Need.EDITOR,
    m.VersionSet: Need.EDITOR,
    "page": Need.NOTHING,
    "canvas_page": Need.NOTHING,
    "asset": Need.NOTHING,
    "healthz": Need.NOTHING,
    "readyz": Need.NOTHING,
    "metrics": Need.NOTHING,
    "sample": Need.NOTHING,
    "create_canvas": Need.NOTHING,
    "open_file": Need.NOTHING,
    "issue_ticket": Need.SECRET,
    "take_back": Need.SECRET,
    "socket": Need.TICKET,
    "get_blob": Need.VIEWER,
    "get_mip": Need.VIEWER,
    "get_manifest": Need.VIEWER,
    "get_edits": Need.VIEWER,
    "get_thumb": Need.VIEWER,
    "get_moments": Need.VIEWER,
    "get_past": Need.VIEWER,
    "get_past_mip": Need.VIEWER,
    "get_past_thumb": Need.VIEWER,
    "export_png": Need.VIEWER,
    "export_ora": Need.VIEWER,
    "get_storage": Need.VIEWER,
    "get_allowance": Need.EDITOR,
    "get_comments": Need.VIEWER,
    "save_file": Need.EDITOR,
    "put_blob": Need.EDITOR,
    "import_image": Need.EDITOR,
    "import_ora": Need.EDITOR,
    "list_links": Need.OWNER,
    "create_link": Need.OWNER,
    "revoke_link": Need.OWNER,
    "list_people": Need.OWNER,
    "set_role": Need.OWNER,
    "kick": Need.OWNER,
    "ban": Need.OWNER,
    "forgive": Need.OWNER,
    "delete_canvas": Need.OWNER,
}
"""Messages by their type, routes by their name; what is missing here nobody may send, and the app refuses to start with
such a route. Whose job it is, `jobs` checks."""

OPS: Mapping[type[m.ClientMessage], Need] = {what: need for what, need in TABLE.items() if not isinstance(what, str)}
ROUTES: Mapping[str, Need] = {what: need for what, need in TABLE.items() if isinstance(what, str)}


@cache
def may(role: Role, message: type[m.ClientMessage]) -> bool:
    """Whether a member of this role may send such a message; no for everything that the table does not name."""
    need = OPS.get(message)
    return need is not None and satisfies(role, need)


def satisfies(role: Role, need: Need) -> bool:
    """Whether a role is enough for what needs one; no for needs that are not roles."""
    return need.value in ROLES and ROLES.index(need.value) <= ROLES.index(role)
