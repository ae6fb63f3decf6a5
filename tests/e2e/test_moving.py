"""The move tool: a layer, a placed picture or what is masked is moved, scaled, turned, flipped (behaviour 3, C14)."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from e2e.conftest import Invite
from e2e.person import Person, same_canvas
from e2e.test_layers import add_layer, step

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LANDED = "nb.unsaved === 0 && nb.landing === 0 && nb.complete"


def inked(invite: Invite) -> tuple[Person, Person]:
    """Two people; one has painted a stroke on a layer of its own."""
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    add_layer(ana)
    ana.paint((200, 150), (330, 260))
    ben.caught_up(ana)
    return ana, ben


def put_down(person: Person, keys: str = "Enter") -> None:
    person.press_durably(keys).wait(LANDED)


def fill(person: Person, field: str, value: float) -> None:
    person.page.get_by_test_id(f"move-{field}").fill(str(value))
    person.press("Enter")


def test_behaviour_3_a_layer_is_moved_before_everybodys_eyes_and_undone_in_one_step(invite: Invite) -> None:
    ana, ben = inked(invite)
    before, tiles = ana.picture(), ana.tiles()
    ana.press("v").wait("nb.moving !== null")
    at = ana.nb("moving")
    ana.drag((260, 200), (340, 180), release=False)
    ben.wait("nb.othersMoving === 1")
    assert ben.tiles() == tiles
    ana.page.mouse.up()
    assert ana.nb("moving") == at | {"x": at["x"] + 80, "y": at["y"] - 20}
    ana.press("ArrowDown").press("Shift+ArrowLeft")
    put_down(ana)
    ben.wait(f"nb.position[1] >= {ana.seq} && nb.othersMoving === 0 && {LANDED}")
    assert same_canvas(ana, ben)
    moved = ana.picture()
    assert moved.getpixel((265 + 70, 205 - 19)) == before.getpixel((265, 205))
    assert moved.getpixel((200, 150)) != before.getpixel((200, 150))
    ana.press("b").press_durably("Control+z")
    assert ana.tiles() == tiles


def test_behaviour_3_what_is_masked_is_scaled_turned_and_flipped_by_numbers(invite: Invite) -> None:
    ana, ben = inked(invite)
    tiles = ana.tiles()
    ana.mask_box((180, 130, 260, 210)).press("v").wait("nb.moving !== null")
    held = ana.nb("moving")
    assert held["w"] <= 80 and held["h"] <= 80
    fill(ana, "w", 2 * held["w"])
    assert ana.nb("moving")["h"] == 2 * held["h"]
    ana.press("Escape").wait("!nb.moved")
    assert ana.nb("maskBox") is not None and ana.tiles() == tiles
    fill(ana, "w", 2 * held["w"])
    fill(ana, "angle", 30)
    ana.tap("move-flip-x")
    assert ana.nb("moving.angle") == -30
    ben.wait("nb.othersMoving === 1")
    put_down(ana)
    assert ana.nb("maskBox") is None
    ben.wait(f"nb.position[1] >= {ana.seq} && nb.othersMoving === 0 && {LANDED}")
    assert same_canvas(ana, ben)
    ana.press("b").press_durably("Control+z")
    assert ana.tiles() == tiles


def bring(person: Person) -> None:
    """A green picture on top of the sample, its frame up."""
    out = io.BytesIO()
    Image.new("RGB", (90, 60), (20, 200, 40)).save(out, "PNG")
    person.page.get_by_test_id("layer-image-input").set_input_files(
        {"name": "green.png", "mimeType": "image/png", "buffer": out.getvalue()}
    )
    person.brought(2).wait("nb.moving !== null")


def has_the_brush(person: Person) -> bool:
    """The mask brush again: the move tool was only taken to place a picture."""
    return person.see("tool-mask").get_attribute("aria-pressed") == "true"


def test_behaviour_11_a_picture_is_placed_with_its_frame_and_fixed_with_enter(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    bring(ana)
    left, top = ana.nb("moving.x"), ana.nb("moving.y")
    ana.drag((left + 90, top + 60), (left + 180, top + 120))
    assert ana.nb("moving") == {"x": left, "y": top, "w": 180, "h": 120, "angle": 0}
    put_down(ana)
    assert has_the_brush(ana)
    after = ana.picture()
    assert after.getpixel((int(left) + 179, int(top) + 119)) == (20, 200, 40, 255)
    assert after.getpixel((int(left) + 181, int(top) + 60)) != (20, 200, 40, 255)


def test_behaviour_30_a_placed_picture_goes_with_one_undo_and_comes_back_with_one_redo(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    tiles = ana.tiles()
    ana.mask_box((10, 10, 60, 60))
    bring(ana)
    left, top = ana.nb("moving.x"), ana.nb("moving.y")
    assert (ana.nb("moving.w"), ana.nb("moving.h")) == (90, 60), "all of it is held, whatever is masked"
    ana.drag((left + 90, top + 60), (left + 180, top + 120)).drag((left + 50, top + 50), (left + 90, top + 20))
    put_down(ana)
    assert ana.nb("maskBox") is not None
    placed = ana.tiles()
    ana.press_durably("Control+z")
    assert len(ana.nb("layers")) == 1 and ana.tiles() == tiles
    ana.press_durably("Control+Shift+Z")
    assert ana.tiles() == placed
    ben.caught_up(ana)
    assert same_canvas(ana, ben)


def test_behaviour_11_while_the_frame_is_up_escape_puts_it_back_and_undo_takes_it_away(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    tiles = ana.tiles()
    bring(ana)
    came = ana.nb("moving")
    ana.drag((came["x"] + 45, came["y"] + 30), (came["x"] + 145, came["y"] + 80)).wait("nb.moved")
    ana.press("Escape").wait("!nb.moved")
    assert ana.nb("moving") == came
    ana.press_durably("Control+z")
    ana.wait("nb.layers.length === 1 && nb.moving === null")
    assert ana.tiles() == tiles and has_the_brush(ana)


def test_behaviour_30_what_is_done_between_bringing_and_putting_down_is_a_step_of_its_own(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    bring(ana)
    left, top = ana.nb("moving.x"), ana.nb("moving.y")
    step(ana, "layer-visible")
    step(ana, "layer-visible")
    came = ana.tiles()
    ana.drag((left + 45, top + 30), (left + 145, top + 80)).wait("nb.moved")
    step(ana, "move-apply")
    ana.wait(LANDED)
    assert has_the_brush(ana) and ana.tiles() != came
    ana.press_durably("Control+z")
    assert ana.tiles() == came and len(ana.nb("layers")) == 2


def test_behaviour_3_and_39_two_fingers_scale_what_is_held_on_a_phone(invite: Invite) -> None:
    ana = invite("Ana", **PHONE).start()
    ana.page.get_by_test_id("sample-picture").tap()
    ana.brought(1)
    scale = ana.nb("view.scale")
    ana.page.get_by_test_id("tool-move").tap()
    ana.wait("nb.moving !== null")
    width = ana.nb("moving.w")
    ana.touches("touchStart", (130, 300), (230, 300))
    for by in range(5, 30, 5):
        ana.touches("touchMove", (130 + by, 300), (230 - by, 300))
    ana.touches("touchEnd")
    ana.wait(f"nb.moved && Math.abs(nb.moving.w - {width / 2}) <= 2")
    assert ana.nb("view.scale") == scale
    for testid in ("move-x", "move-angle", "move-flip-y", "move-cancel", "move-apply", "tool-move", "redo"):
        box = ana.see(testid).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 360
        assert min(box["width"], box["height"]) >= 24
    with ana.durably():
        ana.page.get_by_test_id("move-apply").tap()
    ana.wait(LANDED)


def test_behaviour_3_a_locked_layer_is_not_lifted(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    step(ana, "layer-lock")
    ana.press("v")
    ana.page.get_by_text("is locked: unlock it or choose another layer").wait_for()
    assert ana.nb("moving") is None
