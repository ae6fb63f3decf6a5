"""The command line: light to start, and clear about parts that are not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nanobana
from nanobana import cli


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--version"])

    assert capsys.readouterr().out == f"nanobana {nanobana.__version__}\n"


def test_a_part_that_is_not_installed_names_its_extra(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli._part("nanobana_engine.no_such_module", "The engine", "engine")

    assert ended.value.code == 69
    assert "pip install 'nanobana[engine]'" in capsys.readouterr().err


def test_a_bad_port_is_one_sentence_and_no_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "nanobana.cli", "serve"],
        env={"PORT": "eight", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 64
    assert ended.stderr == "nanobana: PORT is 'eight', and should be a number from 1 to 65535.\n"


def test_an_engine_that_cannot_run_its_model_says_why_and_ends_with_2() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "nanobana.cli", "engine", "--model", "nope", "--redis-url", "unix:///nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("nanobana engine: There is no model 'nope'. Known by name: nano,")


def test_asking_for_help_imports_no_part() -> None:
    script = (
        "import sys; from nanobana import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'starlette', 'redis', 'pydantic', 'diffusers') if name in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert told.splitlines()[-1] == "[]"
