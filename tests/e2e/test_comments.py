"""Talking on the canvas: comments that are pinned and kept."""

from __future__ import annotations

from playwright.sync_api import expect

from e2e.conftest import Invite
from e2e.person import Person


def say(who: Person, text: str) -> None:
    who.see("comment-text").fill(text)
    who.press("Enter")


def reads(who: Person, *words: str) -> None:
    """Until the open thread says just that."""
    expect(who.page.get_by_test_id("comment").locator("p")).to_have_text(words)


def test_behaviour_29_c_pins_a_comment_that_others_answer_resolve_and_find_again(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("comment"))
    ana.press("c")
    ana.see("comment-place")
    ana.page.mouse.click(*ana.at((300, 200)))
    say(ana, "Is this the right red?")

    ben.see("pin").click()
    reads(ben, "Is this the right red?")
    say(ben, "Darker, I think.")
    for person in (ana, ben):
        reads(person, "Is this the right red?", "Darker, I think.")
    pin = ben.page.get_by_test_id("pin").bounding_box()
    x, y = ben.at((300, 200))
    assert pin is not None and abs(pin["x"] - x) < 2 and abs(pin["y"] + pin["height"] - y) < 2

    ana.tap("resolve")
    ana.press("Escape")
    ben.press("Escape")
    for person in (ana, ben):
        person.page.get_by_test_id("pin").wait_for(state="detached")
    ben.page.reload()
    ben.wait("nb.complete && nb.connection === 'live'")
    ben.tap("tab-comments")
    ben.see("show-resolved").check()
    ben.tap("thread-row")
    ben.tap("resolve")
    ana.see("pin").click()
    for person in (ana, ben):
        reads(person, "Is this the right red?", "Darker, I think.")
    assert ana.page.get_by_test_id("comment-delete").count() == 2, "an owner may delete anybody's"
    assert ben.page.get_by_test_id("comment-delete").count() == 1
    ana.page.get_by_test_id("comment-delete").first.click()
    for person in (ana, ben):
        reads(person, "Darker, I think.")
    ben.tap("comment-delete")
    for person in (ana, ben):
        person.page.get_by_test_id("pin").wait_for(state="detached")


def test_r7_a_watcher_reads_comments_and_writes_none(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.press("c")
    ana.see("comment-place")
    ana.page.mouse.click(*ana.at((300, 200)))
    say(ana, "Look here.")
    eve = invite("Eve", ana.link("view"))
    eve.see("pin").click()
    reads(eve, "Look here.")
    assert not eve.shows("comment-text") and not eve.shows("resolve")
    eve.press("c")
    assert not eve.shows("comment-place")
