"""The pinned versions: complete for what is installed, and never a CUDA build by accident."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(file: str) -> dict[str, str]:
    """Package → version, of one constraints file without those it includes."""
    lines = (ROOT / file).read_text().splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)==([^;\s]+)", line) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def wanted() -> list[Requirement]:
    """What the distribution asks for by itself, all extras included."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group if not text.startswith("nanobana[")]


def test_every_dependency_is_pinned_within_its_range() -> None:
    pinned = pins("constraints.txt")

    for requirement in wanted():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement} does not admit {version}"


def test_everything_that_the_dependencies_bring_is_pinned_too() -> None:
    pinned = pins("constraints.txt")
    open_names, seen = [requirement.name for requirement in wanted()], set()

    while open_names:
        name = open_names.pop()
        if canonicalize_name(name) in seen:
            continue
        seen.add(canonicalize_name(name))
        try:
            needs = [Requirement(text) for text in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue  # not for this platform
        open_names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]

    assert sorted(name for name in seen if name not in pinned) == []


def test_linux_gets_torchs_cpu_build_from_a_file_that_pypi_cannot_have() -> None:
    assert pins("constraints-cpu.txt") == {"torch": f"{pins('constraints.txt')['torch']}+cpu"}
    assert "-c constraints.txt" in (ROOT / "constraints-cpu.txt").read_text()
