"""The built web client over HTTP: cached as it may be, packed, and nothing from outside its folder."""

from collections.abc import AsyncIterator

import pytest

from support.live_server import LiveServer, live_server
from support.valkey import PrivateValkey

SCRIPT = "export const a = 'nanobana';\n" * 400


@pytest.fixture(scope="module")
async def built(
    anyio_backend: object, valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveServer]:
    folder = tmp_path_factory.mktemp("built") / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>built</title>", "utf-8")
    (folder / "assets" / "index-abc.js").write_text(SCRIPT, "utf-8")
    (folder / "manifest.webmanifest").write_text("{}", "utf-8")
    (folder.parent / "secret.txt").write_text("secret", "utf-8")
    async with live_server(valkey.url, static=folder) as live:
        yield live


@pytest.mark.parametrize("path", ["/", "/c/some-canvas"])
async def test_the_page_is_asked_for_again_and_may_run_only_our_own_scripts(built: LiveServer, path: str) -> None:
    async with built.http() as http:
        answer = await http.get(path)
        again = await http.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert "built" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert again.status_code == 304


async def test_an_asset_is_kept_for_ever_and_sent_packed_to_whoever_can_unpack_it(built: LiveServer) -> None:
    async with built.http() as http:
        packed = await http.get("/assets/index-abc.js")
        plain = await http.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert "immutable" in packed.headers["cache-control"]
    assert packed.headers["content-type"].startswith("text/javascript")
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.text == plain.text == SCRIPT
    assert int(packed.headers["content-length"]) < len(SCRIPT) / 4


async def test_a_manifest_has_its_own_type(built: LiveServer) -> None:
    async with built.http() as http:
        answer = await http.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"


NOT_OURS = ["/../secret.txt", "/assets/..%2f..%2fsecret.txt", "/%2e%2e/secret.txt"]
NOWHERE = ["/assets/none.js", "/a%00b", "/" + "a" * 5000]


@pytest.mark.parametrize("path", NOT_OURS + NOWHERE, ids=range(6))
async def test_nothing_outside_the_folder_is_served(built: LiveServer, path: str) -> None:
    async with built.http() as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_file")
