"""Where something that comes in as layers goes, and telling the room how far it is."""

import msgspec
import structlog
from starlette.requests import Request

from nanobana.protocol import codec
from nanobana.protocol.canvas import Identifier, OpId, Title
from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana.protocol.messages import ImportProgress
from nanobana_server.api.bodies import read_query
from nanobana_server.policy.tokens import Access
from nanobana_server.store import Store
from nanobana_server.store.ops.imports import Progress

SENDER = "import"
"""Stands for the server on the volatile channel, so that its own rooms hear of the progress too."""

_log = structlog.get_logger("nanobana.pictures")


class Placement(msgspec.Struct, frozen=True):
    """Query of POST …/images and …/import.ora."""

    client: Identifier
    n: int
    layer: Identifier
    name: Title = ""
    x: int = 0
    y: int = 0


async def read_placement(request: Request, store: Store, access: Access) -> tuple[Placement, OpId]:
    """What the query says, and the op that it is; the client is the asker's from now on.

    Raises:
        BadInput: ``bad_query``, ``bad_client``.
        NanobanaError: those of `Store.bind_client`.
    """
    place = read_query(request, Placement, "where should this picture go?")
    try:
        op = msgspec.convert((place.client, place.n), OpId)
    except msgspec.ValidationError as error:
        raise BadInput(f"where should this picture go? {error}", code="bad_query") from error
    if place.client.startswith(("srv-", "grp-")):
        raise BadInput("client IDs with this beginning are the server's own", code="bad_client")
    await store.bind_client(access.canvas, place.client, access.user)
    return place, op


def telling(store: Store, access: Access, op: OpId) -> Progress:
    """Tells the room, over the volatile channel: a word that is lost is followed by others."""

    async def tell(done: int, of: int) -> None:
        progress = ImportProgress(op=op, user=access.user, done=done, of=of)
        try:
            await store.publish(access.canvas, SENDER, codec.encode(progress))
        except NanobanaError:
            _log.debug("progress lost", canvas=access.canvas)

    return tell
