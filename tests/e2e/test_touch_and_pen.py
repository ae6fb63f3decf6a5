"""Fingers and pens: one finger paints, two navigate, taps undo, and a palm beside the pen does nothing."""

from __future__ import annotations

from typing import Any

from e2e.conftest import Invite
from e2e.person import Person

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def _swipe(person: Person) -> None:
    x, y = person.at((200, 200))
    person.touches("touchStart", (x, y))
    for step in range(1, 6):
        person.touches("touchMove", (x + step * 6, y + step * 4))
    person.touches("touchEnd")


def test_one_finger_paints_two_zoom_and_taps_undo_and_redo(invite: Invite) -> None:
    ana = invite("Ana", **PHONE).start()
    ana.page.get_by_test_id("sample-picture").tap()
    ana.brought(1)
    _swipe(ana)
    ana.see("mask-bar")
    painted = ana.nb("maskBox")

    scale = ana.nb("view.scale")
    ana.touches("touchStart", (160, 300), (200, 340))
    for step in range(1, 6):
        ana.touches("touchMove", (160 - step * 8, 300 - step * 8), (200 + step * 8, 340 + step * 8))
    ana.touches("touchEnd")
    ana.wait(f"nb.view.scale > {scale * 1.5}")
    assert ana.nb("maskBox") == painted

    ana.tap_with((160, 300), (200, 340))
    ana.wait("nb.maskBox === null")
    ana.tap_with((160, 300), (200, 340), (120, 380))
    ana.wait("nb.maskBox !== null")
    assert ana.nb("maskBox") == painted


def test_everything_fits_on_360_pixels(invite: Invite) -> None:
    ana = invite("Ana", **PHONE).start()
    ana.page.get_by_test_id("sample-picture").tap()
    ana.brought(1)
    _swipe(ana)
    for testid in ("tool-mask", "redo", "share", "menu", "generate", "advanced"):
        box = ana.see(testid).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert min(box["width"], box["height"]) >= 24


def test_pen_pressure_sets_the_width_and_afterwards_a_palm_only_pans(invite: Invite) -> None:
    ana = invite("Ana", has_touch=True).start_with_sample()
    ana.press("b")
    ana.pen((100, 100, 0.1), (140, 100, 0.1), (180, 100, 0.1), (180, 100, 0.1))
    thin = ana.nb("maskBox")
    ana.press("Control+z")
    ana.pen((100, 100, 0.9), (140, 100, 0.9), (180, 100, 0.9), (180, 100, 0.9))
    thick = ana.nb("maskBox")
    assert thick[3] - thick[1] > (thin[3] - thin[1]) * 1.3

    view = ana.nb("view.x")
    _swipe(ana)
    ana.wait(f"nb.view.x > {view}")
    assert ana.nb("maskBox") == thick
