"""A canvas that nobody opened for long wakes when somebody comes by a link of it (C8)."""

from collections.abc import AsyncIterator

import pytest

from nanobana.protocol import messages as m
from nanobana_server.store import Store, open_store
from nanobana_server.store.cellar import Cellar
from support.live_server import LiveServer, live_server
from support.members import member, ticket_of
from support.valkey import PrivateValkey


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cellar"))


@pytest.fixture(scope="module")
async def server(anyio_backend: object, valkey: PrivateValkey, folder: str) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url, cellar=folder) as live:
        yield live


@pytest.fixture
async def store(valkey: PrivateValkey, folder: str) -> AsyncIterator[Store]:
    opened = await open_store(valkey.url, cellar=Cellar(folder))
    yield opened
    await opened.aclose()


async def test_c8_a_link_wakes_its_canvas(server: LiveServer, store: Store) -> None:
    links = await server.new_canvas()
    async with member(links.edit) as (ana, _):
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="Sky"))
    assert await store.put_to_sleep(links.edit.canvas)
    async with member(links.view) as (_, welcome):
        assert welcome.manifest is not None
        assert [layer.name for layer in welcome.manifest.layers] == ["Sky"]


async def test_c8_a_page_that_was_open_all_the_time_goes_on(server: LiveServer, store: Store) -> None:
    links = await server.new_canvas()
    access = (await ticket_of(links.owner))["access"]
    assert await store.put_to_sleep(links.edit.canvas)
    async with server.http(headers={"authorization": f"Bearer {access}"}) as http:
        answer = await http.get(f"/api/canvases/{links.edit.canvas}/manifest")
    assert answer.status_code == 200


async def test_c8_a_wrong_secret_is_refused_after_the_waking_too(server: LiveServer, store: Store) -> None:
    links = await server.new_canvas()
    await store.put_to_sleep(links.edit.canvas)
    async with server.http() as http:
        answer = await http.post(f"{links.edit.api}/tickets", json={"secret": "wrong"})
    assert answer.json()["code"] == "bad_link"
