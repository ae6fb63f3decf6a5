"""A model without an adapter of its own runs through diffusers' inpainting pipeline, step by step (E4, E5, E7, E8)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nanobana_engine.engine import EditFinished, EditProgress, Engine
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.models.any_pipeline import AnyPipelineAdapter
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.registry import Library
from support.edits import source_of
from support.tiny import sd3_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SIZE = 64
FACTS = Preset(
    name="sd3", native=64, min_side=64, max_side=64, multiple=16, grow_scale=0.25, guidance=3.0,
    steps={"draft": 4, "balanced": 5, "best": 6}, takes=frozenset({"negative", "guidance", "steps", "styles"}),
)  # fmt: skip


@pytest.fixture
def adapter() -> AnyPipelineAdapter:
    return AnyPipelineAdapter(sd3_pipeline(), FACTS)


class Told:
    """An engine stepped by hand, and what it said."""

    def __init__(self, adapter: ModelAdapter) -> None:
        self.events: list[EditEvent] = []
        self.engine = Engine(adapter, self.events.append)

    def until_idle(self) -> Told:
        self.engine.receive()
        while self.engine.step():
            self.engine.receive()
        return self

    def finished(self, edit: str) -> EditFinished:
        return next(event for event in self.events if isinstance(event, EditFinished) and event.id == edit)

    def steps(self, edit: str) -> list[int]:
        return [event.step for event in self.events if isinstance(event, EditProgress) and event.id == edit]


def _source(edit: str = "edit", **asked: Any) -> Any:
    picture = np.full((SIZE, SIZE, 4), 255, np.uint8)
    picture[..., :3] = np.random.default_rng(1).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[24:40, 20:44] = 255
    return source_of(picture, mask, FACTS, id=edit, quality="draft", prompt="a red apple", **asked)


def _theirs(source: Any, **asked: Any) -> np.ndarray:
    """Diffusers' pipeline, called as its own users would."""
    plan = source.plan
    height, width = plan.size[1], plan.size[0]
    pipeline = sd3_pipeline()
    image: np.ndarray = pipeline(
        prompt="a red apple",
        image=Image.fromarray(source.picture[..., :3]),
        mask_image=Image.fromarray(((plan.whole().denoise >= 0.5) * 255).astype(np.uint8)),
        height=height, width=width, guidance_scale=3.0, output_type="np",
        generator=torch.Generator().manual_seed(source.seed(0)), **asked,
    ).images[0]  # fmt: skip
    return image


@pytest.mark.parametrize(("strength", "whole"), [(1.0, 4), (0.5, 6)])
def test_E4_the_picture_is_the_pipelines_own(adapter: AnyPipelineAdapter, strength: float, whole: int) -> None:
    source = _source(seed=7, strength=strength)
    told = Told(adapter)
    told.engine.submit(source)
    picture = told.until_idle().finished("edit").pictures[0]
    theirs = _theirs(source, strength=strength, num_inference_steps=whole)
    inside = source.plan.whole().user_mask > 0
    assert np.abs(picture[inside] - theirs[inside]).max() < 2e-3
    assert np.abs(theirs[inside] - source.pixels()[inside]).max() > 0.1
    told.engine.integrity.prove()


def test_E5_what_the_mask_does_not_touch_is_never_written(adapter: AnyPipelineAdapter) -> None:
    told = Told(adapter)
    told.engine.submit(_source(seed=7))
    finished = told.until_idle().finished("edit")
    patch = finished.patches()[0]
    plan = finished.source.plan
    composite = plan.window(plan.result_inside).composite
    assert (patch[..., 3] == composite).all()
    assert not patch[composite == 0].any()


def test_R3_every_step_of_the_pipeline_is_shown(adapter: AnyPipelineAdapter) -> None:
    told = Told(adapter)
    told.engine.submit(_source())
    assert told.until_idle().steps("edit") == [0, 1, 2, 3, 4]
    shown = [event.picture for event in told.events if isinstance(event, EditProgress) and event.picture is not None]
    assert len({picture.tobytes() for picture in shown}) == len(shown)


def test_E7_E11_two_edits_take_turns_and_neither_is_changed_by_the_other(adapter: AnyPipelineAdapter) -> None:
    alone = []
    for edit in "ab":
        told = Told(AnyPipelineAdapter(sd3_pipeline(), FACTS))
        told.engine.submit(_source(edit, seed=ord(edit), user=edit))
        alone.append(told.until_idle().finished(edit).pictures[0])
    told = Told(adapter)
    for edit in "ab":
        told.engine.submit(_source(edit, seed=ord(edit), user=edit))
    told.until_idle()
    said = [event.id for event in told.events if isinstance(event, EditProgress) and event.step]
    assert said[:4].count("a") == said[:4].count("b") == 2
    for edit, picture in zip("ab", alone, strict=True):
        assert np.abs(told.finished(edit).pictures[0] - picture).max() < 1e-4


def _walks() -> int:
    """Pipelines that are in the middle of their call."""
    return sum(thread.name == "walk" for thread in threading.enumerate())


def test_E8_a_cancelled_edit_leaves_its_pipeline_within_one_step(adapter: AnyPipelineAdapter) -> None:
    told = Told(adapter)
    told.engine.submit(_source("a", user="a"))
    told.engine.submit(_source("b", user="b"))
    told.engine.receive()
    while 2 not in told.steps("a"):
        told.engine.step()
    assert _walks() == 2
    told.engine.cancel("a")
    told.until_idle()
    assert told.steps("a") == [0, 1, 2]
    assert len(told.finished("b").pictures) == 1
    assert _walks() == 0
    told.engine.integrity.prove()


def test_E10_a_call_that_runs_out_of_memory_in_its_middle_begins_anew_and_ends_the_same(
    adapter: AnyPipelineAdapter,
) -> None:
    usual = Told(AnyPipelineAdapter(sd3_pipeline(), FACTS))
    usual.engine.submit(_source(seed=3))
    calls = []

    def short(module: Any, given: Any) -> None:
        calls.append(0)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("too much")

    adapter._pipeline.transformer.register_forward_pre_hook(short)
    told = Told(adapter)
    told.engine.submit(_source(seed=3))
    picture = told.until_idle().finished("edit").pictures[0]
    assert len(calls) > 4
    assert np.array_equal(picture, usual.until_idle().finished("edit").pictures[0])


def test_a_folder_of_a_text_to_image_model_loads_for_inpainting_and_says_what_it_takes(tmp_path: Path) -> None:
    from diffusers import StableDiffusion3Pipeline

    StableDiffusion3Pipeline.from_pipe(sd3_pipeline()).save_pretrained(tmp_path / "ours")
    loaded = Library(tmp_path).load("ours", "cpu")
    assert isinstance(loaded, ModelAdapter)
    assert type(loaded._pipeline).__name__ == "StableDiffusion3InpaintPipeline"  # type: ignore[attr-defined]
    assert loaded.preset.takes == {"negative", "guidance", "steps", "styles", "detail"}
    assert {"transformer", "vae", "text_encoder"} <= {each.name for each in loaded.components()}
