"""`nanobana doctor`: what it looks at, how it says it, and what it makes of a machine that is not fit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from nanobana.findings import WIDTH, Finding, as_json, as_text, is_broken
from nanobana.keyspace.client import Client
from nanobana_engine.models import doctor as engine
from nanobana_engine.runner.device import Gpu
from nanobana_server.allinone import doctor as server
from support.valkey import PrivateValkey, free_port, private_valkey

TWO_GPUS = (Gpu("Small", 8 << 30, lambda: 7 << 30), Gpu("Large", 80 << 30, lambda: 70 << 30))


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


def texts(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.text for finding in findings}


def told(url: str, folder: Path) -> dict[str, Finding]:
    """What the server's side says with that store."""
    found = server.look({"NANOBANA_DATA": str(folder), "NANOBANA_REDIS_URL": url})
    return {finding.what: finding for finding in found}


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(tcp=True, fsync="no") as running:
        yield running


def ask(valkey: PrivateValkey, *words: str) -> None:
    async def call() -> None:
        client = Client(valkey.url, connections=1)
        await client.call(*words)
        await client.aclose()

    anyio.run(call)


def doctor_where(folder: Path, *, fails: dict[str, str]) -> tuple[int, dict[str, dict[str, str]]]:
    """The command in a Python where importing these modules raises, by module and a line that raises it."""
    program = f"""
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name in {fails!r}:
            exec({fails!r}[name])
sys.meta_path.insert(0, Broken())
from nanobana.cli import main
main(["doctor", "--json"])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": "/usr/bin", "HOME": str(folder), "PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, {each["what"]: each for each in json.loads(ended.stdout)["findings"]}


def test_findings_fit_a_narrow_terminal_and_a_program() -> None:
    found = [
        Finding(what="store", text="answers"),
        Finding(what="a long name", state="warn", text="word " * 40, advice="do this"),
        Finding(what="disk", state="fail", text="full"),
    ]
    text = as_text(found)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.splitlines()[0] == "ok    store        answers"
    assert "→ do this" in text
    assert json.loads(as_json(found))["ok"] is False
    assert is_broken(found) and not is_broken(found[:2])


def test_e10_the_engines_side_names_device_memory_models_and_backends() -> None:
    found = engine.look({})
    assert set(states(found)) == {
        "device", "memory", "budgets", "models", "pictures", "attention", "quantization", "packages",
    }  # fmt: skip
    assert not is_broken(found)


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"NANOBANA_MEMORY_BUDGET": "much"}, "budgets"),
        ({"NANOBANA_CACHE_BUDGET": "-1"}, "budgets"),
        ({"NANOBANA_WEIGHTS": "int4"}, "quantization"),
    ],
)
def test_a_setting_that_cannot_be_is_a_failure_with_its_reason(environ: dict[str, str], what: str) -> None:
    found = engine.look(environ)
    assert states(found)[what] == "fail"


def test_c10_a_store_that_may_lose_or_evict_is_told(tmp_path: Path) -> None:
    with private_valkey(fsync="everysec") as valkey:
        found = server.look({"NANOBANA_DATA": str(tmp_path), "NANOBANA_REDIS_URL": valkey.url})
    assert (states(found)["store"], states(found)["store's fsync"]) == ("ok", "warn")
    absent = server.look({"NANOBANA_DATA": str(tmp_path), "NANOBANA_REDIS_URL": "redis://u:secret@127.0.0.1:1/0"})
    assert states(absent)["store"] == "fail"
    assert "secret" not in as_text(absent)


def test_a_port_in_use_and_a_folder_that_is_a_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = server.look({"NANOBANA_DATA": str(tmp_path / "file"), "PORT": str(taken.getsockname()[1])})
    assert states(found)["port"] == "warn"
    assert states(found)["data folder"] == "fail"


def test_the_command_answers_programs_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "nanobana.cli", "doctor", "--json"],
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(ended.stdout)["findings"][0]["what"] == "nanobana", ended.stderr
    assert ended.returncode == (0 if json.loads(ended.stdout)["ok"] else 1)


@contextmanager
def a_plain_user() -> Iterator[None]:
    """Root may enter every folder: with its rights put aside for the block, as anybody else would be stopped."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_entered_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o001)
    try:
        with a_plain_user():
            found = {each.what: each for each in server.look({"NANOBANA_DATA": str(closed / "data")})}
    finally:
        closed.chmod(0o700)
    assert (found["data folder"].state, "disk" in found) == ("fail", False)
    assert "Permission denied" in found["data folder"].text


