"""A first edit on nothing, before the worker says that it is there: the first person's edit finds everything loaded."""

from __future__ import annotations

import numpy as np

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_engine.engine.source import Source
from nanobana_engine.engine.view import Whole
from nanobana_engine.models.base import Preset
from nanobana_engine.planner import plan_edit

WARM_UP = "warm-up"

PROMPTS = ("a red apple", "")
"""Something to draw, for what only that loads, and the surroundings alone, which every model can go on with."""


SIDE = 384
"""About the context of an edit as people make them; what a size costs the first time is paid here."""


def warm_source(preset: Preset, prompt: str) -> Source:
    """A gray edit of an ordinary size, in the model's range."""
    side = max(preset.min_side, min(SIDE, preset.max_side))
    inner = side // 4
    box = Box(inner, inner, side - inner, side - inner)
    edit = EditParams(box=box, prompt=prompt, quality="draft", seed=0)
    plan = plan_edit(np.full((box.height, box.width), 255, np.uint8), edit, (side, side), preset)
    picture = np.full((plan.context.height, plan.context.width, 4), 128, np.uint8)
    picture[::7, :, :3] = 160
    picture[..., 3] = 255
    return Source(id=WARM_UP, canvas=WARM_UP, user=WARM_UP, edit=edit, plan=plan, view=Whole(picture))
