"""From Generate to the other browser: first preview, final pixels, the model's own share and everything else.

    python benchmarks/first_fill.py [--edits 9] [--prompt "a red apple"]

Two real browsers, a 256 x 256 region on a 1024 x 1024 canvas that holds a grainy photograph. `final_ms` ends when
the other browser has drawn the staged result from full-quality bytes; `model_ms` is the wall time inside the adapter's
encode, denoise and decode calls; `overhead_ms` is the difference.

The engine prepares from the moment at which the mask is finished (E9). Nothing waits for it: the prompt is filled in
and Generate clicked as fast as the browser can be driven, `mask_to_click_ms` after the mask. Two figures say what that
time is worth: `overhead_cold_ms`, where Generate is pressed in the very event that finishes the mask, and
`overhead_typed_ms`, where TYPING_MS go by before the click, as they do for a person. The overhead's parts, medians too:
`click_to_queued`, `wait` (until an engine claims it), `read`, `condition` (guesses), `patch` (stitch and encoding),
`engine_rest` (everything else between claim and stored result) and `stored_to_drawn` (staged, told, drawn).
"""

import argparse
import hashlib
import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from anyio.from_thread import start_blocking_portal
from browsers import WAIT_MS, browsers, drag_rectangle, jobs, open_canvas
from harness import median, product, report
from pictures import grainy_photo, png, rgba
from playwright.sync_api import Page
from scipy.ndimage import distance_transform_edt

from nanobana.protocol.geometry import Box
from nanobana.sdk import create_canvas, join_blocking
from nanobana_engine.models.registry import load
from nanobana_engine.planner.reach import reach_of

SIDE, REGION = 1024, 256
TYPING_MS = 1500
"""A person's, for a prompt of three words."""
ASK_MS = 50
"""Between two looks at a page while an edit runs. Asking at every frame, as playwright would, makes the page draw sixty
of them a second, on the processor that the edit runs on; the times are read from the page's own clock in any case."""
PRESS_AT_ONCE = """
addEventListener('pointerup', () => {
    window.clickedAt = performance.timeOrigin + performance.now()
    window.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', code: 'Enter', ctrlKey: true }))
}, { once: true })
"""
NOTE_MASK = (
    "addEventListener('pointerup', () => { window.maskedAt = performance.timeOrigin + performance.now() },"
    " { once: true, capture: true })"
)


def prepare(origin: str) -> str:
    """A canvas with the photograph; its edit link."""
    with start_blocking_portal() as portal:
        links = portal.call(partial(create_canvas, origin, title="first fill"))
    with join_blocking(links.edit, name="setup") as canvas:
        canvas.add_image(png(grainy_photo(SIDE)))
    return str(links.edit)


def picture(link: str) -> npt.NDArray[np.uint8]:
    with join_blocking(link, name="measure") as canvas:
        return rgba(canvas.export())


def one_edit(
    author: Page, other: Page, box: Box, prompt: str, *, exact: bool, typing_ms: int = 0, at_once: bool = False
) -> dict[str, Any]:
    """Mask, prompt, Generate in one browser; times read in the other; then accept."""
    before = {job["id"] for job in jobs(author)}
    author.evaluate(NOTE_MASK)
    if at_once:  # the prompt is the one before, and its edge
        author.evaluate(PRESS_AT_ONCE)
    drag_rectangle(author, box.x0, box.y0, box.x1, box.y1)
    mask: Any = (box.x0, box.y0, box.x1, box.y1)
    if not at_once:
        author.get_by_test_id("mask-bar").wait_for()
        author.get_by_test_id("prompt").fill(prompt)
        toggle_exact(author, exact)
        author.wait_for_timeout(typing_ms)
        author.evaluate(
            "document.querySelector('[data-testid=generate]').addEventListener('click',"
            " () => { window.clickedAt = performance.timeOrigin + performance.now() }, { once: true, capture: true })"
        )
        mask = author.evaluate("window.nanobana.maskBox")
        author.get_by_test_id("generate").click()
    wait = "known => window.nanobana.jobs.find(job => !known.includes(job.id))?.id"
    job_id = author.wait_for_function(wait, arg=list(before), timeout=WAIT_MS, polling=ASK_MS).json_value()
    drawn = "id => window.nanobana.marks[id]?.staged !== undefined"
    other.wait_for_function(drawn, arg=job_id, timeout=WAIT_MS, polling=ASK_MS)
    marks = other.evaluate("id => window.nanobana.marks[id]", job_id)
    origin = other.evaluate("window.nanobana.timeOrigin")
    clicked = author.evaluate("window.clickedAt")
    job = next(job for job in jobs(other) if job["id"] == job_id)
    author.wait_for_function(drawn, arg=job_id, timeout=WAIT_MS, polling=ASK_MS)
    author.get_by_test_id("accept").click()
    for page in (author, other):
        page.wait_for_function(
            "id => window.nanobana.jobs.some(job => job.id === id && job.state === 'accepted')",
            arg=job_id,
            timeout=WAIT_MS,
        )
    return {
        "first": origin + marks["firstPreview"] - clicked if "firstPreview" in marks else None,
        "final": origin + marks["staged"] - clicked,
        "timing": job["timing"],
        "mask": Box(*mask),
        "typed": clicked - author.evaluate("window.maskedAt"),
        "queued": job["created_ms"] - clicked,
    }


