"""Where a result goes: onto the layer that is chosen, or onto a new one that comes and goes with it (E5, C9)."""

from __future__ import annotations

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person, same_canvas
from e2e.test_layers import add_layer


def made(person: Person, onto: str) -> None:
    """An erased part, which takes any engine a moment; accepted."""
    person.mask_box((200, 120, 260, 180))
    if not person.shows("advanced-panel"):
        person.tap("advanced")
    person.tap(f"onto-{onto}")
    person.tap("erase")
    person.see("staged-bar", ENGINE_MS)
    person.press_durably("Enter")


def test_behaviour_15_and_30_a_result_on_a_new_layer_comes_and_goes_in_one_step(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ana.tiles()
    made(ana, "new")
    assert [layer["name"] for layer in ana.nb("layers")][1:] == ["Erased"]
    ben.caught_up(ana)
    assert same_canvas(ana, ben)
    after = ana.tiles()
    ana.press_durably("Control+z")
    assert len(ana.nb("layers")) == 1 and ana.tiles() == before
    ana.press_durably("Control+Shift+z")
    assert len(ana.nb("layers")) == 2 and ana.tiles() == after


def test_behaviour_15_a_result_on_this_layer_stays_on_it_whatever_lies_above(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    sample = ana.nb("layers")[0]["id"]
    before = ana.tiles()
    add_layer(ana)
    ana.page.get_by_test_id("layer-name").filter(has_text="Sample picture").click()
    made(ana, "layer")
    assert len(ana.nb("layers")) == 2
    after = ana.tiles()
    assert {key.split("/")[0] for key in after} == {sample} and after != before
    ana.press_durably("Control+z")
    assert ana.tiles() == before
