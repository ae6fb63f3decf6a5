"""Where torch comes from: its CPU build where anybody has it, the default build only when said so (.ci/pip-install)."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with nothing in it but its name."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The only place that pip looks at, and constraints like ours beside it."""
    (tmp_path / "constraints.txt").write_text("torch==1.0\n")
    (tmp_path / "constraints-cpu.txt").write_text("-c constraints.txt\ntorch==1.0+cpu\n")
    wheel(tmp_path / "shelf", "canvas", "3.0")
    return tmp_path / "shelf"


def pip_install(shelf: Path, index: str = "") -> tuple[int, set[str], str]:
    """Exit code, what was installed, and what was said."""
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf), "PIP_TARGET": str(shelf.parent / "here")}
    done = subprocess.run(
        [ROOT / ".ci/pip-install", sys.executable, shelf.parent / "constraints-cpu.txt", index, "canvas"],
        env={**os.environ, **settings, "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {path.name.removesuffix(".dist-info") for path in (shelf.parent / "here").glob("*.dist-info")}
    return done.returncode, found, done.stderr


def test_the_cpu_build_is_taken_where_an_index_of_pips_has_it(shelf: Path) -> None:
    wheel(shelf, "torch", "1.0")
    wheel(shelf, "torch", "1.0+cpu")
    assert pip_install(shelf) == (0, {"torch-1.0+cpu", "canvas-3.0"}, "")


def test_without_a_cpu_build_anywhere_the_default_one_is_taken_and_said_so(shelf: Path) -> None:
    wheel(shelf, "torch", "1.0")
    code, found, said = pip_install(shelf)
    assert (code, found) == (0, {"torch-1.0", "canvas-3.0"})
    assert "gigabytes" in said
    assert "make TORCH_INDEX=" in said


def test_what_is_no_question_of_the_build_is_told_as_it_is(shelf: Path) -> None:
    (shelf.parent / "constraints.txt").unlink()
    code, found, said = pip_install(shelf)
    assert (code, found) == (1, set())
    assert "constraints.txt" in said
    assert "gigabytes" not in said


def test_an_index_that_was_named_and_has_it_not_is_an_error_not_a_large_download(shelf: Path) -> None:
    wheel(shelf, "torch", "1.0")
    code, found, said = pip_install(shelf, "http://127.0.0.1:9/nothing")
    assert (code, found) == (1, set())
    assert "make CONSTRAINTS=constraints.txt" in said
