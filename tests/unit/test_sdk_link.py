"""Share links are read strictly: a wrong one is named before anything is sent."""

import pytest

from nanobana.protocol.errors import BadInput
from nanobana.sdk.link import Link


def test_a_link_keeps_its_secret_out_of_every_request_path() -> None:
    link = Link.parse("http://127.0.0.1:8000/c/abc#s3cret")
    assert link.socket == "ws://127.0.0.1:8000/api/canvases/abc/ws"
    assert "s3cret" not in link.api
    assert str(link) == "http://127.0.0.1:8000/c/abc#s3cret"


@pytest.mark.parametrize("url", ["", "abc", "http://h/c/abc", "http://h/abc#s", "ftp://h/c/abc#s", "http://h/c/a/b#s"])
def test_anything_else_is_refused_as_bad_link(url: str) -> None:
    with pytest.raises(BadInput) as told:
        Link.parse(url)
    assert told.value.code == "bad_link"
