"""Comments: pinned, answered, resolved and taken back, by several people at once, and kept (C3, C5, C6, C8)."""

import io

import anyio
import pytest

from nanobana.protocol.canvas import Thread
from nanobana.protocol.errors import BadInput, NanobanaError, NotAllowed, NotFound
from nanobana.protocol.messages import CommentAdd, CommentDelete, ThreadResolve
from nanobana_server.store import Store, ops
from support.strokes import Easel, author


async def say(easel: Easel, user: str, text: str, *, thread: str = "t", pin: bool = False) -> int:
    place = {"x": 12.5, "y": 40.0} if pin else {}
    message = CommentAdd(op=easel.op(user), thread=thread, text=text, **place)
    return (await ops.comment_op(easel.store, easel.id, author(user), message)).seq


async def the_thread(easel: Easel) -> Thread:
    (thread,) = await easel.store.threads(easel.id)
    return thread


async def test_r11_a_thread_is_pinned_answered_resolved_and_open_again_with_a_further_word(
    store: Store, easel: Easel
) -> None:
    await say(easel, "ana", "Is this the right red?", pin=True)
    await say(easel, "ben", "Darker, I think.")
    thread = await the_thread(easel)
    assert (thread.x, thread.y, [(said.name, said.text) for said in thread.comments]) == (
        12.5,
        40.0,
        [("Ana", "Is this the right red?"), ("Ben", "Darker, I think.")],
    )
    change = (await easel.log())[-1]
    assert (change.kind, change.user, change.thread) == ("comment", "ben", thread)
    resolve = ThreadResolve(op=easel.op("ana"), thread="t", resolved=True)
    await ops.comment_op(store, easel.id, author("ana"), resolve)
    assert (await the_thread(easel)).resolved
    await say(easel, "ben", "One more thing.")
    assert not (await the_thread(easel)).resolved


async def test_c5_everybodys_answer_survives_when_all_answer_at_once(easel: Easel) -> None:
    await say(easel, "ana", "Who is in?", pin=True)
    async with anyio.create_task_group() as group:
        for n in range(12):
            group.start_soon(say, easel, f"u{n}", f"me, {n}")
    said = [comment.text for comment in (await the_thread(easel)).comments]
    assert sorted(said) == sorted(["Who is in?", *(f"me, {n}" for n in range(12))])


async def test_c6_a_comment_that_is_sent_again_is_said_once(store: Store, easel: Easel) -> None:
    message = CommentAdd(op=easel.op(), thread="t", text="Once.", x=1.0, y=1.0)
    first = await ops.comment_op(store, easel.id, author(), message)
    again = await ops.comment_op(store, easel.id, author(), message)
    assert (again.seq, again.first_time) == (first.seq, False)
    assert len((await the_thread(easel)).comments) == 1


async def test_r11_only_its_author_or_an_owner_takes_a_comment_back_and_a_thread_goes_with_its_last_one(
    store: Store, easel: Easel
) -> None:
    await say(easel, "ana", "first", pin=True)
    await say(easel, "ben", "second")
    first, second = (await the_thread(easel)).comments

    async def delete(user: str, comment: str, *, is_owner: bool = False) -> None:
        message = CommentDelete(op=easel.op(user), thread="t", comment=comment)
        await ops.comment_op(store, easel.id, author(user, is_owner=is_owner), message)

    with pytest.raises(NotAllowed) as refused:
        await delete("ben", first.id)
    assert refused.value.code == "not_yours"
    await delete("ana", first.id)
    assert (await the_thread(easel)).comments == [second]
    await delete("cy", second.id, is_owner=True)
    assert await store.threads(easel.id) == []
    with pytest.raises(NotFound) as gone:
        await say(easel, "ana", "anybody?")
    assert gone.value.code == "no_thread"


@pytest.mark.parametrize(
    ("text", "x", "error", "code"),
    [
        ("  ", 1.0, BadInput, "empty_comment"),
        ("here", float("nan"), BadInput, "bad_place"),
        ("re", None, NotFound, "no_thread"),
    ],
)
async def test_r10_a_comment_that_cannot_be_is_refused_with_a_reason(
    store: Store, easel: Easel, text: str, x: float | None, error: type[NanobanaError], code: str
) -> None:
    message = CommentAdd(op=easel.op(), thread="t", text=text, x=x, y=x)
    with pytest.raises(error) as refused:
        await ops.comment_op(store, easel.id, author(), message)
    assert refused.value.code == code


@pytest.mark.parametrize("history", [True, False])
async def test_r11_comments_travel_in_the_canvas_file(store: Store, easel: Easel, history: bool) -> None:
    await say(easel, "ana", "Is this the right red?", pin=True)
    await say(easel, "ben", "Yes.")
    file = io.BytesIO()
    await ops.write_canvas_file(store, easel.id, file, history=history)
    file.seek(0)
    copy = f"{easel.id}c"
    await store.create_canvas(copy)
    await ops.read_canvas_file(store, copy, file)
    assert await store.threads(copy) == await store.threads(easel.id)
    more = CommentAdd(op=easel.op("cy"), thread="t", text="Hello from here.")
    await ops.comment_op(store, copy, author("cy"), more)
    assert len((await store.threads(copy))[0].comments) == 3
