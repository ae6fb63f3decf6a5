"""Steps 3 and 4: a link, cursors with names, masks as they are painted, painting together."""

from __future__ import annotations

from playwright.sync_api import expect

from e2e.conftest import Invite
from e2e.person import same_canvas
from e2e.test_layers import add_layer

ADDING_MS = 500
"""Between two looks at the sum of a mask of 30 megapixels: each costs the page that draws it many frames."""


def test_a_shared_link_shows_the_picture_and_both_cursors_with_names(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    assert same_canvas(ana, ben)
    for mover, watcher in ((ana, ben), (ben, ana)):
        mover.point((200, 200))
        mover.point((320, 210))
        expect(watcher.see("cursor")).to_have_attribute("data-name", mover.name)
        watcher.wait("nb.cursors.some(c => Math.abs(c.toX - 320) < 2 && Math.abs(c.x - c.toX) < 2)")
    expect(ana.page.get_by_test_id("member")).to_have_attribute("data-name", "Ben")


def test_the_second_browser_sees_the_mask_while_it_is_painted(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    ana.press("b").drag((200, 150), (260, 200), (320, 160), release=False)
    ben.wait("nb.othersStrokes === 1")
    assert ana.nb("maskBox") is not None
    ana.page.mouse.up()
    ben.wait("nb.othersMasks === 1")
    ana.press("Control+d")
    ben.wait("nb.othersMasks === 0 && nb.othersStrokes === 0")


def test_r6_a_mask_of_any_size_is_seen_by_the_others_as_it_is(invite: Invite) -> None:
    ana = invite("Ana")
    links = ana.new_canvas(6000, 5000)
    ana.open(links["owner"])
    ben = invite("Ben", links["edit"])
    ana.press("r").drag((200, 200), (5800, 4800))
    ben.wait(f"nb.othersMaskSums[0] === {ana.nb('maskSum')}", every_ms=ADDING_MS)
    assert ana.nb("maskSum") > 255 * 5500 * 4500
    ana.press("l").drag((1000, 1000), (5000, 1500), (3000, 4500), hold=["Alt"])
    cy = invite("Cy", links["view"])
    for person in (ben, cy):
        person.wait(f"nb.othersMaskSums[0] === {ana.nb('maskSum')}", every_ms=ADDING_MS)
    ana.press("Control+d")
    for person in (ben, cy):
        person.wait("nb.othersMasks === 0")


def test_brush_rectangle_and_lasso_make_the_mask_and_alt_takes_away(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.mask_box((100, 100, 300, 200))
    assert ana.nb("maskBox") == [100, 100, 300, 200]
    ana.drag((50, 90), (150, 250), hold=["Alt"])
    assert ana.nb("maskBox") == [150, 100, 300, 200]
    ana.press("l").drag((400, 100), (500, 100), (500, 200), (400, 200))
    x0, y0, x1, y1 = ana.nb("maskBox")
    assert (x0, y0, y1) == (150, 100, 200)
    assert abs(x1 - 500) <= 1
    ana.press("b").drag((200, 340), (210, 340))
    assert ana.nb("maskBox")[3] > 360
    ana.press("Control+z")
    assert ana.nb("maskBox")[3] == 200
    ana.press("Control+Shift+z")
    assert ana.nb("maskBox")[3] > 360
    ana.press("Escape")
    assert ana.nb("maskBox") is None
    assert not ana.shows("mask-bar")


def test_shift_makes_a_square_and_a_straight_line(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.press("r").drag((100, 100), (200, 140), hold=["Shift"])
    x0, y0, x1, y1 = ana.nb("maskBox")
    assert x1 - x0 == y1 - y0
    ana.press("Escape").press("b")
    ana.drag((100, 200), (180, 212), (300, 240), hold=["Shift"])
    x0, y0, x1, y1 = ana.nb("maskBox")
    assert y1 - y0 <= 68, "the brush is 64 px wide, and the line stayed level"


def test_two_people_paint_at_once_and_both_strokes_stay(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.seq
    for person, y in ((ana, 60), (ben, 120)):
        person.press("p")
        person.drag((60, y), (200, y + 10), release=False)
    ana.page.mouse.up()
    ben.page.mouse.up()
    for person in (ana, ben):
        person.wait(f"nb.position[1] === {before + 2} && nb.unsaved === 0 && nb.pending === 0")
    assert same_canvas(ana, ben)
    picture = ana.picture()
    assert picture.getpixel((130, 65)) == picture.getpixel((130, 125)) == (228, 87, 46, 255)


def test_c3_a_stroke_over_a_wide_canvas_is_one_undo(invite: Invite) -> None:
    ana = invite("Ana")
    ana.open(ana.new_canvas(5000, 400)["owner"])
    add_layer(ana)
    before = ana.seq
    ana.paint((20, 200), (2500, 210), (4980, 200))
    assert ana.seq == before + 3
    ana.press_durably("Control+z")
    assert ana.tiles() == {}
    ana.press_durably("Control+Shift+z")
    assert {int(key.split("/")[1]) for key in ana.tiles()} == set(range(20))


def test_layers_are_added_hidden_renamed_moved_and_deleted_for_both(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    add_layer(ana)
    name = ana.page.get_by_test_id("layer-name").first
    name.dblclick()
    ana.page.get_by_test_id("layer-name-input").fill("Sky")
    ana.press("Enter")
    ben.wait("nb.layers[1].name === 'Sky'")
    ana.page.get_by_test_id("layer-visible").first.click()
    ben.wait("nb.layers[1].visible === false")
    ana.tap("layer-down")
    ben.wait("nb.layers[0].name === 'Sky'")
    with ana.durably():
        ana.tap("layer-delete")
    ben.wait("nb.layers.length === 1")
    assert same_canvas(ana, ben)


def test_r7_a_watcher_sees_everything_and_writes_nothing(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    eve = invite("Eve", ana.link("view"))
    expect(eve.see("connection")).to_have_attribute("data-state", "readonly")
    assert not eve.shows("tool-mask")
    ana.paint((60, 60), (200, 80))
    eve.caught_up(ana)
    assert same_canvas(ana, eve)
    before = ana.seq
    eve.press("p").drag((60, 160), (200, 180))
    expect(eve.see("toast")).to_contain_text("does not let you")
    assert ana.seq == before


def test_r7_a_revoked_link_closes_the_room_for_those_who_came_by_it(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    ana.tap("share")
    ana.tap("revoke-editor")
    ben.wait("nb.connection === 'ended'")
    expect(ben.see("connection")).to_have_attribute("data-state", "removed")


def test_c11_a_translucent_stroke_turns_into_its_tiles_without_a_flicker(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.press("p")
    ana.page.get_by_label("Opacity", exact=True).first.fill("50")
    ana.page.evaluate(WATCH_A_PIXEL, list(ana.at((256, 61))))
    with ana.durably():
        ana.drag((60, 60), (260, 61), (400, 60))
    seen: list[list[int]] = ana.page.evaluate("() => window.seen")
    turns = [i for i in range(1, len(seen)) if max(abs(a - b) for a, b in zip(seen[i - 1], seen[i], strict=True)) > 3]
    assert len(turns) == 1, "once from bare to painted: never twice as dark, never bare again"


WATCH_A_PIXEL = """([x, y]) => {
  const canvas = document.querySelector('[data-testid=picture]')
  const context = canvas.getContext('2d')
  const scale = canvas.width / canvas.clientWidth
  window.seen = []
  const look = () => {
    window.seen.push([...context.getImageData(Math.round(x * scale), Math.round(y * scale), 1, 1).data])
    requestAnimationFrame(look)
  }
  look()
}"""
"""Notes the colour of a point of the page in every frame."""
