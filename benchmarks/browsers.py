"""Real browsers for the benchmarks: headless Chromium pages that have a canvas open, and what one does there."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)
WAIT_MS = 120_000


@contextlib.contextmanager
def browsers(count: int) -> Iterator[list[Browser]]:
    """So many separate browser processes, closed at the end; ends the program where Chromium is missing."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("This benchmark needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = [
            playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS)) for _ in range(count)
        ]
        try:
            yield opened
        finally:
            for browser in opened:
                browser.close()


def open_canvas(browser: Browser, link: str, name: str, *, width: int = 1280, height: int = 800) -> Page:
    """A page of a person called `name` with the canvas complete on the screen."""
    context = browser.new_context(viewport={"width": width, "height": height}, bypass_csp=True)
    context.add_init_script(f"localStorage.setItem('nb.bench.name', {name!r})")
    context.add_init_script("localStorage.setItem('nanobana.coached', 'true')")
    page = context.new_page()
    page.goto(link)
    page.wait_for_function("window.nanobana?.complete === true", timeout=WAIT_MS)
    done = page.get_by_test_id("name-done")
    if done.count():
        page.get_by_test_id("name-input").fill(name)
        done.click()
    return page


def drag_rectangle(page: Page, x0: int, y0: int, x1: int, y1: int) -> None:
    """The rectangle mask tool from one canvas point to another."""
    page.keyboard.press("r")
    start, end = (page.evaluate(f"window.nanobana.toPage({x}, {y})") for x, y in ((x0, y0), (x1, y1)))
    page.mouse.move(start["x"], start["y"])
    page.mouse.down()
    page.mouse.move((start["x"] + end["x"]) / 2, (start["y"] + end["y"]) / 2, steps=3)
    page.mouse.move(end["x"], end["y"], steps=3)
    page.mouse.up()


def epoch_ms(page: Page) -> float:
    """The page's clock now, in the milliseconds that pages of one machine share."""
    return float(page.evaluate("performance.timeOrigin + performance.now()"))


def jobs(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("window.nanobana.jobs")
    return found
