"""Signed tokens: who a person is, and what a link's secret was exchanged for (design §8)."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable

import jwt
import msgspec

from nanobana.protocol.canvas import Role
from nanobana.protocol.errors import NotAllowed

ACCESS_S = 12 * 3600
"""Life of an access token. The page asks for a new one with every ticket."""

_CACHED = 4096


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what on which canvas, by which link; carried by the cookie, the Bearer token and the room ticket."""

    canvas: str
    role: Role
    """Of the link; what the person is now, `policy.standing` says."""
    link: str
    user: str
    name: str
    color: str = ""
    """The one that the person chose, if any."""
    watch: bool = False
    """Came to watch only, whatever the link allows."""
    issued_ms: int = 0
    """When, by the store's clock."""
    expires: int
    """Seconds since the epoch."""


class Signer:
    """Signs and checks access tokens and user keys.

    Args:
        key: the store's secret, the same for all servers.
        now: seconds since the epoch.
    """

    def __init__(self, key: bytes, now: Callable[[], float]) -> None:
        self._key = key
        self._now = now
        self._checked: OrderedDict[str, Access] = OrderedDict()

    def sign(self, access: Access) -> str:
        claims = {"exp": access.expires, "nb": msgspec.to_builtins(access)}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def check(self, token: str) -> Access:
        """The access that a token carries.

        Raises:
            NotAllowed: ``token_invalid`` or ``token_expired``.
        """
        access = self._checked.get(token)
        if access is None:
            access = self._decoded(token)
            self._checked[token] = access
            if len(self._checked) > _CACHED:
                self._checked.popitem(last=False)
        if access.expires <= self._now():
            raise NotAllowed("your access has expired: open the link again", code="token_expired")
        return access

    def _decoded(self, token: str) -> Access:
        try:
            claims = jwt.decode(
                token, self._key, algorithms=["HS256"], options={"require": ["exp"], "verify_exp": False}
            )
            return msgspec.convert(claims["nb"], Access)
        except (jwt.PyJWTError, KeyError, msgspec.ValidationError) as error:
            raise NotAllowed("this access token is not valid here", code="token_invalid") from error

    def person(self, user: str | None, user_key: str | None) -> tuple[str, str]:
        """The user ID of a browser and its key: the one it proves to be, else a new one (R7).

        Raises:
            NotAllowed: ``user_key_wrong``: somebody else's user ID.
        """
        if user is None:
            user = secrets.token_urlsafe(12)
            return user, self._user_key(user)
        key = self._user_key(user)
        if user_key is None or not hmac.compare_digest(key.encode(), user_key.encode()):
            raise NotAllowed("this user ID belongs to another browser", code="user_key_wrong")
        return user, key

    def _user_key(self, user: str) -> str:
        return hmac.new(self._key, b"user:" + user.encode(), hashlib.sha256).hexdigest()[:32]
