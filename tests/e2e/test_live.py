"""Live: the region is made again as one paints, for everybody to see, one result at a time (E7)."""

from __future__ import annotations

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person, same_canvas

OPEN = "nb.jobs.filter(j => j.live !== '' && ['queued', 'running', 'staged'].includes(j.state))"
STAGED = f"{OPEN}.filter(j => j.state === 'staged')"


def newest(person: Person) -> str:
    """The staged live result that is drawn on this page and stands alone."""
    drawn = f"{OPEN}.length === 1 && {STAGED}.length === 1 && nb.marks[{STAGED}[0].id]?.staged !== undefined"
    person.wait(drawn, ENGINE_MS)
    return str(person.nb("jobs.findLast(j => j.live !== '' && j.state === 'staged').id"))


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
    assert ben.see("job-label").inner_text() == "Ana is live"
    assert not ana.shows("staged-bar"), "the decision is in the mask's bar"

    ana.press("b").drag((310, 170), (360, 230), (390, 260))
    ana.wait(f"{STAGED}.some(j => j.id !== '{first}') && {OPEN}.length === 1", ENGINE_MS)
    second = newest(ana)
    assert newest(ben) == second
    assert ana.nb("maskBox") is not None, "the mask stays, to be painted on"
    seeds = {each["seed"] for each in ana.nb("jobs") if each["live"]}
    assert len(seeds) == 1, "what does not change looks the same"
    assert ben.page.get_by_test_id("job-label").count() == 1

    ana.press("Enter")
    for person in (ana, ben):
        person.wait(f"{OPEN}.length === 0 && nb.unsaved === 0 && nb.complete && nb.pending === 0")
    ben.wait(f"nb.position[1] >= {ana.seq}")
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
    mine = f"{STAGED}.some(j => j.user === nb.you.user && nb.marks[j.id]?.staged !== undefined)"
    for person in (ana, ben):
        person.wait(f"{STAGED}.length === 2 && {mine}", ENGINE_MS)
    for person, at in ((ana, (210, 230)), (ben, (330, 150))):
        person.press("b").drag((250, 190), at)
    for person in (ana, ben):
        person.wait(f"{OPEN}.length === 2 && {STAGED}.length === 2", ENGINE_MS)

    # Live off: the last result stays, to be decided like any other
    ana.press("Shift+L")
    ana.see("staged-bar")
    ana.tap("accept")
    ben.wait(f"{STAGED}.length === 1 && {STAGED}[0].user === nb.you.user")
    ben.press("Enter")
    for person in (ana, ben):
        person.wait(f"{OPEN}.length === 0 && nb.unsaved === 0 && nb.complete && nb.pending === 0")
    ana.wait(f"nb.position[1] >= {ben.seq}")
    assert same_canvas(ana, ben)
