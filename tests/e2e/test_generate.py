"""Steps 4 to 7: generate, watch, decide, undo; erase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person, same_canvas
from support.product import Product

BOX = (270, 130, 390, 330)


def changed(before: Image.Image, after: Image.Image) -> NDArray[np.bool_]:
    """Which pixels differ, [h, w]."""
    differ: NDArray[np.bool_] = (np.asarray(before) != np.asarray(after)).any(axis=-1)
    return differ


def outside(shape: tuple[int, ...], box: tuple[int, int, int, int], reach: int = 0) -> NDArray[np.bool_]:
    mask = np.ones(shape, bool)
    mask[max(0, box[1] - reach) : box[3] + reach, max(0, box[0] - reach) : box[2] + reach] = False
    return mask


def staged(person: Person) -> None:
    person.wait("nb.jobs.some(j => j.state === 'staged') && nb.lastStagedDrawn !== null", ENGINE_MS)


def over(person: Person, state: str) -> None:
    person.wait(f"nb.jobs.every(j => j.state === '{state}') && nb.unsaved === 0 && nb.complete && nb.pending === 0")


def test_a_fill_from_mask_to_accepted_in_two_browsers(invite: Invite, product: Product) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.picture()

    ana.mask_box(BOX)
    ana.see("prompt").fill("a banana")
    ana.tap("variations-2")
    with product.still("cli engine"):
        ana.tap("generate")
        expect(ben.see("job-label")).to_contain_text("Ana is generating")
        expect(ana.see("job-label")).to_contain_text("You are generating")
        assert ana.nb("maskBox") is None

    # Ben goes on painting meanwhile
    ben.paint((30, 30), (120, 50))

    for person in (ana, ben):
        person.wait(
            "Object.values(nb.marks).some(m => m.firstPreview !== undefined || m.staged !== undefined)", ENGINE_MS
        )
        staged(person)
    assert not ben.shows("staged-bar"), "the decision is the author's"

    expect(ana.see("variation-count")).to_have_text("1/2")
    ana.press("ArrowRight")
    expect(ana.see("variation-count")).to_have_text("2/2")
    ana.press("ArrowLeft")
    ana.press("Enter")
    for person in (ana, ben):
        over(person, "accepted")
    ben.caught_up(ana)
    assert same_canvas(ana, ben)

    difference = changed(before, ana.picture())
    difference[:80, :160] = False  # Ben's stroke
    assert difference[BOX[1] : BOX[3], BOX[0] : BOX[2]].mean() > 0.5
    diagonal = float(np.hypot(BOX[2] - BOX[0], BOX[3] - BOX[1]))
    feather = max(0.10 * diagonal, 32.0)
    reach = int(np.ceil(4 + feather / 2 + feather))
    assert not difference[outside(difference.shape, BOX, reach)].any(), "E5: C = 0 there"

    # each undoes only their own
    ana.press_durably("Control+z")
    undone = changed(before, ana.picture())
    assert undone[:80, :160].any(), "Ben's stroke stays"
    undone[:80, :160] = False
    assert not undone.any()
    ana.press_durably("Control+Shift+z")
    assert changed(before, ana.picture())[BOX[1] : BOX[3], BOX[0] : BOX[2]].any()
    ben.press_durably("Control+z")
    assert not changed(before, ben.picture())[:80, :160].any()


def test_e5_exact_edge_changes_nothing_outside_the_mask_itself(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    before = ana.picture()
    ana.mask_box((100, 60, 200, 160))
    ana.tap("advanced")
    ana.see("exact-edge").check()
    ana.see("quality-draft").click()
    ana.press("Control+Enter")
    staged(ana)
    ana.tap("accept")
    over(ana, "accepted")
    difference = changed(before, ana.picture())
    assert difference.any()
    assert not difference[outside(difference.shape, (100, 60, 200, 160))].any()


def test_behaviour_7_feather_and_grow_are_seen_at_the_edge_before_and_obeyed_after(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    before = ana.picture()
    box = (100, 60, 200, 160)
    ana.mask_box(box)
    assert ana.nb("softEdge") is None
    ana.tap("advanced")
    usual = ana.nb("softEdge.end")
    ana.see("feather").fill("60")
    ana.wait(f"nb.softEdge.feather === 60 && nb.softEdge.end > {usual}")
    ana.see("feather").fill("0")
    ana.see("grow").fill("0")
    ana.wait("nb.softEdge.end === 0")
    ana.press("Control+Enter")
    staged(ana)
    ana.press("Enter")
    over(ana, "accepted")
    assert (ana.nb("jobs[0].feather"), ana.nb("jobs[0].grow"), ana.nb("softEdge")) == (0, 0, None)
    difference = changed(before, ana.picture())
    assert difference[60:160, 100:200].mean() > 0.3
    assert not difference[outside(difference.shape, box)].any()


def test_a_discarded_result_leaves_the_canvas_as_it_was(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    before = ana.tiles()
    ana.mask_box((100, 60, 180, 140))
    ana.tap("generate")
    staged(ana)
    ana.page.mouse.move(500, 400)
    ana.press("Escape")
    over(ana, "discarded")
    assert ana.tiles() == before
    assert not ana.shows("staged-bar")


def test_e8_a_cancelled_edit_ends_at_once_for_both(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    ana.mask_box((100, 60, 420, 380))
    ana.tap("variations-3")
    ana.tap("advanced")
    ana.see("quality-best").click()
    ana.tap("generate")
    for person in (ana, ben):
        person.see("job-label")
    assert not ben.shows("cancel-job"), "somebody else's edit is not Ben's to cancel"
    ana.press("Shift+X")
    for person in (ana, ben):
        person.wait("nb.jobs.length > 0 && nb.jobs.every(j => j.state === 'cancelled')")
    assert not ana.shows("job-label")


def test_erase_takes_the_rocket_away_and_changes_nothing_farther_out(invite: Invite, product: Product) -> None:
    ana = invite("Ana").start_with_sample()
    before = ana.picture()
    box = (355, 110, 395, 330)
    ana.mask_box(box)
    with product.still("cli engine"):
        ana.tap("erase")
        expect(ana.see("job-label")).to_contain_text("You are erasing")
    staged(ana)
    ana.press("Enter")
    over(ana, "accepted")
    difference = changed(before, ana.picture())
    assert difference[box[1] : box[3], box[0] : box[2]].mean() > 0.3
    assert not difference[outside(difference.shape, box, 64)].any()


def test_the_history_gives_prompt_and_seed_back(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.mask_box((100, 60, 180, 140))
    ana.see("prompt").fill("a red apple")
    ana.tap("generate")
    staged(ana)
    ana.tap("discard")
    over(ana, "discarded")
    ana.tap("tab-history")
    item = ana.see("history-item")
    expect(item).to_contain_text("a red apple")
    seed = ana.nb("jobs")[0]["seed"]
    ana.tap("reuse-all")
    ana.wait("nb.maskBox !== null")
    assert ana.nb("maskBox") == [100, 60, 180, 140]
    assert ana.see("prompt").input_value() == "a red apple"
    ana.tap("advanced")
    assert ana.see("seed").input_value() == str(seed)


def test_behaviour_19_edits_made_before_are_there_for_newcomers_and_can_be_looked_at(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    before = ana.picture()
    for prompt, accept in (("a red apple", "discard"), ("a banana", "accept")):
        ana.mask_box((100, 60, 180, 140))
        ana.see("prompt").fill(prompt)
        ana.tap("generate")
        staged(ana)
        ana.tap(accept)
        ana.wait("nb.jobs.every(j => j.state !== 'staged') && nb.unsaved === 0")
    accepted = ana.picture()
    ben = invite("Ben", ana.link("view"))
    ben.tap("tab-history")
    expect(ben.page.get_by_test_id("history-item")).to_have_count(2)
    texts = ben.page.get_by_test_id("history-item").all_inner_texts()
    assert ["a banana" in texts[0], "a red apple" in texts[1]] == [True, True]
    assert all("Ana" in text for text in texts)
    assert not ben.shows("reuse-all"), "a viewer has no use for it"
    thumbs = "[...document.querySelectorAll('.thumb img')]"
    ben.page.wait_for_function(f"() => {thumbs}.every(image => image.complete && image.naturalWidth > 0)")
    shown = ben.page.get_by_test_id("look-back").nth(1)
    shown.click()
    ben.wait("nb.complete && nb.lookingBack !== null")
    assert changed(before, accepted).any()
    assert not changed(accepted, ben.picture()).any(), "looking changes nothing"
    ben.press("Escape")
    ben.wait("nb.lookingBack === null")
