"""Reading what requests carry: bodies streamed and capped, JSON and queries typed."""

from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from nanobana.protocol.errors import BadInput
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.tokens import Access

JSON_BYTES = 64 * 1024

_T = TypeVar("_T")


class TooBig(BadInput):
    """The body is longer than allowed; it was not read to its end."""

    code = "upload_too_big"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"this is larger than the {limit >> 10} KiB that may be sent here")
        self.limit = limit


def size_of(request: Request, limit: int) -> int:
    """Bytes of the body by its header; one that does not say counts as the longest that may be sent."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else limit


async def pieces_of(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes, at most `limit` bytes.

    Raises:
        TooBig: it is longer, by its header or in fact.
        BadInput: ``upload_cut_off``.
    """
    if size_of(request, limit) > limit:
        raise TooBig(limit)
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise TooBig(limit)
            yield piece
    except ClientDisconnect as error:
        raise BadInput("the upload was cut off", code="upload_cut_off") from error


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; raises like `pieces_of`."""
    body = bytearray()
    async for piece in pieces_of(request, limit):
        body += piece
    return bytes(body)


async def read_upload(request: Request, limit: int, access: Access, budgets: Budgets) -> bytes:
    """A picture that somebody sends, whole; raises like `count_upload` and `pieces_of`."""
    await count_upload(request, limit, access, budgets)
    return await read_body(request, limit)


async def count_upload(request: Request, limit: int, access: Access, budgets: Budgets) -> None:
    """Count what somebody sends against their budgets, before it is read.

    Raises:
        TooBig: it is longer than `limit` by its header.
        TooMany: the sender's budget is used up.
    """
    size = size_of(request, limit)
    if size > limit:
        raise TooBig(limit)
    await budgets.upload(access, size)


def read_query(request: Request, kind: type[_T], question: str) -> _T:
    """The query as a struct.

    Args:
        question: what the caller left open, for the sentence of the refusal.

    Raises:
        BadInput: ``bad_query``, with the parameter that is wrong.
    """
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"{question} {error}", code="bad_query") from error


async def read_json(request: Request, kind: type[_T]) -> _T:
    """A small JSON body as a struct; an empty body is an empty object.

    Raises:
        BadInput: ``bad_json``, with the field that is wrong.
    """
    body = await read_body(request, JSON_BYTES)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"this request is not understood: {error}", code="bad_json") from error
