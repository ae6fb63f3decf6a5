"""Several things at once under one parent, with the first failure as itself and not as a group."""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from nanobana.protocol.errors import NanobanaError


async def together(calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Await all calls at once; on the first of our own errors the others are cancelled and it is raised."""
    failed: list[NanobanaError] = []

    async with anyio.create_task_group() as group:

        async def guarded(call: Callable[[], Awaitable[object]]) -> None:
            try:
                await call()
            except NanobanaError as error:
                failed.append(error)
                group.cancel_scope.cancel()

        for call in calls:
            group.start_soon(guarded, call)
    if failed:
        raise failed[0]
