"""Step 8 and the states: export, coming back, losing the connection, a restart."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect

from e2e.conftest import Invite
from e2e.person import Person, same_canvas
from support.product import running_product


def test_the_export_is_a_png_of_the_visible_canvas(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.paint((60, 60), (200, 60))
    with ana.page.expect_download() as download:
        ana.tap("export")
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert picture.format == "PNG"
    assert picture.size == (640, 427)
    assert picture.convert("RGB").getpixel((130, 60)) == (228, 87, 46)


def test_r5_strokes_made_without_a_connection_are_kept_and_sent_when_it_is_back(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    before = ben.seq
    ana.context.set_offline(True)
    ana.page.evaluate("window.nanobana.drop()")
    ana.wait("nb.connection === 'waiting'")
    ana.press("p").drag((60, 60), (200, 60))
    ana.wait("nb.unsaved === 1 && nb.pending === 1")
    ben.paint((60, 160), (200, 160))
    ana.context.set_offline(False)
    ana.wait("nb.connection === 'live' && nb.unsaved === 0 && nb.pending === 0")
    for person in (ana, ben):
        person.wait(f"nb.position[1] === {before + 2} && nb.complete")
    assert same_canvas(ana, ben)
    assert ana.picture().getpixel((130, 60)) == ana.picture().getpixel((130, 160)) == (228, 87, 46, 255)


def test_c6_unsent_edits_survive_a_reload_and_are_made_once(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    before = ana.seq
    tickets = "**/api/canvases/*/tickets"
    ana.page.route(tickets, lambda route: route.abort())
    ana.page.evaluate("window.nanobana.drop()")
    ana.wait("nb.connection === 'waiting'")
    ana.press("p").drag((60, 60), (200, 60))
    ana.wait("nb.unsaved === 1 && nb.kept === 1")
    ana.page.reload()
    ana.wait("nb.unsaved === 1")
    ana.page.unroute(tickets)
    ana.wait(f"nb.connection === 'live' && nb.unsaved === 0 && nb.complete && nb.position[1] > {before}")
    assert ana.seq == before + 1
    assert ana.picture().getpixel((130, 60)) == (228, 87, 46, 255)


def test_the_pill_says_how_the_connection_stands(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    ana.wait("nb.pill === 'live'")
    ana.page.route("**/api/canvases/*/tickets", lambda route: route.abort())
    pill = ana.page.evaluate("() => { window.nanobana.drop(); return window.nanobana.pill }")
    assert pill == "live", "a short break is not worth a word"
    ana.wait("nb.pill === 'reconnecting'")
    expect(ana.see("connection")).to_contain_text("Reconnecting")
    ana.page.unroute("**/api/canvases/*/tickets")
    ana.wait("nb.pill === 'live' || nb.pill === 'saved'")


def test_a_wrong_link_says_so(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    eve = invite("Eve")
    eve.page.goto(ana.link("edit")[:-4] + "xxxx")
    expect(eve.page.get_by_role("alertdialog")).to_contain_text("link")


def test_everything_closed_and_started_again_the_canvas_is_there(chromium: Browser, tmp_path: Path) -> None:
    with running_product(tmp_path / "data") as product:
        context = chromium.new_context()
        ana = Person("Ana", context, product.origin).start_with_sample()
        ana.paint((60, 60), (200, 60))
        tiles, address = ana.tiles(), ana.page.url
        context.close()
        assert product.stop() == 0
        product.start()
        context = chromium.new_context()
        again = Person("Ana", context, product.origin).open(address)
        assert again.tiles() == tiles
        context.close()


def test_c8_a_canvas_file_opens_as_a_new_canvas_with_the_same_pixels(invite: Invite, tmp_path: Path) -> None:
    ana = invite("Ana").start_with_sample()
    shown = ana.picture()
    ana.tap("menu")
    with ana.page.expect_download() as download:
        ana.tap("menu-save-file")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.suffix == ".nanobana"

    ben = invite("Ben").start()
    ben.page.get_by_test_id("file-input").set_input_files(file)
    ben.wait("nb.complete && nb.connection === 'live' && nb.layers.length === 1")

    assert ben.nb("canvas")["id"] != ana.nb("canvas")["id"]
    assert ben.picture().tobytes() == shown.tobytes()
