"""`nanobana serve` when its processes are killed: nothing acknowledged is lost and nothing is left behind (C10, J4)."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from support.allinone import BROKEN, AllInOne, gone

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]
READY = "nanobana is ready"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., AllInOne]]:
    """Starts supervisors on one data folder; all of them are ended after the test."""
    started: list[AllInOne] = []

    def start(**settings: object) -> AllInOne:
        run = AllInOne(tmp_path / "data", **settings).start()  # type: ignore[arg-type]
        started.append(run)
        return run

    yield start
    for run in started:
        run.end()


def client(run: AllInOne) -> redis.Redis:
    return redis.Redis.from_url(f"unix://{run.data / 'valkey' / 'valkey.sock'}")


def test_j4_killing_the_parent_leaves_no_orphan(start: Callable[..., AllInOne]) -> None:
    run = start()
    run.wait_for(READY)
    parts = run.parts()
    assert len(parts) == 3

    run.signal(signal.SIGKILL)

    assert gone(parts)


def test_c10_a_start_after_a_killed_parent_waits_for_its_store_and_has_its_data(
    start: Callable[..., AllInOne],
) -> None:
    run = start()
    run.wait_for(READY)
    with client(run) as store:
        store.set("acknowledged", "yes")
    run.signal(signal.SIGKILL)
    run.process.wait()

    second = start(port=run.port)

    second.wait_for(READY)
    with client(second) as store:
        assert store.get("acknowledged") == b"yes"


def test_c10_a_killed_store_comes_back_on_its_files_with_all_that_was_acknowledged(
    start: Callable[..., AllInOne],
) -> None:
    run = start()
    run.wait_for(READY)
    with client(run) as store:
        for number in range(50):
            store.set(f"key:{number}", number)
    killed = run.part("store")

    killed.kill()

    run.wait_for("starting it again")
    with redis.Redis.from_url(
        f"unix://{run.data / 'valkey' / 'valkey.sock'}",
        retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 600),
        retry_on_error=[redis.ConnectionError, redis.BusyLoadingError],
    ) as store:
        assert [store.get(f"key:{number}") for number in range(50)] == [str(n).encode() for n in range(50)]
    assert run.part("store").pid != killed.pid


@pytest.mark.parametrize("name", ["server", "engine"])
def test_j4_a_killed_part_is_started_again_and_the_others_stay(start: Callable[..., AllInOne], name: str) -> None:
    run = start()
    run.wait_for(READY)
    store, killed = run.part("store").pid, run.part(name)

    killed.kill()

    run.wait_for("was ended by SIGKILL; starting it again")
    assert gone([killed])
    assert run.part("store").pid == store


def test_c10_a_second_start_on_one_folder_is_refused_and_names_the_holder(start: Callable[..., AllInOne]) -> None:
    run = start()
    run.wait_for(READY)

    second = start()

    assert second.wait() == 75
    said = "\n".join(second.lines)
    assert f"process ID {run.process.pid}" in said
    assert f"http://127.0.0.1:{run.port}" in said
    assert run.process.poll() is None


def test_a_taken_port_is_a_clear_error_before_anything_starts(start: Callable[..., AllInOne]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        run = start(port=port)

        assert run.wait() == 98
    assert "another program listens there already" in "\n".join(run.lines)
    assert not run.data.exists()


def test_j4_ctrl_c_stops_server_then_engine_then_store(start: Callable[..., AllInOne]) -> None:
    run = start()
    run.wait_for(READY)
    parts = run.parts()

    run.signal(signal.SIGINT)

    assert run.wait() == 0
    stopping = [line.split()[2] for line in run.lines if line.endswith("stopping")]
    assert stopping == ["server", "engine", "store"]
    assert gone(parts)


def test_ctrl_c_while_it_still_starts_leaves_nothing(start: Callable[..., AllInOne]) -> None:
    run = start()
    run.wait_for("engine  starting")
    parts = run.parts()

    run.signal(signal.SIGINT)

    assert run.wait() == 0
    assert gone(parts)


def test_an_existing_store_is_used_instead_of_an_embedded_one(start: Callable[..., AllInOne]) -> None:
    run = start(redis_url="redis://127.0.0.1:1/0")

    run.wait_for(READY)

    assert len(run.parts()) == 2
    assert run.part("engine").environ()["NANOBANA_REDIS_URL"] == "redis://127.0.0.1:1/0"


def test_a_part_that_never_works_ends_the_run_with_its_last_words(start: Callable[..., AllInOne]) -> None:
    run = start(engine=BROKEN)

    assert run.wait() == 70
    said = "\n".join(run.lines)
    assert "The engine ended with exit code 1, 3 times in a row before it was ready" in said
    assert "no such model" in said
