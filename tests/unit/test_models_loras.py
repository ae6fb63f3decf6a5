"""LoRAs: worn by the edits that ask for them, refused by their files where they belong to another model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.base import Item, Worn
from nanobana_engine.models.loras import Loras
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.conditioning import SdConditioning
from support.tiny import sd_pipeline, sdxl_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
KOHYA = "lora_unet_" + LAYER.replace(".", "_")


def _file(path: Path, pipeline: Any, style: str = "diffusers", *, seed: int = 0, rank: int = 2) -> Path:
    """A LoRA of one layer of the UNet, as diffusers or as kohya's scripts write it."""
    weight = pipeline.unet.get_submodule(LAYER).weight
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(rank, weight.shape[1], generator=generator)
    up = torch.randn(weight.shape[0], rank, generator=generator)
    if style == "kohya":
        tensors = {
            f"{KOHYA}.lora_down.weight": down,
            f"{KOHYA}.lora_up.weight": up,
            f"{KOHYA}.alpha": torch.tensor(2.0),
        }
    else:
        tensors = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    save_file(tensors, path)
    return path


@pytest.fixture
def adapter() -> SdAdapter:
    return SdAdapter(sd_pipeline(4), Preset(name="tiny", native=64, min_side=32, max_side=64))


def _item(adapter: SdAdapter, *loras: Worn) -> Item:
    generator = torch.Generator().manual_seed(1)
    words = torch.randn(77, 16, generator=generator)
    latents = torch.randn(4, 8, 8, generator=generator)
    return Item(latents=latents, sigma=0.6, conditioning=SdConditioning(words, words, loras=loras))


@pytest.mark.parametrize("style", ["diffusers", "kohya"])
def test_a_worn_lora_is_the_layer_with_its_product_added(tmp_path: Path, adapter: SdAdapter, style: str) -> None:
    pipeline = sd_pipeline(4)
    path = _file(tmp_path / "one.safetensors", pipeline, style)
    bare = adapter.denoise([_item(adapter)])[0]
    worn = adapter.denoise([_item(adapter, Worn(path, 0.5))])[0]
    assert (worn - bare).abs().max() > 1e-3
    assert torch.equal(adapter.denoise([_item(adapter)])[0], bare)

    down, up = _halves(path)
    pipeline.unet.get_submodule(LAYER).weight.data += 0.5 * up @ down
    added = SdAdapter(pipeline, adapter.preset)
    assert (added.denoise([_item(added)])[0] - worn).abs().max() < 1e-5


def _halves(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    from safetensors.torch import load_file

    tensors = load_file(path)
    down = next(value for key, value in tensors.items() if key.endswith(("lora_A.weight", "lora_down.weight")))
    up = next(value for key, value in tensors.items() if key.endswith(("lora_B.weight", "lora_up.weight")))
    return down, up


def test_two_are_worn_together_and_edits_with_others_share_no_call(tmp_path: Path, adapter: SdAdapter) -> None:
    paths = [_file(tmp_path / f"{n}.safetensors", adapter._pipeline, seed=n) for n in range(2)]
    both = _item(adapter, *(Worn(path, 1.0) for path in paths))
    first = _item(adapter, Worn(paths[0], 1.0))
    assert len({adapter.call_key(item) for item in (both, first, _item(adapter))}) == 3
    assert (adapter.denoise([both])[0] - adapter.denoise([first])[0]).abs().max() > 1e-3


def test_more_loras_than_are_kept_come_and_go(tmp_path: Path, adapter: SdAdapter) -> None:
    paths = [_file(tmp_path / f"{n}.safetensors", adapter._pipeline, seed=n) for n in range(10)]
    before = [adapter.denoise([_item(adapter, Worn(path, 1.0))])[0] for path in paths]
    assert len({tuple(answer.flatten().tolist()) for answer in before}) == 10
    assert torch.equal(adapter.denoise([_item(adapter, Worn(paths[0], 1.0))])[0], before[0])
    assert len(adapter.loras._loaded) == 8


def test_a_lora_that_fails_beside_one_that_does_not_leaves_the_next_edit_bare(
    tmp_path: Path, adapter: SdAdapter
) -> None:
    good = _file(tmp_path / "good.safetensors", adapter._pipeline)
    bad = _file(tmp_path / "bad.safetensors", sdxl_pipeline(4))
    bare = adapter.denoise([_item(adapter)])[0]
    with pytest.raises(BadInput, match="bad was made for another model"):
        adapter.denoise([_item(adapter, Worn(good, 1.0), Worn(bad, 1.0))])
    assert torch.equal(adapter.denoise([_item(adapter)])[0], bare)


def test_a_few_step_lora_is_merged_for_good(tmp_path: Path, adapter: SdAdapter) -> None:
    pipeline = sd_pipeline(4)
    path = _file(tmp_path / "few.safetensors", pipeline)
    worn = adapter.denoise([_item(adapter, Worn(path, 0.7))])[0]
    Loras(pipeline).merge(path, 0.7)
    merged = SdAdapter(pipeline, adapter.preset)
    assert (merged.denoise([_item(merged)])[0] - worn).abs().max() < 1e-5


def test_a_lora_of_another_architecture_is_refused_before_it_is_read(tmp_path: Path, adapter: SdAdapter) -> None:
    path = _file(tmp_path / "for-xl.safetensors", sdxl_pipeline(4))
    with pytest.raises(
        BadInput, match=r"for-xl was made for another model: .* 32 numbers, and this model 16"
    ) as refused:
        adapter.loras.check(path)
    assert refused.value.code == "wrong_lora"
    with pytest.raises(BadInput):
        adapter.denoise([_item(adapter, Worn(path, 1.0))])


def test_a_lora_of_a_layer_that_is_not_there_is_refused(tmp_path: Path, adapter: SdAdapter) -> None:
    path = tmp_path / "x.safetensors"
    key = "unet.down_blocks.7.attentions.0.transformer_blocks.0.attn2.to_k"
    save_file({f"{key}.lora_A.weight": torch.zeros(2, 16), f"{key}.lora_B.weight": torch.zeros(8, 2)}, path)
    with pytest.raises(BadInput, match=r"down_blocks\.7") as refused:
        adapter.loras.check(path)
    assert refused.value.code == "wrong_lora"


@pytest.mark.parametrize("data", [b"", b"no safetensors", b"\x00" * 64])
def test_a_file_that_is_no_lora_says_so(tmp_path: Path, adapter: SdAdapter, data: bytes) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(BadInput, match="broken cannot be read") as refused:
        adapter.loras.check(path)
    assert refused.value.code == "bad_lora"
