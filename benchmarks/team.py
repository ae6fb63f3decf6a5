"""What a team waits for: an undo that the other browser shows, the history of a long-lived canvas; and what is tested.

    python benchmarks/team.py [--undos 15] [--ops 10000]

`undo_ms_p95`: two real browsers on a 3840 x 2160 canvas of ten layers; an AI edit of 512² was accepted; from the press
of Ctrl+Z in one to the frame in which the other has drawn the pixels of before. `history_open_ms`: on a canvas with
`--ops` changes, from the click on the list of everything to the frame in which its first page with the newest picture
is there (a fresh browser, median of five). `behaviours_tested`: those of the behaviours that a team needs which a test
in two real browsers carries in its name.
"""

import argparse
import re
import time
from functools import partial
from pathlib import Path

import numpy as np
from anyio.from_thread import start_blocking_portal
from browsers import WAIT_MS, browsers, drag_rectangle, open_canvas
from harness import median, product, report
from pictures import grainy_photo, png
from playwright.sync_api import Browser, Page

from nanobana.sdk import create_canvas, join_blocking

WIDTH, HEIGHT, LAYERS, REGION = 3840, 2160, 10, 512
WANTED = (11, 15, 19, 22, 26, 27, 28, 29, 30, 31, 32)
"""Behaviours that the job of this page is about."""

TELL_WHEN = """
(before) => new Promise((resolve) => {
    const look = () => {
        const nb = window.nanobana
        const done = JSON.stringify(nb.tileNames) === before && nb.complete
        if (done) requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()))
        else requestAnimationFrame(look)
    }
    look()
})
"""
NOTE_PRESS = (
    "addEventListener('keydown', (event) => { if (event.key === 'z') window.pressedAt = performance.timeOrigin"
    " + performance.now() }, { capture: true })"
)


def layered(origin: str) -> str:
    """A 4K canvas of ten layers with pixels in each; its edit link."""
    with start_blocking_portal() as portal:
        links = portal.call(partial(create_canvas, origin, title="team", width=WIDTH, height=HEIGHT))
    with join_blocking(links.edit, name="setup") as canvas:
        canvas.add_image(png(np.tile(grainy_photo(1024), (3, 4, 1))[:HEIGHT, :WIDTH]))
        for n in range(LAYERS - 1):
            layer = canvas.add_layer(f"Layer {n}")
            canvas.paint(layer, 300 * n, 200 * n, np.full((256, 256, 4), (20 * n, 90, 200, 120), np.uint8))
    return str(links.edit)


def undo_times(one: Browser, other: Browser, link: str, rounds: int) -> list[float]:
    """Milliseconds from each press to the other's pixels."""
    ana, ben = open_canvas(one, link, "Ana"), open_canvas(other, link, "Ben")
    ana.evaluate(NOTE_PRESS)
    times = []
    for n in range(rounds):
        x, y = 200 + 211 * (n % 12), 300 + 97 * (n % 9)
        before = ben.evaluate("JSON.stringify(nanobana.tileNames)")
        drag_rectangle(ana, x, y, x + REGION, y + REGION)
        ana.get_by_test_id("prompt").fill("a red apple")
        ana.keyboard.press("Control+Enter")
        ana.get_by_test_id("accept").wait_for(timeout=WAIT_MS)
        position = ana.evaluate("nanobana.position[1]")
        ana.get_by_test_id("accept").click()
        for page in (ana, ben):
            settled = f"nanobana.position[1] > {position} && nanobana.complete && nanobana.unsaved === 0"
            page.wait_for_function(settled, timeout=WAIT_MS)
        ben.evaluate(f"void (window.drawn = ({TELL_WHEN})({before!r}))")
        ana.locator("body").press("Control+z")
        drawn = ben.evaluate("window.drawn")
        times.append(drawn - ana.evaluate("window.pressedAt"))
        ana.wait_for_function(f"nanobana.position[1] > {position + 1} && nanobana.unsaved === 0", timeout=WAIT_MS)
        ana.keyboard.press("Control+d")
    return times


def long_lived(origin: str, ops: int) -> str:
    """A canvas on which so much happened; its edit link."""
    with start_blocking_portal() as portal:
        links = portal.call(partial(create_canvas, origin, title="long", width=1024, height=1024))
    with join_blocking(links.edit, name="setup") as canvas:
        layer = canvas.add_layer("Ink")
        patch = np.zeros((8, 8, 4), np.uint8)
        patch[..., 3] = 255
        for n in range(ops):
            patch[..., 0] = n % 256
            canvas.paint(layer, 10 * (n % 100), 10 * (n // 100 % 100), patch)
    return str(links.edit)


def open_times(browser: Browser, link: str, rounds: int = 5) -> list[float]:
    """Milliseconds from the click to the list and its newest picture."""
    return [_opened(open_canvas(browser, link, f"Ana {n}")) for n in range(rounds)]


def _opened(page: Page) -> float:
    if not page.get_by_test_id("tab-history").count():
        page.get_by_test_id("toggle-panel").click()
    page.get_by_test_id("tab-history").click()
    page.get_by_test_id("tab-past").wait_for()
    took = page.evaluate(
        """() => new Promise((resolve) => {
            const began = performance.now()
            document.querySelector('[data-testid=tab-past]').click()
            const look = () => {
                const image = document.querySelector('[data-testid=moment] img')
                const there = image?.complete && image.naturalWidth > 0
                if (there) requestAnimationFrame(() => resolve(performance.now() - began))
                else requestAnimationFrame(look)
            }
            look()
        })"""
    )
    page.context.close()
    return float(took)


def behaviours_tested() -> list[int]:
    """Numbers of the wanted behaviours that stand in a browser test's name."""
    tests = (Path(__file__).parents[1] / "tests" / "e2e").glob("test_*.py")
    texts = "\n".join(test.read_text() for test in tests)
    named = {int(number) for number in re.findall(r"^def test_behaviour_(\d+)_", texts, re.MULTILINE)}
    return [number for number in WANTED if number in named]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--undos", type=int, default=15)
    parser.add_argument("--ops", type=int, default=10_000)
    options = parser.parse_args()
    with product() as origin, browsers(2) as (one, other):
        undos = sorted(undo_times(one, other, layered(origin), options.undos))
        began = time.monotonic()
        link = long_lived(origin, options.ops)
        print(f"{options.ops} changes made in {time.monotonic() - began:.0f} s")
        opened = open_times(one, link)
    tested = behaviours_tested()
    report(
        undo_ms_p95=round(undos[min(len(undos) - 1, int(0.95 * len(undos)))], 1),
        undo_ms_p50=round(median(undos), 1),
        history_open_ms=round(median(opened), 1),
        history_open_ms_worst=round(max(opened), 1),
        history_ops=options.ops,
        behaviours_tested=len(tested),
        behaviours=tested,
    )


if __name__ == "__main__":
    main()
