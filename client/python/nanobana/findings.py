"""What a look at a machine found: one line each, good, worth a thought or broken, with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Literal

import msgspec

WIDTH = 80
"""Columns of a narrow terminal."""

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "warn", "fail"] = "ok"
    text: str
    advice: str = ""
    """What to do about it; "" where nothing need be done."""


def as_text(findings: Sequence[Finding]) -> str:
    """For people: columns, long sentences wrapped under their own."""
    column = max((len(finding.what) for finding in findings), default=0)
    lines: list[str] = []
    for finding in findings:
        sentence = finding.text + (f" → {finding.advice}" if finding.advice else "")
        room = max(30, WIDTH - column - 8)
        first, *rest = wrap(sentence, room) or [""]
        lines.append(f"{MARKS[finding.state]}  {finding.what.ljust(column)}  {first}")
        lines += [" " * (column + 8) + line for line in rest]
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """For programs: ``{"ok": …, "findings": [{"what", "state", "text", "advice"}]}``."""
    return msgspec.json.encode({"ok": not is_broken(findings), "findings": list(findings)}).decode()


def is_broken(findings: Sequence[Finding]) -> bool:
    """Whether anything fails: nanobana will not run as it is."""
    return any(finding.state == "fail" for finding in findings)