@pytest.mark.parametrize("how", ["raise OSError('libtorch_cpu.so: cannot open')", "raise ImportError('bad symbol')"])
def test_a_torch_that_cannot_be_loaded_is_told(tmp_path: Path, how: str) -> None:
    code, found = doctor_where(tmp_path, fails={"torch": how})
    assert code == 1
    assert (found["engine"]["state"], "reinstall" in found["engine"]["advice"]) == ("fail", True)
    assert found["store"]["state"] == "ok"


def test_packages_that_are_missing_are_failures(tmp_path: Path) -> None:
    gone = "raise ModuleNotFoundError('No module named ' + repr(name), name=name)"
    code, found = doctor_where(tmp_path, fails=dict.fromkeys(("starlette", "diffusers", "patchmatch"), gone))
    assert code == 1
    assert (found["server"]["state"], "'starlette'" in found["server"]["text"]) == ("fail", True)
    assert (found["packages"]["state"], found["packages"]["text"]) == ("fail", "no diffusers, no pypatchmatch")


def test_attention_on_a_cpu_names_the_kernels_that_run_there() -> None:
    assert texts(engine.look({}, there=()))["attention"].startswith("torch's own (flash, math)")


@pytest.mark.parametrize(
    ("named", "device", "budget"),
    [
        ("", "cuda:0: Small, 7.0 GiB of 8.0 GiB free", "7.2 GiB"),
        ("cuda", "cuda:0: Small, 7.0 GiB of 8.0 GiB free", "7.2 GiB"),
        ("cuda:1", "cuda:1: Large, 70.0 GiB of 80.0 GiB free", "72.0 GiB"),
    ],
)
def test_e10_device_and_budget_are_those_of_the_gpu_that_is_named(named: str, device: str, budget: str) -> None:
    found = texts(engine.look({"NANOBANA_DEVICE": named}, there=TWO_GPUS))
    assert found["device"].startswith(device)
    assert found["budgets"].startswith(budget)


def test_e10_the_cpu_is_named_beside_a_gpu() -> None:
    found, alone = (texts(engine.look({"NANOBANA_DEVICE": "cpu"}, there=there)) for there in (TWO_GPUS, ()))
    assert found["device"].startswith("CPU") and "Small unused" in found["device"]
    assert found["budgets"] == alone["budgets"]


@pytest.mark.parametrize("named", ["nonsense", "cuda:2", "cuda:x", "mps", "meta"])
def test_a_device_that_is_not_there_is_a_failure(named: str) -> None:
    found = engine.look({"NANOBANA_DEVICE": named}, there=TWO_GPUS)
    assert states(found)["device"] == "fail"
    assert named in texts(found)["device"]


def test_c10_a_store_that_hides_its_settings_is_asked_another_way(valkey: PrivateValkey, tmp_path: Path) -> None:
    ask(valkey, "ACL", "SETUSER", "shy", "on", ">pw", "~*", "&*", "+@all", "-config")
    ask(valkey, "ACL", "SETUSER", "mute", "on", ">pw", "~*", "&*", "+@all", "-config", "-info")
    address = valkey.tcp_url.removeprefix("redis://")
    ask(valkey, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        shy, mute = (told(f"redis://{user}:pw@{address}", tmp_path) for user in ("shy", "mute"))
    finally:
        ask(valkey, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert (shy["store's policy"].state, "allkeys-lru" in shy["store's policy"].text) == ("fail", True)
    assert (mute["store's policy"].state, mute["store's fsync"].state) == ("warn", "warn")
    assert all("CONFIG SET" not in each.advice for each in mute.values())


def refused(valkey: PrivateValkey) -> str:
    return valkey.tcp_url.replace("redis://", "redis://nobody:secret@")


@pytest.mark.parametrize(
    ("url", "why", "advice"),
    [
        (refused, "refuses the user or the password", "correct them"),
        (lambda valkey: valkey.tcp_url.replace("redis:", "redis+cluster:"), "no cluster", "redis:// instead"),
        (lambda valkey: valkey.tcp_url.replace("/0", "/99"), "DB index", "own log"),
        (lambda _: "redis://nobody:secret@no-such-host.invalid:6379/0", "no host of this name", "correct it"),
        (lambda _: "redis://u:secret@127.0.0.1:1/0", "nobody listens", "start it"),
        (lambda _: "unix:///tmp/no-such-folder/valkey.sock?password=secret", "nobody listens", "start it"),
        (lambda _: "http://u:secret@127.0.0.1:6379", "no address of a store", "redis://"),
        (lambda _: "secret@127.0.0.1", "no address of a store", "redis://"),
    ],
)
def test_a_store_that_is_not_reached_is_told_with_its_own_reason(
    valkey: PrivateValkey, tmp_path: Path, url: Callable[[Any], str], why: str, advice: str
) -> None:
    found = told(url(valkey), tmp_path)["store"]
    assert found.state == "fail"
    assert why in found.text and advice in found.advice
    assert "secret" not in found.text + found.advice
