"""What stands around the canvas: layers dragged into order, a picture to follow, storage, a room that is full."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from e2e.conftest import Invite
from e2e.person import ENGINE_MS, Person, same_canvas
from support.server_process import ServerProcess
from support.valkey import private_valkey

MASK = (200, 120, 300, 220)


def test_layers_are_dragged_into_another_order_for_everybody(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    for _ in range(2):
        with ana.durably():
            ana.page.get_by_role("button", name="Layer", exact=True).click()
    names = [layer["id"] for layer in ana.nb("layers")]
    rows = ana.page.get_by_test_id("layer")
    expect(rows).to_have_count(3)
    wanted = [names[2], *names[:2]]
    rows.nth(0).drag_to(rows.nth(2))
    for person in (ana, ben):
        person.wait(f"nb.layers.map((layer) => layer.id).join() === '{','.join(wanted)}' && nb.unsaved === 0")
    assert same_canvas(ana, ben)


def test_a_picture_dropped_on_the_mask_is_followed(invite: Invite) -> None:
    ana = invite("Ana", bypass_csp=True).start_with_sample()
    ana.mask_box(MASK)
    out = io.BytesIO()
    Image.new("RGB", (96, 96), (20, 200, 40)).save(out, "PNG")
    ana.page.evaluate(
        """async (base64) => {
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
          const transfer = new DataTransfer()
          transfer.items.add(new File([bytes], 'green.png', { type: 'image/png' }))
          const bar = document.querySelector('[data-testid=mask-bar]')
          bar.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }))
        }""",
        base64.b64encode(out.getvalue()).decode(),
    )
    ana.page.get_by_role("button", name="Take the reference picture away").wait_for()
    ana.tap("generate")
    ana.see("staged-bar", ENGINE_MS)
    ana.press_durably("Enter")
    middle = ana.picture().crop((245, 165, 255, 175)).resize((1, 1)).tobytes()
    assert middle[1] > 1.5 * max(middle[0], middle[2])


def test_c12_the_page_shows_what_canvas_and_store_have_used(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.tap("menu")
    expect(ana.see("storage")).to_contain_text("of 2.00 GB")
    expect(ana.see("store-storage")).to_contain_text(" of ")


@pytest.fixture
def small_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    """A server whose rooms have one seat, and one for a watcher."""
    monkeypatch.setenv("NANOBANA_ROOM_MEMBERS", "1")
    monkeypatch.setenv("NANOBANA_ROOM_WATCHERS", "1")
    with private_valkey(fsync="no") as valkey:
        server = ServerProcess(valkey.url, tmp_path / "server.log")
        try:
            server.start()
            yield server
        finally:
            server.kill()


def test_r8_a_full_room_is_a_page_of_its_own_from_which_one_may_watch(
    invite: Invite, chromium: Browser, small_room: ServerProcess
) -> None:
    ana: Person = invite("Ana", origin=small_room.origin).start_with_sample()
    ben = invite("Ben", origin=small_room.origin)
    ben.page.goto(ana.link("edit"))
    ben.page.get_by_text("This room is full").wait_for()
    ben.page.get_by_role("button", name="Watch instead").click()
    ben.wait("nb.complete && nb.connection === 'live'")
    assert same_canvas(ana, ben)
