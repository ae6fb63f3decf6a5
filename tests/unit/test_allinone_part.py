"""One supervised part: back-off, patient stop, what it left behind, and the tether to its parent (J4)."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from nanobana_server.allinone import tether
from nanobana_server.allinone.console import Console
from nanobana_server.allinone.errors import PartFailed, PartRefused
from nanobana_server.allinone.part import BACK_OFF_MAX_S, Keeper, Part, back_off, how_it_ended
from support.allinone import DEAF, ENGINE, gone

TELL_READY = "import sys; open(sys.argv[1], 'w').close()\n"


def keeper(script: str, tmp_path: Path, *, grace_s: float = 5) -> tuple[Keeper, io.StringIO, Path]:
    """A keeper of a script that makes the returned file once its signal handlers stand."""
    out, began = io.StringIO(), tmp_path / "began"
    lines = script.split("\nwhile", 1)
    program = TELL_READY if len(lines) == 1 else f"{lines[0]}\n{TELL_READY}while{lines[1]}"
    command = [sys.executable, "-c", program, str(began)]
    return Keeper(Part("engine", command, os.environ, tmp_path / "engine.log", grace_s), Console(out)), out, began


async def begin(file: Path) -> None:
    with anyio.fail_after(10):
        while not file.exists():  # noqa: ASYNC110, ASYNC240
            await anyio.sleep(0.01)


def test_waits_between_deaths_rise_to_a_limit() -> None:
    waits = [back_off(failures) for failures in range(1, 10)]

    assert waits == sorted(waits)
    assert waits[0] < 0.5
    assert waits[-1] == BACK_OFF_MAX_S


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit code 3"), (-9, "was ended by SIGKILL"), (-99, "was ended by signal 99")]
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert words in how_it_ended(code)


async def test_j4_a_part_is_stopped_by_asking(tmp_path: Path) -> None:
    kept, out, began = keeper(ENGINE, tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(kept.keep)
        await begin(began)

        await kept.stop()

    assert kept.pid is None
    assert "killed" not in out.getvalue()


async def test_j4_a_part_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    kept, out, began = keeper(DEAF, tmp_path, grace_s=0.2)
    async with anyio.create_task_group() as group:
        group.start_soon(kept.keep)
        await begin(began)

        await kept.stop()

    assert "did not stop within" in out.getvalue()


async def test_j4_cancelling_does_not_leave_a_part_behind(tmp_path: Path) -> None:
    kept, _, began = keeper(ENGINE, tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(kept.keep)
        await begin(began)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await kept.stop()

    assert kept.pid is None


async def test_a_part_that_was_never_ready_fails_after_three_deaths(tmp_path: Path) -> None:
    kept, _, _ = keeper("", tmp_path)

    with pytest.raises(PartFailed, match="3 times in a row"):
        await kept.keep()


async def test_a_part_that_refuses_what_it_was_told_is_not_tried_again(tmp_path: Path) -> None:
    kept, _, _ = keeper(
        "print('nanobana engine: There is no model.', flush=True)\nwhile True: raise SystemExit(2)", tmp_path
    )

    with pytest.raises(PartRefused) as refused:
        await kept.keep()

    assert str(refused.value) == "There is no model."
    assert (tmp_path / "engine.log").read_text().count("There is no model") == 1


async def test_stopping_a_part_that_never_ran_is_harmless(tmp_path: Path) -> None:
    await keeper(ENGINE, tmp_path)[0].stop()


def test_j4_a_tethered_process_whose_parent_is_gone_already_never_starts(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    somebody_else = "1"
    command = tether.tethered([sys.executable, "-c", TELL_READY, str(marker)])
    command[command.index(str(os.getpid()))] = somebody_else

    assert subprocess.run(command, check=False, start_new_session=True).returncode == 0
    assert not marker.exists()


def test_j4_a_tethered_process_dies_with_its_parent() -> None:
    child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    parent = (
        "import subprocess, sys; from nanobana_server.allinone.tether import tethered;"
        f"subprocess.Popen(tethered([sys.executable, '-c', {child!r}])).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child_process = psutil.Process(int(process.stdout.readline()))

        process.send_signal(signal.SIGKILL)

        assert gone([child_process])
