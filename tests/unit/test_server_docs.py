"""docs/server.md names every setting with its default, route with its need, close code and figure of the server."""

import re
from pathlib import Path

import pytest

from nanobana.protocol import messages
from nanobana_server.metrics import Metrics
from nanobana_server.policy.table import ROUTES, Need
from nanobana_server.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
NEEDS = {need: need.name.lower() for need in Need} | {Need.SECRET: "link's secret", Need.TICKET: "room ticket"}
CODES = {name: value for name, value in vars(messages).items() if name.startswith("CLOSE_")}


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table."""
    part = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line[:3] == "| `"]


def in_words(default: object) -> str:
    """As the page says it."""
    match default:
        case None | ():
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case str():
            return f"`{default}`"
        case int() if default % 2**30 == 0 and default > 0:
            return f"{default >> 30} GiB"
        case int() if default % 2**20 == 0 and default > 0:
            return f"{default >> 20} MiB"
        case int() if default % 1_000_000 == 0 and default > 0:
            return f"{default // 1_000_000} million"
        case int() | float():
            return f"{default:g}"
        case _:
            return "the packaged build"


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    told = {row[0]: row[1] for row in rows("Settings")}[f"`{name.upper()}`"]
    assert told.removesuffix(" s").strip("`") == in_words(Settings.model_fields[name].default).strip("`")


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_every_route_is_documented_with_what_it_needs(name: str) -> None:
    told = next(row for row in rows("Routes") if f"`{name}`" in row[0])[2]
    assert re.sub("^(an owner's|a) ", "", told).startswith(NEEDS[ROUTES[name]])


@pytest.mark.parametrize(("name", "code"), sorted(CODES.items()))
def test_r8_every_close_code_is_documented(name: str, code: int) -> None:
    assert f"| {code} | `{name}` |" in PAGE


def test_every_figure_is_documented() -> None:
    kinds = {"counter": "_total"}
    for family in Metrics().registry.collect():
        assert f"`{family.name}{kinds.get(family.type, '')}`" in PAGE