def overhead(row: dict[str, Any]) -> float:
    return float(row["final"] - row["timing"]["model_ms"])


def parts(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Where the overhead went, each part's median in milliseconds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        timing = row["timing"]
        inside = sum(timing[f"{part}_ms"] for part in ("read", "condition", "model", "patch"))
        told = {
            "click_to_queued": row["queued"],
            **{part: timing[f"{part}_ms"] for part in ("wait", "read", "condition", "patch")},
            "engine_rest": timing["total_ms"] - inside,
            "stored_to_drawn": row["final"] - row["queued"] - timing["wait_ms"] - timing["total_ms"],
        }
        for part, milliseconds in told.items():
            found.setdefault(part, []).append(milliseconds)
    return {part: round(median(values)) for part, values in found.items()}


def toggle_exact(page: Page, wanted: bool) -> None:
    page.get_by_test_id("advanced").click()
    switch = page.get_by_test_id("exact-edge")
    switch.wait_for()
    if switch.is_checked() != wanted:
        switch.click()
    page.get_by_test_id("advanced").click()


def allowed(box: Box, *, exact: bool, reach: float) -> npt.NDArray[np.bool_]:
    """Where pixels may change: the drawn mask, dilated by E1's reach unless the edge is exact."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[box.y0 : box.y1, box.x0 : box.x1] = True
    return mask if exact else np.asarray(distance_transform_edt(~mask) <= reach)


def equal(a: Page, b: Page) -> bool:
    """C11: equal layer lists and tile names, and equal hashes of the bytes fetched by those names."""
    a.wait_for_function(
        "position => window.nanobana.position[1] >= position", arg=b.evaluate("window.nanobana.position[1]")
    )
    states = []
    for page in (a, b):
        names = page.evaluate("window.nanobana.tileNames")
        fetched = page.evaluate(
            """async names => {
                const base = '/api/canvases/' + window.nanobana.canvas.id + '/blobs/'
                const out = []
                for (const name of names) {
                    const bytes = new Uint8Array(await (await fetch(base + name)).arrayBuffer())
                    let text = ''
                    for (let i = 0; i < bytes.length; i += 8192)
                        text += String.fromCharCode(...bytes.subarray(i, i + 8192))
                    out.push(btoa(text))
                }
                return out
            }""",
            sorted(set(names.values())),
        )
        digest = hashlib.blake2b("".join(fetched).encode()).hexdigest()
        states.append((page.evaluate("window.nanobana.layers"), names, digest))
    return bool(states[0] == states[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=9)
    parser.add_argument("--prompt", default="a red apple")
    options = parser.parse_args()
    with product() as origin, browsers(2) as (one, two):
        link = prepare(origin)
        grow_scale = load().preset.grow_scale
        author, other = open_canvas(one, link, "Ana"), open_canvas(two, link, "Ben")
        rows: list[dict[str, Any]] = []
        cold: list[dict[str, Any]] = []
        typed: list[dict[str, Any]] = []
        outside, outside_exact, halo = 0, 0, 0
        kinds = [rows] * (options.edits + 1) + [cold] * (options.edits // 3 + 1) + [typed] * (options.edits // 3 + 1)
        for index, kind in enumerate(kinds):
            exact = kind is rows and index % 3 == 2
            x, y = 96 + (index % 3) * 280, 96 + (index // 3 % 3) * 280
            before = picture(link)
            row = one_edit(
                author,
                other,
                Box(x, y, x + REGION, y + REGION),
                options.prompt,
                exact=exact,
                typing_ms=TYPING_MS if kind is typed else 0,
                at_once=kind is cold,
            )
            changed = (picture(link) != before).any(axis=-1)
            reach = reach_of(row["mask"], (SIDE, SIDE), scale=grow_scale)
            stray = int((changed & ~allowed(row["mask"], exact=exact, reach=reach.farthest)).sum())
            outside += 0 if exact else stray
            outside_exact += stray if exact else 0
            halo = max(halo, math.ceil(reach.farthest))
            if index:  # the first one warms the model and the page
                kind.append(row)
                print(f"edit {index}: first {row['first']}, final {row['final']:.0f} ms, {row['timing']}", flush=True)
        same = equal(author, other)
    firsts = [row["first"] for row in rows if row["first"] is not None]
    report(
        first_preview_ms=round(median(firsts)) if firsts else None,
        final_ms=round(median([row["final"] for row in rows])),
        model_ms=round(median([row["timing"]["model_ms"] for row in rows])),
        overhead_ms=round(median([overhead(row) for row in rows])),
        overhead_cold_ms=round(median([overhead(row) for row in cold])),
        overhead_typed_ms=round(median([overhead(row) for row in typed])),
        mask_to_click_ms=round(median([row["typed"] for row in rows])),
        parts_ms=parts(rows),
        outside_changed_pixels=outside,
        outside_changed_exact=outside_exact,
        canvases_equal=int(same),
        halo_px=halo,
        edits=len(rows),
    )


if __name__ == "__main__":
    main()
