"""Who gets in over HTTP: cookies, secrets, origins, limits (R7, design §8)."""

from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import InvalidStatus

from support.live_server import Links, LiveServer, live_server
from support.members import member, socket_of, ticket_of
from support.valkey import PrivateValkey


@pytest.fixture(scope="module")
async def guarded(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    allowed = "https://studio.example"
    async with live_server(valkey.url, allowed_origins=allowed, new_canvases_per_minute=3) as live:
        yield live


async def test_a_cookie_opens_the_canvas_too_and_only_that_one(server: LiveServer, canvas: Links) -> None:
    async with server.http() as http:
        answer = await http.post(f"{canvas.view.api}/tickets", json={"secret": canvas.view.secret})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert f"path=/api/canvases/{canvas.view.canvas}".lower() in cookie
        assert (await http.get(f"{canvas.view.api}/manifest")).status_code == 200


async def test_a_wrong_secret_opens_nothing(server: LiveServer, canvas: Links) -> None:
    async with server.http() as http:
        for link in (f"/api/canvases/{canvas.edit.canvas}", "/api/canvases/none", "/api/canvases/a.b"):
            answer = await http.post(f"{link}/tickets", json={"secret": "guess"})
            assert answer.status_code in (403, 404) and "secret" not in answer.text


async def test_r7_a_user_id_belongs_to_the_browser_that_has_its_key(server: LiveServer, canvas: Links) -> None:
    first = await ticket_of(canvas.edit)
    again = await ticket_of(canvas.edit, user=first["user"], user_key=first["user_key"])
    assert again["user"] == first["user"]
    async with server.http() as http:
        stolen = {"secret": canvas.edit.secret, "user": first["user"], "user_key": "0" * 32}
        answer = await http.post(f"{canvas.edit.api}/tickets", json=stolen)
    assert (answer.status_code, answer.json()["code"]) == (403, "user_key_wrong")


@pytest.mark.parametrize(
    ("origin", "opens"),
    [(None, True), ("own", True), ("https://studio.example", True), ("https://evil.example", False), ("null", False)],
)
async def test_pages_of_other_origins_are_kept_out(guarded: LiveServer, origin: str | None, opens: bool) -> None:
    headers = {} if origin is None else {"origin": guarded.origin if origin == "own" else origin}
    async with guarded.http() as http:
        answer = await http.post("/api/canvases/none/tickets", json={"secret": "x"}, headers=headers)
        assert (answer.json()["code"] != "origin_not_allowed") == opens


async def test_a_socket_from_a_foreign_page_is_refused_before_it_is_opened(guarded: LiveServer) -> None:
    links = await guarded.new_canvas()
    with pytest.raises(InvalidStatus) as refused:
        async with socket_of(links.edit, origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with socket_of(links.edit, origin="https://studio.example") as socket:
        assert socket.state.name == "OPEN"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("DELETE", "/nowhere", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "no_such_file"),
        ("POST", "/api/canvases", 400, "bad_json"),
    ],
)
async def test_every_refusal_has_a_code(server: LiveServer, method: str, path: str, status: int, code: str) -> None:
    async with server.http() as http:
        answer = await http.request(method, path, content=b"{" if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]


async def test_new_canvases_are_limited_per_address(guarded: LiveServer) -> None:
    async with guarded.http() as http:
        answers = [await http.post("/api/canvases", json={}) for _ in range(4)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "too_many" and answers[-1].json()["retry_ms"] > 0


async def test_the_last_owners_link_cannot_be_revoked(server: LiveServer, canvas: Links) -> None:
    access = (await ticket_of(canvas.owner))["access"]
    async with server.http(headers={"authorization": f"Bearer {access}"}) as http:
        links = (await http.get(f"{canvas.owner.api}/links")).json()
        mine = next(link for link in links if link["yours"])
        assert "secret" not in mine and canvas.owner.secret not in str(links)
        answer = await http.delete(f"{canvas.owner.api}/links/{mine['id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
        made = (await http.post(f"{canvas.owner.api}/links", json={"role": "viewer"})).json()
        assert made["role"] == "viewer" and made["secret"]


async def test_readiness_tells_store_and_engines_and_the_metrics_name_no_canvas(
    server: LiveServer, canvas: Links
) -> None:
    async with server.http() as http, member(canvas.edit):
        assert (await http.get("/healthz")).status_code == 200
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "store": True, "engines": 0, "loading": ""})
        figures = (await http.get("/metrics")).text
        assert "nanobana_members 1.0" in figures
        assert canvas.edit.canvas not in figures


async def test_the_page_may_run_only_our_own_scripts(server: LiveServer) -> None:
    async with server.http() as http:
        for path in ("/", "/c/anything"):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert "default-src 'self'" in answer.headers["content-security-policy"]
        lost = await http.get("/assets/../../settings.py")
        assert (lost.status_code, lost.json()["code"]) == (404, "no_such_file")
