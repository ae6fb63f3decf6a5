"""A page may use the server it came from, and those of the allow-list."""

import pytest

from nanobana_server.policy.origin import is_allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "nb.example", True),
        ("https://nb.example", "nb.example", True),
        ("https://nb.example:443", "nb.example", True),
        ("http://nb.example:8000", "nb.example:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://NB.example", "nb.example", True),
        ("https://studio.example", "nb.example", True),
        ("http://nb.example:8001", "nb.example:8000", False),
        ("https://nb.example.evil", "nb.example", False),
        ("https://evil/nb.example", "nb.example", False),
        ("null", "nb.example", False),
        ("file://", "nb.example", False),
        ("https://nb.example:port", "nb.example", False),
        ("", "nb.example", False),
        ("https://nb.example", None, False),
    ],
)
def test_only_own_and_listed_origins_are_allowed(origin: str | None, host: str | None, allowed: bool) -> None:
    assert is_allowed(origin, host, {"https://studio.example"}) == allowed
