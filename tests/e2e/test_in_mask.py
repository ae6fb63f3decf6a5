"""Paint that stays inside one's own mask, also while it is drawn (behaviours 3 and 28, C5)."""

from __future__ import annotations

import time

from e2e.conftest import Invite
from e2e.person import PATIENCE_MS, Person, Point, same_canvas

OVERLAID = """([x, y]) => {
  const canvas = document.querySelector('[data-testid=overlay]')
  const at = window.nanobana.toPage(x, y)
  const k = canvas.width / canvas.clientWidth
  return [...canvas.getContext('2d').getImageData(Math.round(at.x * k), Math.round(at.y * k), 1, 1).data]
}"""
ORANGE = (228, 87, 46)


def stroke(person: Person, y: float) -> None:
    """From left to right through the mask, wider than it."""
    person.paint((120, y), (420, y))


def test_behaviour_3_paint_and_eraser_stay_inside_my_mask_and_others_paint_as_ever(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.picture()
    ana.mask_box((200, 100, 300, 220))
    ana.press("p")
    assert ana.see("in-mask").get_attribute("aria-pressed") == "false"
    ana.tap("in-mask")
    assert ana.see("in-mask").get_attribute("aria-pressed") == "true"
    stroke(ana, 160)
    ben.caught_up(ana)
    after = ana.picture()
    assert after.getpixel((250, 160)) == (228, 87, 46, 255)
    for x, y in ((199, 160), (300, 160), (150, 160), (400, 160)):
        assert after.getpixel((x, y)) == before.getpixel((x, y))
    stroke(ben, 190)
    ana.caught_up(ben)
    assert same_canvas(ana, ben)
    assert ana.picture().getpixel((150, 190)) == (228, 87, 46, 255)
    with ana.durably():
        ana.press("e").drag((120, 160), (420, 160))
    erased = ana.picture()
    assert erased.getchannel("A").getpixel((250, 160)) == 0
    assert erased.getpixel((301, 160)) == before.getpixel((301, 160))
    ana.press("p").press("m")
    assert ana.see("in-mask").get_attribute("aria-pressed") == "false"
    stroke(ana, 60)
    assert ana.picture().getpixel((150, 60)) == (228, 87, 46, 255)


def overlaid(person: Person, point: Point) -> list[int]:
    """What lies over the picture at a point on their screen, RGBA."""
    found: list[int] = person.page.evaluate(OVERLAID, list(point))
    return found


def draws_until_seen(ana: Person, ben: Person, point: Point) -> None:
    """Ana's stroke goes on at a point until Ben sees paint there: pieces of a stroke in progress may be lost (R3)."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < end:
        ana.point(point)
        ana.point((point[0] + 4, point[1] + 4))
        if all(abs(got - want) < 40 for got, want in zip(overlaid(ben, point), (*ORANGE, 255), strict=True)):
            return
    raise AssertionError(f"Ben never saw Ana's stroke at {point}: {overlaid(ben, point)}")


def test_behaviour_28_others_see_a_stroke_inside_my_mask_inside_it_while_it_is_drawn(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    ana.mask_box((200, 100, 300, 220)).press("p").press("m")
    assert ana.see("in-mask").get_attribute("aria-pressed") == "true"
    ben.wait(f"nb.othersMaskSums[0] === {ana.nb('maskSum')}")
    ana.drag((120, 160), (420, 160), (250, 200), release=False)
    draws_until_seen(ana, ben, (250, 200))
    for x in (130, 185, 315, 410):
        assert overlaid(ben, (x, 160))[3] == 0
    with ana.durably():
        ana.page.mouse.up()
    ben.caught_up(ana).wait("nb.othersStrokes === 0")
    assert ben.picture().getpixel((250, 160)) == (*ORANGE, 255)
    ben.press("p").drag((120, 60), (420, 60), release=False)
    draws_until_seen(ben, ana, (410, 60))
    with ben.durably():
        ben.page.mouse.up()
