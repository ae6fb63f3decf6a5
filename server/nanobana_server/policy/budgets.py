"""Who may ask for how much: budgets per network address, person and link, which all servers count together (R10)."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from nanobana.keyspace import keys as names
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import TooMany
from nanobana_server.policy.rate import Clock
from nanobana_server.policy.tokens import Access
from nanobana_server.settings import Settings
from nanobana_server.store import Store
from nanobana_server.store.allowances import Spend

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0

_REMEMBERED = 4096

_WAIT = "then it goes on; nothing is lost"
_OWN_LINK = "or ask the owner for a link of your own"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A spend, and what to say where there is too little."""

    spend: Spend
    sentence: str
    """Who did too much of what; how long to wait follows."""
    advice: str = _WAIT


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What there is for a day, of whichever has less: the person, or all who came by their link."""

    per_day: int
    left: int
    next_s: int
    """Until one more is there."""
    is_shared: bool
    """It is the link's."""


class Budgets:
    """Spends, or says how long to wait; whoever was told to wait is told so again without asking the store.

    Args:
        clock: monotonic seconds.
        refused: told what somebody had too little of: "canvases", "tickets", "uploads" or "edits".
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock, refused: Callable[[str], None]) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._refused = refused
        self._told: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By key: until when how many units are not there."""

    async def canvas(self, address: str) -> None:
        """A new canvas for somebody at a network address. Raises TooMany."""
        limit = self._settings.new_canvases_per_minute
        text = f"More than {limit} canvases a minute were made from your network."
        await self._spend("canvases", [_of_address("canvases", address, limit, text)])

    async def knock(self, address: str) -> None:
        """A ticket is asked for from a network address, with whatever secret. Raises TooMany."""
        limit = self._settings.tickets_per_minute
        text = f"Canvases were opened more than {limit} times a minute from your network."
        await self._spend("tickets", [_of_address("tickets", address, limit, text)])

    async def ticket(self, canvas: str, link: str) -> None:
        """A ticket by a link. Raises TooMany."""
        limit = self._settings.tickets_per_minute * self._settings.link_share
        text = f"More than {limit} people a minute came by this link."
        await self._spend("tickets", [self._of_link("tickets", canvas, link, 1, limit, MINUTE_S, text)])

    async def upload(self, access: Access, size: int) -> None:
        """Bytes that somebody is about to send. Raises TooMany."""
        told = self._settings
        claims = self._both("uploads", access.canvas, access.user, access.link, 1, told.uploads_per_minute, MINUTE_S)
        claims += self._both("bytes", access.canvas, access.user, access.link, size, told.upload_bytes_per_hour, HOUR_S)
        await self._spend("uploads", claims)

    async def edit(self, canvas: str, user: str, link: str) -> None:
        """An edit that is about to be queued. Raises TooMany."""
        told = self._settings
        claims = self._both("edits", canvas, user, link, 1, told.edits_per_minute, MINUTE_S)
        if told.edits_per_day:
            claims += self._both("day", canvas, user, link, 1, told.edits_per_day, DAY_S)
        await self._spend("edits", claims)

    async def edits_left(self, canvas: str, user: str, link: str) -> Day | None:
        """What an edit asked for now would count against; None where nothing is counted by the day."""
        limit = self._settings.edits_per_day
        if not limit:
            return None
        claims = self._both("day", canvas, user, link, 1, limit, DAY_S)
        own, shared = await self._store.left([claim.spend for claim in claims])
        is_shared = shared.units < own.units
        least = shared if is_shared else own
        return Day(
            per_day=limit * self._settings.link_share if is_shared else limit,
            left=least.units,
            next_s=math.ceil(least.next_s),
            is_shared=is_shared,
        )

    def _both(
        self, what: str, canvas: str, user: str, link: str, units: int, limit: int, seconds: float
    ) -> list[_Claim]:
        """A person's share and that of everybody who came by the same link."""
        key = CanvasKeys(canvas).spent(what, f"u:{user}")
        text = f"You {_done(what, limit)}."
        own = _Claim(Spend(key=key, units=units, burst=limit, seconds=seconds), text)
        limit *= self._settings.link_share
        text = f"All who came by your link together {_done(what, limit)}."
        return [own, self._of_link(what, canvas, link, units, limit, seconds, text)]

    @staticmethod
    def _of_link(what: str, canvas: str, link: str, units: int, limit: int, seconds: float, text: str) -> _Claim:
        key = CanvasKeys(canvas).spent(what, f"l:{link}")
        return _Claim(Spend(key=key, units=units, burst=limit, seconds=seconds), text, _OWN_LINK)

    async def _spend(self, what: str, claims: Sequence[_Claim]) -> None:
        now = self._clock()
        for claim in claims:
            until, units = self._told.get(claim.spend.key, (0.0, 0.0))
            if until > now and claim.spend.units >= units:
                raise self._too_many(what, claim, until - now)
        short = await self._store.spend([claim.spend for claim in claims])
        if short is None:
            return
        which, wait = short
        claim = claims[which]
        self._told[claim.spend.key] = (now + wait, claim.spend.units)
        self._told.move_to_end(claim.spend.key)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        raise self._too_many(what, claim, wait)

    def _too_many(self, what: str, claim: _Claim, wait: float) -> TooMany:
        self._refused(what)
        return TooMany(f"{claim.sentence} Wait {_span(wait)}, {claim.advice}.", retry_ms=math.ceil(wait * 1000))


def _of_address(what: str, address: str, limit: int, text: str) -> _Claim:
    return _Claim(Spend(key=names.spent(what, network_of(address)), units=1, burst=limit, seconds=MINUTE_S), text)


def network_of(address: str) -> str:
    """Whom an address stands for: one of IPv4 itself, one of IPv6 its /64, which one household has whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False).network_address)


def _done(what: str, limit: int) -> str:
    match what:
        case "edits":
            return f"asked for more than {limit} edits a minute"
        case "day":
            return f"used up {limit} edits, which is what there is for a day"
        case "uploads":
            return f"sent more than {limit} pictures a minute"
    return f"sent more than {limit >> 20} MiB of pictures an hour"


def _span(seconds: float) -> str:
    if seconds <= 90.0:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{math.ceil(seconds / 60)} min" if seconds <= 5400.0 else f"{math.ceil(seconds / 3600)} h"
