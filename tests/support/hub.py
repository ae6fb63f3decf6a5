"""A model hub on this machine, with the three routes that a download uses, and ways to spoil them."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHA = "0" * 39 + "1"


@dataclass(slots=True)
class FakeHub:
    """Serves repositories out of folders."""

    repos: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    cut_after: int | None = None
    """Bytes of a file after which the connection breaks, once a file."""
    asked: list[str] = field(default_factory=list)
    """Paths of files that were sent, with the byte that they were sent from."""
    url: str = ""
    broken: set[str] = field(default_factory=set)
    """Files whose connection has broken."""

    def refusal(self, repo: str) -> str | None:
        if repo not in self.repos:
            return "RepoNotFound"
        return "GatedRepo" if repo in self.gated else None


class _Handler(BaseHTTPRequestHandler):
    """Answers for the hub of its server."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:])
        elif "resolve" in parts:
            self._file("/".join(parts[:2]), "/".join(parts[4:]), with_body=with_body)
        else:
            self._json({}, 404)

    def _api(self, repo: str, rest: list[str]) -> None:
        hub = self.server.hub
        if hub.refusal(repo) == "RepoNotFound":
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["tree"]:
            folder = hub.repos[repo]
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            self._json([{"type": "file", "path": path.relative_to(folder).as_posix(), "size": path.stat().st_size,
                         "oid": _etag(path)} for path in files])  # fmt: skip
        else:
            self._json({"id": repo, "sha": SHA, "siblings": []})

    def _file(self, repo: str, name: str, *, with_body: bool) -> None:
        hub = self.server.hub
        refusal = hub.refusal(repo)
        path = hub.repos.get(repo, Path()) / name
        if refusal or not path.is_file():
            self._json({}, 403 if refusal == "GatedRepo" else 404, {"X-Error-Code": refusal or "EntryNotFound"})
            return
        data = path.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0] or 0)
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{_etag(path)}"')
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            self._send(name, data, start)

    def _send(self, name: str, data: bytes, start: int) -> None:
        hub = self.server.hub
        hub.asked.append(f"{name}@{start}")
        if hub.cut_after is None or len(data) <= hub.cut_after or name in hub.broken:
            self.wfile.write(data[start:])
            return
        hub.broken.add(name)
        self.wfile.write(data[start : start + hub.cut_after])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _json(self, body: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: FakeHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub

    def handle_error(self, *_: object) -> None:
        """A connection that was cut is meant."""


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub at `url`, until the end of the block."""
    hub = FakeHub()
    server = _Server(hub)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
