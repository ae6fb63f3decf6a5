"""How long a newcomer waits: a 4096 x 4096 canvas with a grainy photograph in a 1280 x 800 window.

    python benchmarks/join.py [--rounds 3] [--ops 10000] [--people 200]

`viewport_4k_ms`: navigation to every visible tile drawn, the worse of fit zoom and 100 %; `full_4k_ms`: until
all tiles are fetched and decoded; `history_ratio`: the viewport after `--ops` ops over that after 10 (C8), all of them
on the same ten spots: the same tiles are there to be seen, and only the history is longer. `crowd_s`: so many people
come at the same moment, until the last of them has every tile that their window shows (crowd.py).
"""

import argparse
import asyncio
import os

import numpy as np
from anyio.from_thread import start_blocking_portal
from browsers import WAIT_MS, browsers
from crowd import come_together
from harness import median, product, report
from pictures import grainy_photo, jpeg
from playwright.sync_api import Browser

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.raster.codec import encode_png
from nanobana.sdk import create_canvas, join

SIDE = 4096


async def prepare(origin: str) -> str:
    links = await create_canvas(origin, title="join")
    async with join(links.edit, name="setup") as canvas:
        await canvas.add_image(jpeg(grainy_photo(SIDE)))
    return links.edit


async def paint(link: str, count: int) -> None:
    """So many small strokes of changing colours on a layer of their own, a hundred on their way at a time."""
    strokes = [encode_png(np.full((8, 8, 4), (shade, 99, 40, 255), np.uint8)) for shade in range(0, 256, 23)]
    async with join(link, name="painter") as canvas:
        layer = canvas.layers[-1].id if len(canvas.layers) > 1 else await canvas.add_layer("strokes")
        spots = np.random.default_rng(1).integers(0, SIDE - 8, (10, 2)).tolist()
        for start in range(0, count, 100):
            await asyncio.gather(
                *(
                    canvas.connection.send(
                        m.Paint(op=canvas.next_op(), layer=layer, box=Box(x, y, x + 8, y + 8), png=strokes[n % 12])
                    )
                    for n in range(start, min(start + 100, count))
                    for x, y in [spots[n % 10]]
                )
            )


ZOOM_100 = """
const wait = () => {
  if (window.nanobana?.canvas?.width && window.nanobana.view.scale) {
    window.dispatchEvent(new KeyboardEvent('keydown', { key: '1', code: 'Digit1', ctrlKey: true, bubbles: true }))
    window.zoomed = true
  } else requestAnimationFrame(wait)
}
wait()
"""

FETCH_ALL = """async () => {
  const base = '/api/canvases/' + window.nanobana.canvas.id + '/blobs/'
  const names = [...new Set(Object.values(window.nanobana.tileNames))]
  const next = async () => {
    for (let name = names.pop(); name; name = names.pop())
      (await createImageBitmap(await (await fetch(base + name)).blob())).close()
  }
  await Promise.all([1, 2, 3, 4, 5, 6].map(next))
  return performance.now()
}"""


def visit(browser: Browser, link: str, *, full_size: bool = False, everything: bool = False) -> float:
    """Milliseconds from navigation to the viewport drawn (or every tile decoded); nothing is cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    try:
        page = context.new_page()
        if full_size:
            page.add_init_script(ZOOM_100)
        page.goto(link, wait_until="commit")
        drawn = "() => window.nanobana?.complete === true && %s && performance.now()"
        ready = "window.zoomed === true && window.nanobana.view.scale === 1" if full_size else "true"
        took = float(page.wait_for_function(drawn % ready, timeout=WAIT_MS, polling="raf").json_value())
        return float(page.evaluate(FETCH_ALL)) if everything else took
    finally:
        context.close()


def viewport_ms(browser: Browser, link: str, rounds: int) -> dict[str, float]:
    """Medians at fit zoom and at 100 %."""
    return {
        "fit": median([visit(browser, link) for _ in range(rounds)]),
        "full_size": median([visit(browser, link, full_size=True) for _ in range(rounds)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ops", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=200)
    options = parser.parse_args()
    os.environ["NANOBANA_ROOM_MEMBERS"] = str(options.people + 8)
    with product() as origin, start_blocking_portal() as portal, browsers(1) as (browser,):
        link = portal.call(prepare, origin)
        portal.call(paint, link, 10)
        first_ever = visit(browser, link)  # makes the mip tiles
        young = viewport_ms(browser, link, options.rounds)
        full = median([visit(browser, link, everything=True) for _ in range(options.rounds)])
        print(f"after 10 ops: {young}, first visit ever {first_ever:.0f} ms, everything {full:.0f} ms", flush=True)
        portal.call(paint, link, options.ops - 10)
        visit(browser, link)
        old = viewport_ms(browser, link, options.rounds)
        print(f"after {options.ops} ops: {old}", flush=True)
        crowd = portal.call(come_together, link, options.people)
    report(
        viewport_4k_ms=round(max(young.values())),
        viewport_fit_ms=round(young["fit"]),
        viewport_100_ms=round(young["full_size"]),
        first_visit_ever_ms=round(first_ever),
        full_4k_ms=round(full),
        history_ratio=round(max(old[zoom] / young[zoom] for zoom in young), 2),
        ops=options.ops,
        **crowd,
    )


if __name__ == "__main__":
    main()
