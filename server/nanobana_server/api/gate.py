"""Who calls: a request's access by cookie or Bearer token, checked against what counts now (design §8, R7)."""

from starlette.requests import Request

from nanobana.protocol.errors import NotAllowed, NotFound
from nanobana_server.policy.standing import StandingWatch
from nanobana_server.policy.table import Need, satisfies
from nanobana_server.policy.tokens import Access, Signer

_MAX_ID = 64
_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def cookie_of(canvas: str) -> str:
    """Name of the cookie that opens a canvas; its path is the canvas's own."""
    return f"nb_{canvas}"


def canvas_of(request: Request) -> str:
    """The canvas that a path names.

    Raises:
        NotFound: ``no_canvas`` for what cannot be an ID at all.
    """
    canvas: str = request.path_params["canvas"]
    if not 0 < len(canvas) <= _MAX_ID or not _ID_CHARACTERS.issuperset(canvas):
        raise NotFound("there is no such canvas", code="no_canvas")
    return canvas


class Gate:
    """Checks requests against the table of routes."""

    def __init__(self, signer: Signer, standing: StandingWatch) -> None:
        self._signer = signer
        self._standing = standing

    async def require(self, request: Request, need: Need) -> Access:
        """The access of a caller that may use a route which needs a role.

        Raises:
            NotAllowed: ``no_access``, ``token_invalid``, ``token_expired``, ``revoked``, ``kicked``, ``banned`` or
                ``not_allowed``.
        """
        canvas = canvas_of(request)
        access = self._signer.check(self._token(request, canvas))
        if access.canvas != canvas:
            raise NotAllowed("this access is for another canvas", code="no_access")
        role = await self._standing.role_of(access)
        if not satisfies(role, need):
            raise NotAllowed(f"this needs the role of {need.value}; yours is {role}")
        return access

    @staticmethod
    def _token(request: Request, canvas: str) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        cookie = request.cookies.get(cookie_of(canvas))
        if not cookie:
            raise NotAllowed("open the canvas by its link first", code="no_access")
        return cookie
