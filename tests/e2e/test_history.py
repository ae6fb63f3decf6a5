"""The history of a canvas in two browsers: look at any moment, name it, bring it back (behaviour 32, C13)."""

from __future__ import annotations

from playwright.sync_api import expect

from e2e.conftest import Invite


def test_behaviour_32_a_named_version_is_looked_at_and_a_region_and_all_of_it_come_back(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.tiles()
    ana.tap("tab-history")
    ana.tap("tab-past")
    ana.tap("version-new")
    ana.see("version-name").fill("As it came")
    with ana.durably():
        ana.tap("version-keep")

    ben.tap("tab-history")
    ben.tap("tab-past")
    expect(ben.see("version")).to_contain_text("As it came")
    painted = ana.paint((120, 120), (400, 300), (500, 120)).tiles()
    ben.caught_up(ana)
    expect(ben.see("moment")).to_contain_text("Ana")

    ben.tap("look-version")
    ben.see("looking-bar")
    ben.wait("nb.looking !== null && nb.complete")
    assert not ben.shows("mask-bar")
    ben.press("r").drag((100, 100), (300, 300))
    with ben.durably():
        ben.tap("restore-region")
    assert ben.nb("looking") is None
    partly = ben.tiles()
    assert partly not in (before, painted)
    ben.press_durably("Control+z")
    assert ben.tiles() == painted

    ben.tap("look-version")
    ben.see("looking-bar")
    with ben.durably():
        ben.tap("restore-all")
    assert ben.nb("looking") is None
    assert ben.tiles() == before
    assert ana.caught_up(ben).tiles() == before
    ben.press_durably("Control+z")
    assert ben.tiles() == painted


def test_behaviour_32_a_moment_in_the_list_is_looked_at_while_others_go_on(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    ana.tap("tab-history")
    ana.tap("tab-past")
    ana.see("moment")
    ana.tap("look-moment")
    ana.see("looking-bar")
    looked = ana.nb("looking")
    ben.paint((120, 120), (400, 300))
    ana.caught_up(ben)
    assert ana.nb("looking") == looked
    ana.press("p").drag((200, 200), (300, 300))
    assert ana.nb("unsaved") == 0, "an earlier moment cannot be painted on"
    ana.press("Escape").wait("nb.looking === null && nb.complete")
    assert ana.tiles() == ben.tiles()


def test_c12_an_owner_deletes_the_canvas_for_everybody_and_takes_it_back_as_it_was(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.tiles()
    assert not ben.shows("menu-delete")
    ana.tap("menu")
    ana.tap("menu-delete")
    ana.see("delete-dialog")
    ana.tap("delete-confirm")
    ben.see("ended")
    assert not ben.shows("take-back")
    ana.see("ended")
    ana.page.reload()
    ana.see("ended")
    ana.tap("take-back")
    ana.wait("nb.connection === 'live' && nb.complete")
    assert ana.tiles() == before
    ben.page.reload()
    ben.wait("nb.connection === 'live' && nb.complete")
    assert ben.tiles() == before
