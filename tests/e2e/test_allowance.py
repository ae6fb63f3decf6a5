"""What an edit counts for is said before the click, where edits are counted (behaviour 22)."""

from __future__ import annotations

from pathlib import Path

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person
from support.product import running_product

BOX = (200, 120, 260, 180)


def told(person: Person) -> str:
    return person.see("allowance").inner_text()


def test_behaviour_22_the_cost_stands_beside_generate_where_edits_are_counted(invite: Invite, tmp_path: Path) -> None:
    free = invite("Ana").start_with_sample().mask_box(BOX)
    free.tap("advanced")
    for testid in ("seed", "strength", "quality-draft"):
        free.see(testid)
    assert not free.shows("allowance")
    with running_product(tmp_path / "data", NANOBANA_EDITS_PER_DAY="2") as product:
        ana = invite("Ana", origin=product.origin).start_with_sample().mask_box(BOX)
        assert told(ana) == "Counts as 1 edit: 2 left of the 2 that you have for a day."
        ana.tap("erase")
        ana.see("staged-bar", ENGINE_MS)
        ana.mask_box((300, 120, 360, 180))
        ana.page.get_by_text("Counts as 1 edit: 1 left of the 2 that you have for a day.").wait_for()
        ana.tap("erase")
        ana.wait("nb.jobs.length === 2 && nb.unsaved === 0")
        ana.mask_box((400, 120, 460, 180))
        ana.page.get_by_text("The 2 edits that you have for a day are used up. One more is there in").wait_for()
