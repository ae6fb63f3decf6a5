"""The two tables of access: which roles may send which message, and what each HTTP route asks for (R7, design §8)."""

from collections.abc import Mapping
from enum import StrEnum

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Role


class Need(StrEnum):
    """What a route asks of the one who calls it."""

    NOTHING = "nothing"
    """Anybody; the route shows no canvas."""
    SECRET = "secret"
    """A link's secret in the body; the route itself exchanges it."""
    TICKET = "ticket"
    """A room ticket in the first message of the socket."""
    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"


_EVERYBODY: frozenset[Role] = frozenset({"owner", "editor", "viewer"})
_EDITORS: frozenset[Role] = frozenset({"owner", "editor"})
_NOBODY: frozenset[Role] = frozenset()

OPS: Mapping[type[m.ClientMessage], frozenset[Role]] = {
    m.Hello: _EVERYBODY,
    m.Ping: _EVERYBODY,
    m.Cursor: _EVERYBODY,
    m.Diverged: _EVERYBODY,
    m.Stroke: _EDITORS,
    m.Mask: _EDITORS,
    m.Prepare: _EDITORS,
    m.Paint: _EDITORS,
    m.LayerAdd: _EDITORS,
    m.LayerSet: _EDITORS,
    m.LayerMove: _EDITORS,
    m.LayerDelete: _EDITORS,
    m.CanvasSet: _EDITORS,
    m.Edit: _EDITORS,
    m.Cancel: _EDITORS,
    m.Decide: _EDITORS,
    m.Undo: _EDITORS,
    m.Redo: _EDITORS,
}
"""Roles that may send a message; one that is missing here may be sent by nobody. Whose job it is, `jobs` checks."""

ROUTES: Mapping[str, Need] = {
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
    "socket": Need.TICKET,
    "get_blob": Need.VIEWER,
    "get_mip": Need.VIEWER,
    "get_manifest": Need.VIEWER,
    "get_edits": Need.VIEWER,
    "get_thumb": Need.VIEWER,
    "export_png": Need.VIEWER,
    "get_storage": Need.VIEWER,
    "save_file": Need.EDITOR,
    "put_blob": Need.EDITOR,
    "import_image": Need.EDITOR,
    "list_links": Need.OWNER,
    "create_link": Need.OWNER,
    "revoke_link": Need.OWNER,
    "delete_canvas": Need.OWNER,
}
"""What each route, by its name, asks for; the app refuses to start with a route that is missing here."""

_RANK: Mapping[str, int] = {"viewer": 1, "editor": 2, "owner": 3}


def may(role: Role, message: type[m.ClientMessage]) -> bool:
    """Whether a member of this role may send such a message; no for everything that the table does not name."""
    return role in OPS.get(message, _NOBODY)


def satisfies(role: Role, need: Need) -> bool:
    """Whether a role is enough for a route that needs one; no for needs that are not roles."""
    return _RANK.get(role, 0) >= _RANK.get(need.value, 99)
