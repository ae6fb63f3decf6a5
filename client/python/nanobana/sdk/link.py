"""Share links: where a canvas lives and the secret that opens it, ``http://host/c/CANVAS#SECRET``."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from nanobana.protocol.errors import BadInput


@dataclass(frozen=True, slots=True)
class Link:
    """A parsed share link. The secret is in the fragment, so it never reaches a server's log."""

    origin: str
    canvas: str
    secret: str

    @classmethod
    def parse(cls, url: str) -> "Link":
        """Raises BadInput (``bad_link``) for anything that is not ``http(s)://host/c/CANVAS#SECRET``."""
        parts = urlsplit(url)
        path = parts.path.strip("/").split("/")
        if parts.scheme not in ("http", "https") or len(path) != 2 or path[0] != "c" or not parts.fragment:
            raise BadInput(f"{url!r} is not a share link like http://host/c/CANVAS#SECRET", code="bad_link")
        return cls(f"{parts.scheme}://{parts.netloc}", path[1], parts.fragment)

    def __str__(self) -> str:
        return f"{self.origin}/c/{self.canvas}#{self.secret}"

    @property
    def api(self) -> str:
        return f"{self.origin}/api/canvases/{self.canvas}"

    @property
    def socket(self) -> str:
        return self.api.replace("http", "ws", 1) + "/ws"
