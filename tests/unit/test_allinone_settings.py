"""What `nanobana serve` reads from its environment, and what it tells its parts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from nanobana_server.allinone import settings
from nanobana_server.allinone.errors import BadSetting, PortTaken


def test_port_and_folder_are_respected(tmp_path: Path) -> None:
    read = settings.read({"PORT": "9001", "NANOBANA_DATA": str(tmp_path), "NANOBANA_HOST": "0.0.0.0"})

    assert (read.port, read.data, read.host) == (9001, tmp_path, "0.0.0.0")


def test_empty_variables_count_as_unset(tmp_path: Path) -> None:
    read = settings.read({"PORT": "", "NANOBANA_DATA": "", "XDG_DATA_HOME": str(tmp_path), "NANOBANA_REDIS_URL": ""})

    assert (read.port, read.data, read.redis_url) == (8000, tmp_path / "nanobana", None)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8000.5", "٨٠٠٠"])
def test_a_port_that_is_none_is_refused_by_name(port: str) -> None:
    with pytest.raises(BadSetting, match="PORT is"):
        settings.read({"PORT": port})


@pytest.mark.parametrize("budget", ["lots", "1024", "-5"])
def test_c12_a_store_budget_that_is_none_is_refused_by_name(budget: str) -> None:
    with pytest.raises(BadSetting, match="NANOBANA_STORE_BYTES"):
        settings.read({"NANOBANA_STORE_BYTES": budget})


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80")],
)
def test_the_printed_address_is_one_that_a_browser_can_open(host: str, address: str) -> None:
    assert settings.ServeSettings(Path("/data"), host, 80).address == address


def test_the_parts_are_told_the_store_the_folder_and_the_model() -> None:
    told = settings.ServeSettings(Path("/data"), model="nano").environment({"HOME": "/home/a"}, "unix:///s")

    assert told["NANOBANA_REDIS_URL"] == "unix:///s"
    assert told["NANOBANA_DATA"] == "/data"
    assert told["NANOBANA_MODEL"] == "nano"
    assert told["HOME"] == "/home/a"


def test_a_taken_port_is_found_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(PortTaken, match="another program listens there already"):
            settings.check_port("127.0.0.1", taken.getsockname()[1])


def test_a_host_that_nobody_knows_is_a_clear_error() -> None:
    with pytest.raises(PortTaken, match=r"not\.a\.host\.invalid"):
        settings.check_port("not.a.host.invalid", 8000)
