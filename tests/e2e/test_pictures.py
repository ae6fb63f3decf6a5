"""Pictures come onto the canvas and out of it (behaviour 11)."""

from __future__ import annotations

import base64
import io

from PIL import Image

from e2e.conftest import Invite

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
        ana.wait(f"nb.layers.length === {count}")
    ana.page.get_by_test_id("layer-image-input").set_input_files(
        {"name": "green.png", "mimeType": "image/png", "buffer": out.getvalue()}
    )
    ana.wait("nb.layers.length === 4 && nb.complete")
    ben.wait("nb.layers.length === 4 && nb.complete")
    assert ben.picture().getpixel((320, 213)) == (20, 200, 40, 255)
    ana.mask_box((300, 200, 420, 280)).press("Control+c")
    ana.page.get_by_text("Copied as a picture").wait_for()
    copied = Image.open(io.BytesIO(base64.b64decode(ana.page.evaluate(COPIED))))
    assert copied.convert("RGBA").tobytes() == ana.picture().crop((300, 200, 420, 280)).tobytes()
