"""Step 2: the empty state, and pictures coming in."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from e2e.conftest import Invite


def test_the_start_page_offers_a_picture_a_blank_canvas_and_a_sample(invite: Invite) -> None:
    ana = invite("Ana").start()
    for choice in ("drop-zone", "blank-canvas", "sample-picture", "first-prompt"):
        assert ana.shows(choice)


def test_behaviour_35_a_canvas_can_begin_with_a_prompt(invite: Invite) -> None:
    ana = invite("Ana").start()
    ana.see("first-prompt").fill("a red apple")
    ana.tap("first-generate")
    ana.wait("nb.jobs.length === 1")
    assert ana.nb("jobs[0].prompt") == "a red apple"
    assert ana.nb("jobs[0].box") == [48, 48, 720, 720]
    assert ana.nb("canvas.title") == "a red apple"


def test_behaviour_35_three_hints_are_shown_once_and_can_be_skipped(invite: Invite) -> None:
    ana = invite("Ana", is_new=True).start_with_sample()
    titles = []
    for _ in range(3):
        titles.append(ana.see("coach").get_attribute("aria-label"))
        ana.tap("coach-next")
    assert len(set(titles)) == 3
    expect(ana.page.get_by_test_id("coach")).to_have_count(0)
    ana.page.reload()
    ana.wait("nb.complete")
    assert not ana.shows("coach")
    ben = invite("Ben", ana.link("edit"), is_new=True)
    ben.see("coach")
    ben.mask_box((100, 100, 200, 200))
    assert not ben.shows("coach"), "whoever is at work is left alone"
    ben.press("Escape")
    ben.see("coach")
    ben.tap("coach-skip")
    expect(ben.page.get_by_test_id("coach")).to_have_count(0)


def test_a_12_megapixel_jpeg_with_exif_rotation_comes_in_upright_as_a_layer(invite: Invite, tmp_path: Path) -> None:
    pixels = np.zeros((3000, 4000, 3), np.uint8)
    pixels[:, :2000] = (200, 30, 30)  # stored left half red; orientation 6 turns it to the top
    pixels[:, 2000:] = (30, 30, 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "big.jpg", quality=85, exif=exif.tobytes())
    ana = invite("Ana").start()
    held: list[Route] = []
    ana.page.route("**/images?*", lambda route: held.append(route))
    with ana.page.expect_request("**/images?*"):
        ana.page.get_by_test_id("file-input").set_input_files(tmp_path / "big.jpg")
    ana.see("import-progress")
    held.pop().continue_()
    ana.brought(1)
    assert not ana.shows("import-progress")
    canvas = ana.nb("canvas")
    assert (canvas["width"], canvas["height"]) == (3000, 4000)
    assert [layer["name"] for layer in ana.nb("layers")] == ["big.jpg"]
    picture = ana.picture()
    top, bottom = picture.getpixel((1500, 500)), picture.getpixel((1500, 3500))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 150 > top[2]
    assert bottom[2] > 150 > bottom[0]


def test_a_blank_canvas_is_a_white_sheet_of_the_chosen_size(invite: Invite) -> None:
    ana = invite("Ana").start()
    ana.tap("blank-canvas")
    ana.tap("size-1024x1024")
    ana.brought(1)
    assert ana.picture().getcolors() == [(1024 * 1024, (255, 255, 255, 255))]


def test_what_is_no_picture_is_refused_in_words_and_the_canvas_goes_on(invite: Invite, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_bytes(b"not a picture at all")
    ana = invite("Ana").start_with_sample()
    before = ana.seq
    ana.page.get_by_test_id("layer-image-input").set_input_files(tmp_path / "note.png")
    expect(ana.page.get_by_test_id("toast").filter(has_text="note.png was not added")).to_be_visible()
    assert ana.seq == before


def test_a_second_picture_becomes_a_layer_of_its_own(invite: Invite, tmp_path: Path) -> None:
    Image.new("RGB", (100, 60), (0, 255, 0)).save(tmp_path / "green.png")
    ana = invite("Ana").start_with_sample()
    ana.page.get_by_test_id("layer-image-input").set_input_files(tmp_path / "green.png")
    ana.brought(2)
    middle = (ana.nb("canvas.width") // 2, ana.nb("canvas.height") // 2)
    assert ana.picture().getpixel(middle) == (0, 255, 0, 255)


def test_a_picture_dropped_on_the_canvas_becomes_a_layer_where_it_fell(invite: Invite) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 20), (0, 255, 0)).save(picture, "PNG")
    ana = invite("Ana").start_with_sample()
    carried = ana.page.evaluate_handle(
        """text => {
          const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0))
          const transfer = new DataTransfer()
          transfer.items.add(new File([bytes], 'leaf.png', { type: 'image/png' }))
          return transfer
        }""",
        base64.b64encode(picture.getvalue()).decode(),
    )
    x, y = ana.at((200, 100))
    ana.see("stage").dispatch_event("drop", {"dataTransfer": carried, "clientX": x, "clientY": y})
    ana.wait("nb.layers.length === 2 && nb.layers[1].name === 'leaf.png' && nb.complete")
    seen = ana.picture()
    assert seen.getpixel((200, 100)) == seen.getpixel((182, 92)) == (0, 255, 0, 255)
    assert seen.getpixel((230, 100)) != (0, 255, 0, 255)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_page_follows_the_system_theme(invite: Invite, theme: str) -> None:
    ana = invite("Ana", color_scheme=theme).start()
    assert ana.page.evaluate("document.documentElement.dataset.theme") == theme
