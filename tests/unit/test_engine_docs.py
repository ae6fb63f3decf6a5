"""docs/engine.md names every setting, part and error code of the engine."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "engine.md").read_text("utf-8")
ENGINE = ROOT / "engine" / "nanobana_engine"
OURS = [
    path
    for part in ("planner", "engine", "erase", "worker", "runner", "models")
    for path in (ENGINE / part).glob("*.py")
]


def test_every_setting_is_documented() -> None:
    named = set(re.findall(r'"(NANOBANA_\w+)"', (ENGINE / "worker" / "settings.py").read_text("utf-8")))
    assert named
    assert {name for name in named if f"`{name}`" not in PAGE} == set()


def test_every_error_code_is_documented() -> None:
    codes = {code for path in OURS for code in re.findall(r'code="(\w+)"', path.read_text("utf-8"))}
    assert len(codes) > 5
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_every_part_is_documented() -> None:
    parts = {path.parent.name for path in ENGINE.glob("*/__init__.py")} - {"assets"}
    assert {part for part in parts if f"| `{part}` |" not in PAGE} == set()
