"""Pictures come onto the canvas and out of it (behaviour 11)."""

from __future__ import annotations

import base64
import io

from PIL import Image
from playwright.sync_api import FilePayload

from e2e.conftest import Invite
from e2e.person import Person
from e2e.test_layers import add_layer

PASTE = """async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
  const transfer = new DataTransfer()
  transfer.items.add(new File([bytes], 'green.png', { type: 'image/png' }))
  const [kind, target, facts] = %s
  target.dispatchEvent(new kind(facts.type, { bubbles: true, cancelable: true, ...facts, [facts.field]: transfer }))
}"""
PASTED = "[ClipboardEvent, window, { type: 'paste', field: 'clipboardData' }]"
DROPPED = (
    "[DragEvent, document.querySelector('[data-testid=stage]'), "
    "{ type: 'drop', field: 'dataTransfer', clientX: 500, clientY: 400 }]"
)
COPIED = """async () => {
  const [item] = await navigator.clipboard.read()
  const bytes = new Uint8Array(await (await item.getType('image/png')).arrayBuffer())
  return btoa(String.fromCharCode(...bytes))
}"""


def copied(person: Person) -> bytes:
    """The pixels on their clipboard."""
    return Image.open(io.BytesIO(base64.b64decode(person.page.evaluate(COPIED)))).convert("RGBA").tobytes()


def test_behaviour_11_pictures_are_pasted_dropped_and_picked_and_the_selection_is_copied_out(
    invite: Invite,
) -> None:
    ana = invite("Ana", permissions=["clipboard-read", "clipboard-write"]).start_with_sample()
    ben = invite("Ben", ana.link("edit"))
    out = io.BytesIO()
    Image.new("RGB", (90, 60), (20, 200, 40)).save(out, "PNG")
    picture = base64.b64encode(out.getvalue()).decode()
    for count, how in enumerate((PASTED, DROPPED), start=2):
        ana.page.evaluate(PASTE % how, picture)
        ana.brought(count)
    ana.page.get_by_test_id("layer-image-input").set_input_files(
        {"name": "green.png", "mimeType": "image/png", "buffer": out.getvalue()}
    )
    ana.brought(4).wait("nb.moving !== null")
    ben.caught_up(ana)
    assert ben.picture().getpixel((320, 213)) == (20, 200, 40, 255)
    ana.mask_box((300, 200, 420, 280)).press("Control+c")
    ana.page.get_by_text("Copied as a picture").wait_for()
    assert copied(ana) == ana.picture().crop((300, 200, 420, 280)).tobytes()
    ana.page.get_by_text("Copied as a picture").wait_for(state="hidden")
    ana.press("r").drag((300, 200), (520, 280)).wait("nb.maskBox?.[2] === 520")
    ana.tap("copy-out")
    ana.page.get_by_text("Copied as a picture").wait_for()
    assert copied(ana) == ana.picture().crop((300, 200, 520, 280)).tobytes()


def test_behaviour_11_an_open_raster_file_opens_as_a_canvas_and_comes_in_as_a_group(invite: Invite) -> None:
    ana = invite("Ana").start_with_sample()
    add_layer(ana)
    ana.paint((200, 200), (500, 420))
    layers, picture = ana.nb("layers"), ana.picture()
    exported = ana.fetch("export.ora").body()
    file: FilePayload = {"name": "Sea.ora", "mimeType": "application/octet-stream", "buffer": exported}

    ben = invite("Ben").start()
    ben.page.get_by_test_id("file-input").set_input_files(file)
    ben.brought(2).wait("nb.canvas.title === 'Sea'")
    assert [layer["name"] for layer in ben.nb("layers")] == [layer["name"] for layer in layers]
    assert ben.picture().tobytes() == picture.tobytes()

    cem = invite("Cem", ben.link("edit"))
    ben.page.get_by_test_id("layer-image-input").set_input_files(file)
    ben.brought(5)
    cem.caught_up(ben)
    *inside, group = ben.nb("layers")[2:]
    assert (group["name"], group["group"], {layer["parent"] for layer in inside}) == ("Sea.ora", True, {group["id"]})
    assert ben.picture().tobytes() == picture.tobytes()
    ben.press_durably("Control+z")
    assert len(cem.caught_up(ben).nb("layers")) == 2

    bad: FilePayload = {"name": "Bad.ora", "mimeType": "application/octet-stream", "buffer": b"no zip at all"}
    ben.page.get_by_test_id("layer-image-input").set_input_files(bad)
    ben.page.get_by_text("This OpenRaster file cannot be opened").wait_for()
