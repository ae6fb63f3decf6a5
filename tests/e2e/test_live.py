"""Live: the region is made again as one paints, for everybody to see, one result at a time (E7)."""

from __future__ import annotations

from playwright.sync_api import expect

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person, same_canvas

OPEN = "nb.jobs.filter(j => j.live !== '' && ['queued', 'running', 'staged'].includes(j.state))"
STAGED = f"{OPEN}.filter(j => j.state === 'staged')"


def newest(person: Person) -> str:
    """Of all that this person has drawn by now: the result, once it is staged and drawn on their page."""
    mine = f"{STAGED}.filter(j => j.user === nb.you.user)"
    person.wait(f"nb.liveRests && {mine}.length === 1 && nb.marks[{mine}[0].id]?.staged !== undefined", ENGINE_MS)
    user = person.nb("you.user")
    found = [job["id"] for job in person.nb("jobs") if job["live"] and job["state"] == "staged" and job["user"] == user]
    return str(found[-1])


def stand(person: Person, *results: str) -> None:
    """Until these live results are drawn on this page, and nothing else of any live session is open."""
    drawn = " && ".join(f"{STAGED}.some(j => j.id === '{job}') && nb.marks['{job}']?.staged" for job in results)
    person.wait(f"{OPEN}.length === {len(results)} && {drawn}", ENGINE_MS)


def live(person: Person, box: tuple[int, int, int, int], prompt: str = "") -> str:
    """Turn it on over a rectangle, and wait for the first result."""
    person.mask_box(box)
    if prompt:
        person.see("prompt").fill(prompt)
    person.tap("live")
    return newest(person)


def test_e7_a_live_result_follows_the_strokes_in_two_browsers_until_it_is_accepted(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.picture()
    first = live(ana, (270, 130, 350, 210), "a banana")
    expect(ben.see("job-label")).to_have_text("Ana is live")
    assert not ana.shows("staged-bar"), "the decision is in the mask's bar"

    ana.press("b").drag((310, 170), (360, 230), (390, 260))
    second = newest(ana)
    assert second != first
    for person in (ana, ben):
        stand(person, second)
    assert ana.nb("maskBox") is not None, "the mask stays, to be painted on"
    seeds = {each["seed"] for each in ana.nb("jobs") if each["live"]}
    assert len(seeds) == 1, "what does not change looks the same"
    assert ben.page.get_by_test_id("job-label").count() == 1

    ana.press("Enter")
    for person in (ana, ben):
        person.wait(f"{OPEN}.length === 0 && nb.unsaved === 0 && nb.complete && nb.pending === 0")
    ben.caught_up(ana)
    assert same_canvas(ana, ben)
    assert ana.nb("maskBox") is None
    assert ana.picture().tobytes() != before.tobytes()
    assert [item["state"] for item in ana.nb("jobs")].count("accepted") == 1

    # still on: the next mask is live too, and Esc takes it back
    ana.mask_box((40, 40, 120, 120))
    newest(ana)
    ana.press("Escape")
    ana.wait(f"{OPEN}.length === 0 && nb.maskBox === null")


def test_e7_two_live_users_on_one_spot_keep_their_own_results(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    for person, box in ((ana, (200, 120, 300, 220)), (ben, (240, 160, 340, 260))):
        person.mask_box(box)
        person.see("prompt").fill("a banana")
        person.tap("live")
    firsts = [newest(person) for person in (ana, ben)]
    for person, at in ((ana, (210, 230)), (ben, (330, 150))):
        person.press("b").drag((250, 190), at)
    seconds = [newest(person) for person in (ana, ben)]
    assert not set(firsts) & set(seconds)
    for person in (ana, ben):
        stand(person, *seconds)

    # Live off: the last result stays, to be decided like any other
    ana.press("Shift+L")
    ana.see("staged-bar")
    ana.tap("accept")
    ben.wait(f"{STAGED}.length === 1 && {STAGED}[0].user === nb.you.user")
    ben.press("Enter")
    for person in (ana, ben):
        person.wait(f"{OPEN}.length === 0 && nb.unsaved === 0 && nb.complete && nb.pending === 0")
    ana.caught_up(ben)
    assert same_canvas(ana, ben)
