"""The data folder's lock and the embedded store's command line (C10, C12)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from nanobana_server.allinone import lock, store
from nanobana_server.allinone.errors import DataInUse, DataUnusable


def test_c10_one_folder_has_one_holder_and_the_refusal_names_it(tmp_path: Path) -> None:
    with (
        lock.hold(tmp_path, "http://127.0.0.1:8000"),
        pytest.raises(DataInUse) as refused,
        lock.hold(tmp_path, "http://127.0.0.1:8001"),
    ):
        pass

    assert refused.value.pid == os.getpid()
    assert refused.value.address == "http://127.0.0.1:8000"


def test_c10_the_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with lock.hold(tmp_path, "a"):
        pass
    with lock.hold(tmp_path, "b"):
        pass


def test_c10_a_store_that_outlives_its_parent_keeps_the_lock_until_it_ends(tmp_path: Path) -> None:
    inherits = "import sys; sys.stdin.read()"
    with lock.hold(tmp_path, "a") as descriptor:
        orphan = subprocess.Popen([sys.executable, "-c", inherits], stdin=subprocess.PIPE, pass_fds=[descriptor])
    (tmp_path / lock.LOCK_NAME).write_bytes(msgspec.json.encode(lock.Holder(_dead_pid(), "a")))

    with pytest.raises(DataInUse), lock.hold(tmp_path, "b", orphan_wait_s=0):
        pass
    orphan.communicate()
    with lock.hold(tmp_path, "b"):
        pass


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataUnusable, match="NANOBANA_DATA"), lock.hold(tmp_path / "file" / "data", "a"):
        pass


def test_the_socket_lies_in_the_folder_where_the_path_is_short_enough(tmp_path: Path) -> None:
    assert store.socket_path(tmp_path) == tmp_path / "valkey.sock"


def test_a_long_folder_gets_a_private_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120)

    path = store.socket_path(folder)

    assert len(os.fsencode(path)) <= store.SOCKET_PATH_BYTES
    assert path.parent.stat().st_mode & 0o077 == 0
    assert store.socket_path(folder) == path
    path.parent.rmdir()


def test_c10_c12_the_store_syncs_always_and_never_evicts(tmp_path: Path) -> None:
    words = store.command(tmp_path / "valkey", tmp_path / "s")

    told = dict(zip(words[1::2], words[2::2], strict=True))
    assert (told["--appendonly"], told["--appendfsync"]) == ("yes", "always")
    assert told["--maxmemory-policy"] == "noeviction"
    assert told["--maxmemory"] == str(store.half_of_memory())
    assert told["--port"] == "0"


def test_a_store_that_is_away_does_not_answer(tmp_path: Path) -> None:
    assert not store.answers(tmp_path / "nobody")


def _dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid
