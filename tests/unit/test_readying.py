"""What is made ready beside the steps: a flood stands behind everybody else's, and nothing is left (E7)."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack

import anyio
import pytest

from nanobana_engine.memory.flights import GoesOn
from nanobana_engine.worker.niceness import NICER
from nanobana_engine.worker.readying import Readying


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own on Linux only")
async def test_e7_edits_of_who_has_several_in_hand_take_only_the_time_that_others_leave() -> None:
    readying = Readying(2)
    found: dict[str, int] = {}

    async def ready(user: str) -> None:
        def work(_goes_on: GoesOn) -> None:
            found[user] = _niceness() - usual

        await readying.run(user, work)

    usual = _niceness()
    with ExitStack() as hands:
        for user in ("flood", "flood", "ana"):
            hands.enter_context(readying.in_hand(user))
        await ready("flood")
        await ready("ana")
    assert found == {"flood": NICER, "ana": 0}
    readying.check_integrity()
    readying.close()


async def test_e8_work_whose_edit_is_cancelled_hears_of_it_and_leaves_nothing() -> None:
    readying, begun, told = Readying(1), threading.Event(), threading.Event()

    def work(goes_on: GoesOn) -> None:
        begun.set()
        while goes_on():
            told.wait(0.005)
        told.set()

    async def edit() -> None:
        with readying.in_hand("ana"):
            await readying.run("ana", work)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(edit)
        await anyio.to_thread.run_sync(begun.wait, 5)
        tasks.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(told.wait, 5)
    readying.check_integrity()
    readying.close()
