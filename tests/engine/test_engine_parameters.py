"""What an edit asks of its model, from the ticket to the model and to the job that everybody sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nanobana.keyspace.claims import engines
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.canvas import TERMINAL, Job, OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams, Lora
from nanobana.raster.codec import encode_png
from nanobana_engine.models.base import Item, Request
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.conditioning import SdConditioning
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops import import_image
from nanobana_server.store.types import Author
from support.edits import photo
from support.tiny import sd_pipeline
from support.valkey import private_valkey
from support.worker import working

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
LAYER = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
FACTS = Preset(
    name="tiny", native=64, min_side=64, max_side=128, multiple=16, grow_scale=0.25,
    takes=frozenset({"negative", "guidance", "steps", "styles", "weights", "loras"}),
)  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Listening(SdAdapter):
    """Stable Diffusion that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(sd_pipeline(9), FACTS)
        self.asked: list[Request] = []
        self.guidance: list[float] = []

    def condition(self, request: Request) -> SdConditioning:
        self.asked.append(request)
        return super().condition(request)

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        self.guidance += [item.guidance for item in items]
        return super().denoise(items)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a style, a LoRA for the model and one for another."""
    (tmp_path / "styles.toml").write_text('[Snowy]\nprompt = "{prompt} in snow"\nnegative = "tree"\n')
    (tmp_path / "loras").mkdir()
    for name, width in (("toy", 16), ("for-xl", 32)):
        halves = {f"{LAYER}.lora_A.weight": torch.ones(2, width), f"{LAYER}.lora_B.weight": torch.ones(8, 2)}
        save_file(halves, tmp_path / "loras" / f"{name}.safetensors")
    return tmp_path


async def _ended(store: Store, n: int, **asked: object) -> Job:
    """Submit an edit and wait for its result."""
    mask = encode_png(np.full((24, 24), 255, np.uint8))
    edit = EditParams(box=Box(60, 60, 84, 84), mask_png=mask, seed=1, **asked)  # type: ignore[arg-type]
    await jobs.submit(store, "c", Author(user="ana"), Edit(op=OpId("ana", n), edit=edit))
    with anyio.fail_after(15):
        while (job := (await read_job(store, "c", f"ana-{n}")).job).state not in {"staged", *TERMINAL}:  # noqa: ASYNC110 - the record has no bell
            await anyio.sleep(0.01)
    return job


async def test_e4_style_weights_steps_guidance_and_loras_reach_the_model_and_what_is_unknown_does_not(
    models: Path,
) -> None:
    adapter = Listening()
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c")
        await import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(160, 160)), layer="photo")
        async with working(store, valkey.url, adapter, models=models):
            toy = [Lora(name="toy", weight=0.5)]
            full = {"prompt": "a (red:1.3) apple", "style": "Snowy", "steps": 5, "guidance": 2.5, "loras": toy}
            whole = await _ended(store, 2, **full)
            asked, guidance = list(adapter.asked), list(adapter.guidance)
            style = await _ended(store, 3, style="Baroque")
            lora = await _ended(store, 4, loras=[Lora(name="nobody")])
            wrong = await _ended(store, 5, loras=[Lora(name="for-xl")])
            said = (await engines(store.client, FamilyKeys()))[0].models[0]
        await store.aclose()
    assert (whole.state, whole.prompt, whole.style, whole.steps) == ("staged", "a (red:1.3) apple", "Snowy", 5)
    assert (whole.guidance, whole.loras) == (2.5, toy)
    assert [(each.prompt, each.negative) for each in asked] == [("a (red:1.3) apple in snow", "tree")]
    assert [(each.path.stem, each.weight) for each in asked[0].loras] == [("toy", 0.5)]
    assert guidance == [2.5] * 5
    assert (style.state, style.error_code) == ("failed", "unknown_style")
    assert (lora.state, lora.error_code) == ("failed", "unknown_lora")
    assert (wrong.state, wrong.error_code) == ("failed", "wrong_lora")
    assert adapter.guidance == guidance, "nothing of the refused ones was worked on"
    assert said is not None
    assert (said.name, said.loras, "Snowy" in said.styles) == ("tiny", ["toy"], True)
