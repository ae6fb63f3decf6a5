"""What all adapters of diffusion transformers do alike: long prompts, folders that load or say why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana_engine.models.dit import DitAdapter, pack, places, unpack
from nanobana_engine.models.flux_fill import FluxFillAdapter
from nanobana_engine.models.klein import KleinAdapter
from nanobana_engine.models.qwen_edit import QwenEditAdapter
from nanobana_engine.models.registry import Library
from nanobana_engine.models.zimage import ZImageAdapter
from support import tiny_dit
from support.denoising import finished, request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
MADE: dict[type[DitAdapter], Callable[[], Any]] = {
    ZImageAdapter: tiny_dit.zimage,
    FluxFillAdapter: tiny_dit.flux_fill,
    KleinAdapter: tiny_dit.klein,
    QwenEditAdapter: tiny_dit.qwen_edit,
}


@pytest.fixture(scope="module", params=MADE, ids=lambda adapter: adapter.family)
def pipeline(request: pytest.FixtureRequest) -> Any:
    return MADE[request.param]()


@pytest.fixture(scope="module")
def adapter(pipeline: Any) -> DitAdapter:
    kind = next(kind for kind, made in MADE.items() if made().__class__ is pipeline.__class__)
    return kind(pipeline)


@pytest.fixture(scope="module")
def saved(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline's folder, as a download would leave it."""
    folder = tmp_path_factory.mktemp("models") / "model"
    tiny_dit.save(pipeline, folder)
    return folder


def test_a_prompt_beyond_the_encoder_is_refused_before_any_work(adapter: DitAdapter) -> None:
    with pytest.raises(BadInput, match="too long") as caught:
        adapter.condition(request("apple " * 1100, (64, 64)))
    assert caught.value.code == "prompt_too_long"


def test_a_folder_loads_by_its_class_and_makes_the_same_latents(adapter: DitAdapter, saved: Path) -> None:
    loaded: Any = Library().load(str(saved), "cpu")
    asked = request("a tree", (64, 64))
    assert type(loaded) is type(adapter)
    assert torch.equal(loaded.encode(asked.pixels), adapter.encode(asked.pixels))
    assert [part.name for part in loaded.components()][-2:] == ["transformer", "vae"]
    ours, theirs = (each.condition(asked) for each in (loaded, adapter))
    for name in ours.__dataclass_fields__:
        kept = getattr(ours, name)
        assert not isinstance(kept, torch.Tensor) or torch.equal(kept, getattr(theirs, name))


def _spoilt(folder: Path, component: str, **config: Any) -> None:
    path = folder / component / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))


def test_a_text_encoder_of_another_model_is_refused_before_any_work(
    adapter: DitAdapter, saved: Path, tmp_path: Path
) -> None:
    encoder = "text_encoder_2" if isinstance(adapter, FluxFillAdapter) else "text_encoder"
    narrow: dict[str, Any] = {"hidden_size": 24}
    if isinstance(adapter, FluxFillAdapter):
        narrow = {"d_model": 24}
    elif isinstance(adapter, QwenEditAdapter):
        narrow = {"text_config": narrow}
    other = {"architectures": ["GPT2LMHeadModel"]}
    for changes, said in ((other, "GPT2LMHeadModel"), (narrow, "24 wide")):
        folder = tmp_path / said
        shutil.copytree(saved, folder)
        _spoilt(folder, encoder, **changes)
        with pytest.raises(NanobanaError, match=said) as caught:
            Library().load(str(folder), "cpu")
        assert caught.value.code == "wrong_component"


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.family)
def test_weights_in_bfloat16_as_on_a_gpu_answer_in_float32(kind: type[DitAdapter]) -> None:
    fine = kind(MADE[kind]())
    coarse = kind(MADE[kind]().to(torch.bfloat16))
    asked = request("a red apple", (64, 64))
    pictures = []
    for adapter in (fine, coarse):
        runner, one = finished(adapter, asked, steps=3, guidance=3.0)
        assert one.latents.dtype == torch.float32
        pictures.append(runner.decode(one))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.05


def test_packing_is_undone_by_unpacking_and_tokens_know_their_places() -> None:
    latents = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    tokens = pack(latents)
    assert tokens.shape == (2, 6, 12)
    assert torch.equal(unpack(tokens, 4, 6), latents)
    ids = places(4, 6, axes=4, time=10.0)
    assert ids.tolist() == [[10, y, x, 0] for y in range(2) for x in range(3)]
    assert torch.equal(tokens[0, 4, :4], latents[0, 0, 2:4, 2:4].flatten())
