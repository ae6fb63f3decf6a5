"""A person with a browser: what they do with mouse, keys, fingers and pen, and what their page shows."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PIL import Image
from playwright.sync_api import APIResponse, BrowserContext, CDPSession, Locator, Page

Point = tuple[float, float]

PATIENCE_MS = 60_000
"""For any state of the page: a machine may be many times slower than ours, and what hangs still fails."""

CUT_OFF = 3
"""Times that a request goes again which met a connection that the server had just closed because it was idle."""

ENGINE_MS = 180_000
"""For a result, behind whatever edits of earlier tests the engine has in hand."""


class Person:
    """Acts on the page by test IDs and looks at it through `window.nanobana`.

    Args:
        origin: where the server is, e.g. ``http://127.0.0.1:8000``.
        is_new: has never seen a canvas, so that the first hints come.
    """

    def __init__(self, name: str, context: BrowserContext, origin: str, *, is_new: bool = False) -> None:
        self.name = name
        self.context = context
        self.origin = origin
        self.errors: list[str] = []
        me = json.dumps({"name": name, "named": True, "user": "", "userKey": ""})
        key = "nanobana.identity"
        context.add_init_script(f"localStorage.getItem('{key}') ?? localStorage.setItem('{key}', '{me}')")
        if not is_new:
            context.add_init_script("localStorage.setItem('nanobana.coached', 'true')")
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._cdp: CDPSession | None = None

    # ── going places ────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> Person:
        self.page.goto(self.origin)
        self.see("drop-zone")
        return self

    def start_with_sample(self) -> Person:
        self.start().tap("sample-picture")
        return self.brought(1)

    def open(self, link: str) -> Person:
        self.page.goto(link)
        return self.wait("nb.complete && nb.connection === 'live'")

    def brought(self, layers: int) -> Person:
        """Until pictures that were to come in are layers, so many in all, and the page is done with them."""
        return self.wait(
            f"nb.layers.length === {layers} && nb.importing === 0 && nb.unsaved === 0 && nb.complete"
            " && nb.connection === 'live'"
        )

    def new_canvas(self, width: int, height: int) -> dict[str, str]:
        """An empty canvas of that size; its links by role, as scripts make one."""
        wanted = {"width": width, "height": height}
        made = self.context.request.post(f"{self.origin}/api/canvases", data=wanted, max_retries=CUT_OFF).json()
        return {role: f"{self.origin}/c/{made['canvas']}#{secret}" for role, secret in made["links"].items()}

    def link(self, role: str) -> str:
        """The share link of a role, from the dialog."""
        self.tap("share")
        value = self.see(f"link-{role}").input_value()
        self.page.keyboard.press("Escape")
        return value

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────

    def see(self, testid: str, timeout_ms: float = PATIENCE_MS) -> Locator:
        found = self.page.get_by_test_id(testid).first
        found.wait_for(state="visible", timeout=timeout_ms)
        return found

    def shows(self, testid: str) -> bool:
        return self.page.get_by_test_id(testid).count() > 0

    def nb(self, expression: str) -> Any:
        """A value of the page's debug handle: ``nb("position")``."""
        return self.page.evaluate(f"() => window.nanobana.{expression}")

    def wait(self, condition: str, timeout_ms: float = PATIENCE_MS, *, every_ms: float | None = None) -> Person:
        """Until a condition over ``nb`` (the debug handle) holds.

        Args:
            every_ms: how often to look; None for each frame, where looking costs the page nothing.

        Raises:
            AssertionError: it did not in time; the message says how things stood.
        """
        try:
            self.page.wait_for_function(
                f"() => {{ const nb = window.nanobana; return Boolean(nb && ({condition})) }}",
                timeout=timeout_ms,
                polling=every_ms or "raf",
            )
        except Exception as error:
            if "Timeout" not in str(error):
                raise
            facts = ["connection", "pill", "unsaved", "position", "pending", "complete", "jobs"]
            state = {fact: self.nb(fact) for fact in facts}
            raise AssertionError(f"{self.name} never saw {condition}: {state}, errors {self.errors}") from None
        return self

    @property
    def seq(self) -> int:
        return int(self.nb("position")[1])

    def tiles(self) -> dict[str, str]:
        """Tile names by ``layer/tx/ty``, each checked against the bytes that its name gets (C2, C11)."""
        names: dict[str, str] = self.nb("tileNames")
        for name in set(names.values()):
            answer = self.fetch(f"blobs/{name}")
            assert answer.ok, f"{answer.status} for {name}"
            assert hashlib.blake2b(answer.body(), digest_size=16).hexdigest() == name
        return names

    def picture(self) -> Image.Image:
        """The export of the visible canvas, RGBA."""
        answer = self.fetch("export.png")
        assert answer.ok, answer.text()
        return Image.open(io.BytesIO(answer.body())).convert("RGBA")

    def fetch(self, what: str) -> APIResponse:
        """Something of the canvas's own, as the page would get it."""
        return self.context.request.get(f"{self.api}/{what}", max_retries=CUT_OFF)

    @property
    def api(self) -> str:
        return f"{self.origin}/api/canvases/{self.nb('canvas')['id']}"

    # ── doing ───────────────────────────────────────────────────────────────────────────────────────────────

    def tap(self, testid: str) -> None:
        self.page.get_by_test_id(testid).first.click()

    def press(self, keys: str) -> Person:
        self.page.keyboard.press(keys)
        return self

    @contextmanager
    def durably(self) -> Iterator[None]:
        """What is done inside is in the log at the end, and on this person's screen as everybody gets it.

        What others do meanwhile does not count for it: their changes move the position too.
        """
        before = self.nb("durable")
        yield
        self.wait(
            f"nb.durable > {before} && nb.unsaved === 0 && nb.position[1] >= nb.durable"
            " && nb.pending === 0 && nb.complete"
        )

    def press_durably(self, keys: str) -> Person:
        with self.durably():
            self.press(keys)
        return self

    def caught_up(self, *others: Person) -> Person:
        """Until this page shows what the others' pages have."""
        return self.wait(f"nb.position[1] >= {max(other.seq for other in others)} && nb.complete")

    def at(self, point: Point) -> tuple[float, float]:
        """Page coordinates of a canvas point."""
        place = self.page.evaluate("([x, y]) => window.nanobana.toPage(x, y)", list(point))
        return place["x"], place["y"]

    def point(self, point: Point) -> None:
        self.page.mouse.move(*self.at(point), steps=3)

    def drag(self, *points: Point, hold: Sequence[str] = (), release: bool = True) -> Person:
        """A stroke with the tool in hand through canvas points; `hold` names keys held meanwhile."""
        for key in hold:
            self.page.keyboard.down(key)
        self.page.mouse.move(*self.at(points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(point), steps=5)
        if release:
            self.page.mouse.up()
        for key in hold:
            self.page.keyboard.up(key)
        return self

    def paint(self, *points: Point) -> Person:
        """A paint stroke, durable and drawn from tiles at the end."""
        with self.durably():
            self.press("p").drag(*points)
        return self

    def mask_box(self, box: tuple[int, int, int, int]) -> Person:
        """A rectangle mask."""
        self.press("r").drag((box[0], box[1]), (box[2], box[3]))
        self.see("mask-bar")
        return self

    def touches(self, kind: str, *points: Point) -> None:
        """A raw touch event at page coordinates: touchStart, touchMove or touchEnd."""
        self._touch(kind, points, time.time())

    def tap_with(self, *points: Point) -> None:
        """So many fingers tap at once, for 50 ms by their own clock, however long the messages about it take."""
        ended = time.time()
        self._touch("touchStart", points, ended - 0.05)
        self._touch("touchEnd", (), ended)

    def _touch(self, kind: str, points: Sequence[Point], at: float) -> None:
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self._devtools().send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers, "timestamp": at})

    def pen(self, *points: tuple[float, float, float]) -> None:
        """A pen stroke through canvas points with pressure."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 2), "mouseReleased"]
        for kind, (x, y, force) in zip(kinds, points, strict=True):
            px, py = self.at((x, y))
            self._devtools().send(
                "Input.dispatchMouseEvent",
                {
                    "type": kind, "x": px, "y": py, "button": "left", "buttons": 1, "clickCount": 1,
                    "pointerType": "pen", "force": force,
                },
            )  # fmt: skip

    def _devtools(self) -> CDPSession:
        if self._cdp is None:
            self._cdp = self.context.new_cdp_session(self.page)
        return self._cdp


def same_canvas(*people: Person) -> bool:
    """Equal in C11's sense: layer lists, tile names, and bytes by those names."""
    first, *others = people
    tiles, layers = first.tiles(), first.nb("layers")
    return all(person.tiles() == tiles and person.nb("layers") == layers for person in others)
