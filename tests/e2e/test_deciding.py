"""What one does with a result and with one's own work: stage, compare, decide, undo and redo (behaviours 15 and 30)."""

from __future__ import annotations

import io
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person, same_canvas

BOX = (200, 120, 300, 220)
WITHIN = """id => { const at = document.querySelector(`[data-testid=${id}]`).getBoundingClientRect()
  return at.left >= 0 && at.top >= 0 && at.right <= innerWidth && at.bottom <= innerHeight }"""


def spot(person: Person) -> NDArray[np.int16]:
    """The middle of the box as the screen shows it, once it shows what it should; [16, 16, 3]."""
    person.wait("nb.complete")
    x, y = person.at((250, 170))
    shot = person.page.screenshot(clip={"x": x - 8, "y": y - 8, "width": 16, "height": 16})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def same(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    """Whether two looks are the same, but for a level of rounding where a patch is blended and where its tiles are."""
    return float(np.abs(one - other).mean()) < 1


def test_behaviour_15_a_result_is_staged_walked_compared_and_discarded_or_accepted_by_keys(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    tiles = ana.tiles()
    ana.page.mouse.move(700, 600)
    before = first = spot(ana)
    drawn = ""
    for decision in ("Escape", "Enter"):
        ana.mask_box(BOX)
        ana.see("prompt").fill("a banana")
        ana.tap("variations-2")
        ana.tap("generate")
        ana.see("staged-bar", ENGINE_MS)
        ana.wait(f"nb.lastStagedDrawn !== null && nb.lastStagedDrawn.job !== '{drawn}'")
        drawn = ana.nb("lastStagedDrawn.job")
        ana.page.mouse.move(700, 600)
        first = spot(ana)
        assert not same(first, before)
        assert ana.tiles() == tiles, "staged is not burnt in"
        ana.press("ArrowRight")
        expect(ana.see("variation-count")).to_have_text("2/2")
        ana.page.keyboard.down("\\")
        assert same(spot(ana), before)
        ana.page.keyboard.up("\\")
        ana.press("ArrowLeft")
        assert same(spot(ana), first)
        ana.press_durably(decision)
        assert (ana.tiles() == tiles) == (decision == "Escape")
    assert same(spot(ana), first)


def test_e9_what_an_edit_recomputed_is_told_to_who_asks_on_the_bar_and_in_the_history(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    ana.mask_box(BOX)
    ana.see("prompt").fill("a banana")
    ana.tap("variations-2")
    ana.tap("generate")
    ana.see("recomputed-ask", ENGINE_MS)
    assert not ana.page.get_by_test_id("recomputed-answer").is_visible(), "only to who asks"
    ana.see("recomputed-ask").focus()
    ana.press("Enter")
    told = ana.see("recomputed-answer").inner_text()
    share = re.fullmatch(r"Recomputed (\d+) % of the picture( · about .+ saved)?", told)
    assert share is not None and 0 < int(share[1]) < 100, told
    assert [job["state"] for job in ana.nb("jobs")] == ["staged"], "the key opened the answer and accepted nothing"
    for width in (1100, 390):
        ana.page.set_viewport_size({"width": width, "height": 760})
        for part in ("staged-bar", "accept", "recomputed-answer"):
            ana.page.wait_for_function(WITHIN, arg=part)
    ana.page.set_viewport_size({"width": 1100, "height": 760})
    with ana.durably():
        ana.tap("accept")
    ben.caught_up(ana).tap("tab-history")
    ben.tap("recomputed-ask")
    expect(ben.see("recomputed-answer")).to_have_text(told)


def test_behaviour_30_undo_takes_back_only_my_own_and_undoing_and_redoing_it_all_changes_nothing(
    invite: Invite,
) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    looks = [ana.tiles()]
    for y in (60, 120):
        ana.paint((60, y), (200, y))
        looks.append(ana.tiles())
    ben.caught_up(ana)
    ben.paint((130, 30), (130, 160))
    everything = ben.tiles()
    ana.caught_up(ben)

    for _ in range(2):
        ana.press_durably("Control+z")
    bens = ana.picture()
    assert bens.getpixel((130, 60)) == bens.getpixel((130, 120)), "Ben's stroke stays where it crossed Ana's"
    assert ana.tiles() not in (looks[0], everything)
    for _ in range(2):
        ana.press_durably("Control+Shift+z")
    assert ana.tiles() == everything
    ben.caught_up(ana)
    ben.press_durably("Control+z")
    assert ben.tiles() == looks[2]
    ana.caught_up(ben)
    assert same_canvas(ana, ben)
