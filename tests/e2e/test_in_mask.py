"""Paint that stays inside one's own mask (behaviour 3, C5)."""

from __future__ import annotations

from e2e.conftest import Invite
from e2e.person import Person, same_canvas


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
