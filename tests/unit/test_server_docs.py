"""docs/server.md names every setting, route, close code and figure of the server."""

from pathlib import Path

import pytest

from nanobana.protocol import messages
from nanobana_server.metrics import Metrics
from nanobana_server.policy.table import ROUTES
from nanobana_server.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
CODES = {name: value for name, value in vars(messages).items() if name.startswith("CLOSE_")}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name.upper()}` |" in PAGE


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_every_route_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize(("name", "code"), sorted(CODES.items()))
def test_r8_every_close_code_is_documented(name: str, code: int) -> None:
    assert f"| {code} | `{name}` |" in PAGE


def test_every_figure_is_documented() -> None:
    kinds = {"counter": "_total"}
    for family in Metrics().registry.collect():
        assert f"`{family.name}{kinds.get(family.type, '')}`" in PAGE
