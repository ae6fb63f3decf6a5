"""`nanobana doctor`: what it looks at, how it says it, and what it makes of a machine that is not fit."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nanobana.findings import WIDTH, Finding, as_json, as_text, is_broken
from nanobana_engine.models import doctor as engine
from nanobana_server.allinone import doctor as server
from support.valkey import free_port, private_valkey


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


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
        "device", "memory", "budgets", "models", "pictures", "attention", "quantization", "versions",
    }  # fmt: skip
    assert not is_broken(found)


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"NANOBANA_MEMORY_BUDGET": "much"}, "budgets"),
        ({"NANOBANA_CACHE_BUDGET": "-1"}, "budgets"),
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
