"""Together on one canvas: cursors, following, strokes in progress, words at the cursor."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from e2e.conftest import Invite


def test_behaviour_26_a_cursor_has_a_name_and_a_colour_a_key_hides_all_and_it_hides_when_it_rests(
    invite: Invite,
) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben")
    ben.page.clock.install()
    ben.open(ana.link("view"))
    ana.point((200, 200))
    cursor = ben.see("cursor")
    expect(cursor).to_have_attribute("data-name", "Ana")
    assert ana.nb("you")["color"] in (cursor.get_attribute("style") or "")
    ben.press("Shift+C")
    cursor.wait_for(state="detached")
    ana.point((240, 210))
    ben.wait("nb.cursors.some(c => Math.abs(c.toX - 240) < 2)")
    assert not ben.shows("cursor")
    ben.press("Shift+C")
    ben.see("cursor")
    ben.page.clock.fast_forward(13_000)
    ben.wait("nb.cursors.length === 0")
    assert not ben.shows("cursor")


def test_behaviour_27_a_click_on_an_avatar_follows_that_person_until_one_moves(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("view"), viewport={"width": 800, "height": 600})
    ben.tap("member")
    frame = ben.see("follow-frame")
    assert frame.get_attribute("data-name") == "Ana"
    assert ana.nb("you")["color"] in (frame.get_attribute("style") or "")
    ana.point((300, 150))
    y = ana.nb("view.y")
    ana.page.mouse.wheel(0, 180)
    ana.wait(f"nb.view.y !== {y}")
    ana.press("Control+2")
    x0, y0, x1, y1 = ana.nb("seen")
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    ben.wait(f"Math.abs((nb.seen[0]+nb.seen[2])/2 - {x}) < 2 && Math.abs((nb.seen[1]+nb.seen[3])/2 - {y}) < 2")
    before = ben.nb("view")
    ben.page.mouse.move(400, 300)
    ben.page.mouse.wheel(0, 40)
    ben.page.get_by_test_id("follow-frame").wait_for(state="detached")
    assert ben.nb("following") is None
    ana.press("Control+0")
    ana.paint((60, 60), (90, 60))
    ben.caught_up(ana)
    assert ben.nb("view")["scale"] == before["scale"]


def test_behaviour_28_a_stroke_is_seen_by_the_others_while_the_button_is_still_down(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("view"))
    before = ana.seq
    ana.press("p").drag((100, 150), (160, 200), (220, 160), release=False)
    ben.wait("nb.othersStrokes === 1")
    ana.page.mouse.up()
    ben.wait(f"nb.position[1] > {before} && nb.othersStrokes === 0")
    ana.press("r").drag((50, 50), (150, 150), release=False)
    ben.wait("nb.othersStrokes === 1")
    ana.page.mouse.up()
    ben.wait("nb.othersMasks === 1")


def test_behaviour_29_slash_chats_at_the_cursor_letter_by_letter(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("view"))
    ana.point((200, 200))
    ben.see("cursor")
    ana.press("/")
    field = ana.see("chat-input")
    chat = ben.page.get_by_test_id("cursor-chat")
    for word, so_far in (("look", "look"), (" here", "look here")):
        field.press_sequentially(word)
        chat.filter(has_text=re.compile(f"^{so_far}$")).wait_for()
    ana.press("Escape")
    chat.wait_for(state="detached")
    assert not ana.shows("chat-input")
    ben.press("/")
    assert not ben.shows("chat-input"), "who only watches says nothing"
