"""Layers in the page: blended and locked, seen the same by everybody and in what is exported."""

from __future__ import annotations

import math

import numpy as np

from e2e.conftest import Invite
from e2e.person import Person, same_canvas

NEAR = 2
"""Levels of 255 by which a browser's blending may differ from ours: it keeps 8 bits of premultiplied colour."""


def far_from_export(person: Person, box: tuple[int, int, int, int]) -> int:
    """The largest difference of any channel between the screen at 100 % and the export, over a box of the canvas."""
    person.press("Control+1").wait("nb.complete && nb.pending === 0")
    x, y = person.at(box[:2])
    width, height = box[2] - box[0], box[3] - box[1]
    shown = person.page.evaluate(
        """([x, y, w, h]) => Array.from(document.querySelector('[data-testid=picture]').getContext('2d')
          .getImageData(x, y, w, h).data)""",
        [math.floor(x + 0.5), math.floor(y + 0.5), width, height],
    )
    wanted = person.picture().crop(box).tobytes()
    return int(np.abs(np.array(shown, np.int16) - np.frombuffer(wanted, np.uint8)).max())


def add_layer(person: Person) -> str:
    with person.durably():
        person.tap("layer-add")
    return str(person.nb("layers")[-1]["id"])


def choose(person: Person, testid: str, value: str) -> None:
    with person.durably():
        person.see(testid).select_option(value)


def test_c1_a_blended_layer_shows_as_it_is_exported(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    add_layer(ana)
    ana.paint((200, 150), (330, 260))
    for blend in ("multiply", "screen", "overlay"):
        choose(ana, "layer-blend", blend)
        ben.caught_up(ana)
        assert ben.nb("layers")[-1]["blend"] == blend
        assert max(far_from_export(person, (180, 130, 350, 280)) for person in (ana, ben)) <= NEAR
    assert same_canvas(ana, ben)


def test_c1_a_locked_layer_is_left_alone_and_the_page_says_why(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    step(ana, "layer-lock")
    ben.caught_up(ana)
    ben.press("p").drag((200, 150), (330, 260))
    ben.page.get_by_text("is locked: unlock it or choose another layer").wait_for()
    assert ben.page.get_by_test_id("layer-delete").is_disabled()
    assert ben.seq == ana.seq
    step(ben, "layer-lock")
    assert ben.nb("layers")[0]["locked"] is False
    ben.paint((200, 150), (330, 260))


def step(person: Person, testid: str) -> None:
    """A click on a button of the layers panel, durable and drawn."""
    with person.durably():
        person.tap(testid)


def names(person: Person) -> list[str]:
    return [f"{layer['name']}{'/' if layer['parent'] else ''}" for layer in person.nb("layers")]


def test_c9_layers_are_grouped_copied_merged_and_deleted_and_every_step_is_undone(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    sample = names(ana)[0]
    add_layer(ana)
    ana.paint((200, 150), (330, 260))
    looks = [ana.picture()]
    steps = [
        ("layer-group", [sample, "Layer 2/", "Group"]),
        ("layer-duplicate", [sample, "Layer 2/", "Layer 2 copy/", "Group"]),
        ("layer-merge", [sample, "Layer 2/", "Group"]),
    ]
    for testid, wanted in steps:
        step(ana, testid)
        assert names(ana) == wanted
        looks.append(ana.picture())
    ana.page.get_by_test_id("layer-name").filter(has_text="Group").click()
    step(ana, "layer-delete")
    assert names(ana) == [sample]
    ben.caught_up(ana)
    assert same_canvas(ana, ben)
    for look in reversed(looks):
        ana.press_durably("Control+z")
        assert ana.picture().tobytes() == look.tobytes()
    ben.caught_up(ana)
    assert names(ben) == [sample, "Layer 2"] and same_canvas(ana, ben)
    assert far_from_export(ben, (180, 130, 350, 280)) <= NEAR
