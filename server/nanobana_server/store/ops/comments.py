"""Threads of comments that are pinned to the canvas: say something, take it back, resolve."""

import math

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import MAX_COMMENTS, Comment, Thread
from nanobana.protocol.errors import BadInput, NotAllowed, NotFound, TooMany
from nanobana.protocol.messages import CommentAdd, CommentDelete, ThreadResolve
from nanobana_server.store.ops.landing import land
from nanobana_server.store.store import Store
from nanobana_server.store.types import Author, Commit, Committed, ThreadWrite

CommentOp = CommentAdd | CommentDelete | ThreadResolve

MAX_THREADS = 500
"""On one canvas."""

_thread = msgspec.msgpack.Decoder(Thread)


async def comment_op(store: Store, canvas: str, author: Author, message: CommentOp) -> Committed:
    """Change one thread.

    Raises:
        NotFound: ``no_thread``, ``no_comment``.
        NotAllowed: ``not_yours``: somebody else's comment, and the author is no owner.
        BadInput: ``empty_comment``, ``bad_place``.
        TooMany: ``too_many_threads``, ``too_many_comments``.
    """

    async def attempt() -> Committed:
        keys = CanvasKeys(canvas)
        before = await store.client.call("HGET", keys.comments, message.thread) or b""
        thread = _thread.decode(before) if before else None
        if thread is None and await store.client.call("HLEN", keys.comments) >= MAX_THREADS:
            raise TooMany(f"A canvas has {MAX_THREADS} comment threads at most: delete some.", code="too_many_threads")
        after = changed(thread, message, author, await store.now_ms())
        write = ThreadWrite(before=before, after=after)
        return await store.commit(canvas, Commit(op=message.op, user=author.user, kind="comment", thread=write))

    return await land(store, canvas, message.op, attempt)


def changed(thread: Thread | None, message: CommentOp, author: Author, now_ms: int) -> Thread:
    """A thread after an op; without comments it is gone. Raises like `comment_op`."""
    if isinstance(message, CommentAdd):
        return _said(thread, message, author, now_ms)
    if thread is None:
        raise _no_thread()
    if isinstance(message, ThreadResolve):
        return msgspec.structs.replace(thread, resolved=message.resolved)
    doomed = next((comment for comment in thread.comments if comment.id == message.comment), None)
    if doomed is None:
        raise NotFound("This comment was deleted already.", code="no_comment")
    if doomed.user != author.user and not author.is_owner:
        raise NotAllowed("Only its author or an owner may delete a comment.", code="not_yours")
    return msgspec.structs.replace(thread, comments=[comment for comment in thread.comments if comment is not doomed])


def _said(thread: Thread | None, message: CommentAdd, author: Author, now_ms: int) -> Thread:
    if not message.text.strip():
        raise BadInput("A comment needs words.", code="empty_comment")
    if thread is None:
        if message.x is None or message.y is None:
            raise _no_thread()
        if not (math.isfinite(message.x) and math.isfinite(message.y)):
            raise BadInput("A comment is pinned to a place on the canvas.", code="bad_place")
        thread = Thread(id=message.thread, x=message.x, y=message.y)
    if len(thread.comments) >= MAX_COMMENTS:
        raise TooMany(f"A thread has {MAX_COMMENTS} comments at most: pin another one.", code="too_many_comments")
    comment = Comment(
        id=f"{message.op.client}-{message.op.n}",
        user=author.user,
        name=author.name,
        color=author.color,
        text=message.text,
        time_ms=now_ms,
    )
    return msgspec.structs.replace(thread, comments=[*thread.comments, comment], resolved=False)


def _no_thread() -> NotFound:
    return NotFound("This thread was deleted meanwhile.", code="no_thread")
