"""Who may come and as what: links with an end and a number, people who get another role, are sent away or banned."""

from __future__ import annotations

from playwright.sync_api import expect

from e2e.conftest import Invite
from e2e.person import Person


def make_link(owner: Person, role: str, *, ends: str = "0", uses: str = "0") -> str:
    """A new link from the share dialog, which stays open."""
    if not owner.shows("make-link"):
        owner.tap("share")
    rows = owner.page.locator(f"[data-testid=link-row][data-role={role}]")
    owner.see("link-row")
    before = rows.count()
    for field, value in (("new-role", role), ("new-ends", ends), ("new-uses", uses)):
        owner.see(field).select_option(value)
    owner.tap("make-link")
    owner.page.wait_for_function(
        "([role, n]) => document.querySelectorAll(`[data-testid=link-row][data-role=${role}]`).length > n",
        arg=[role, before],
    )
    short = {"editor": "edit", "commenter": "comment", "viewer": "view", "owner": "owner"}[role]
    return owner.see(f"link-{short}").input_value()


def people_of(owner: Person) -> None:
    if not owner.shows("people"):
        owner.tap("tab-people")
    owner.see("people")


def test_behaviour_31_a_link_has_a_role_an_end_a_number_a_qr_and_can_be_revoked(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    link = make_link(ana, "viewer", ends="3600", uses="1")
    facts = ana.page.locator("[data-testid=link-row][data-role=viewer] small").first
    expect(facts).to_contain_text("0 of 1 came")
    expect(facts).to_contain_text("ends in")
    ana.tap("qr-view")
    assert ana.see("qr").get_attribute("aria-label") == "QR code of the link: Can watch"
    ben = invite("Ben", link)
    assert ben.nb("role") == "viewer"
    late = invite("Late")
    late.page.goto(link)
    expect(late.see("ended")).to_contain_text("as many people as it was made for", ignore_case=True)
    ben.page.reload()
    ben.wait("nb.connection === 'live'")
    ana.tap("revoke-viewer")
    ben.wait("nb.connection === 'ended'")


def test_r7_a_role_that_the_owner_changes_counts_at_once_in_the_other_browser(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("view"))
    assert not ben.shows("tool-mask")
    people_of(ana)
    row = ana.page.locator("[data-testid=person][data-name=Ben]")
    row.get_by_test_id("person-role").select_option("editor")
    ben.see("tool-mask")
    ben.paint((60, 60), (200, 80))
    ana.caught_up(ben)
    row.get_by_test_id("person-role").select_option("commenter")
    ben.wait("nb.role === 'commenter'")
    expect(ben.see("connection")).to_have_text("Comments")
    assert not ben.shows("tool-mask")


def test_r7_who_is_sent_away_sees_why_and_may_come_back_but_not_once_banned(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    people_of(ana)
    row = ana.page.locator("[data-testid=person][data-name=Ben]")
    row.get_by_test_id("person-more").click()
    row.get_by_test_id("kick").click()
    ended = ben.see("ended")
    expect(ended).to_have_attribute("data-code", "4505")
    expect(ended.locator("h1")).to_have_text("You were asked to leave")
    ana.wait("nb.members.length === 1")
    ben.tap("come-back")
    ben.wait("nb.connection === 'live' && nb.complete")
    ana.wait("nb.members.length === 2")

    row.get_by_test_id("person-more").click()
    row.get_by_test_id("ban").click()
    row.get_by_test_id("ban-sure").click()
    ben.page.locator("[data-testid=ended][data-code='4506']").wait_for()
    ben.page.reload()
    expect(ben.see("ended").locator("h1")).to_contain_text("removed")
    row.get_by_test_id("forgive").click()
    row.wait_for(state="detached")
    ben.page.reload()
    ben.wait("nb.connection === 'live'")


def test_c9_an_owner_takes_back_somebodys_last_minutes_and_both_are_told(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.tiles()
    ben.paint((60, 60), (200, 80))
    ben.paint((60, 160), (200, 180))
    ana.caught_up(ben)
    painted = ben.tiles()
    people_of(ana)
    ana.page.locator("[data-testid=person][data-name=Ben]").get_by_test_id("person-more").click()
    with ana.durably():
        ana.tap("take-back")
        expect(ben.see("toast")).to_contain_text("Ana took back")
    assert ben.caught_up(ana).tiles() == before
    ana.press_durably("Control+Shift+z")
    assert ana.tiles() == painted
