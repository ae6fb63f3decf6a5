"""What an edit asks of a model, made fit for it before any work: style, words' weights, LoRAs. No torch."""

from __future__ import annotations

import msgspec

from nanobana.protocol.errors import BadInput
from nanobana.protocol.parameters import EditParams, ModelFacts
from nanobana_engine.models.preset import Preset, Worn
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.models.words import plain, weighted

NAMED = 12
"""Names that a refusal lists at the most."""


def understood(edit: EditParams, preset: Preset, shelf: Shelf) -> tuple[EditParams, tuple[Worn, ...]]:
    """The edit with its style filled in and without what the model does not take, and the LoRAs that it wears.

    A negative prompt, guidance, steps, weights or detail that the model does not know change nothing; a style or a LoRA
    is a wish that can be seen in the result, so one that cannot be fulfilled is refused. No prompt means to continue
    the surroundings, in no style but theirs.

    Raises:
        BadInput: ``unknown_style``, ``unknown_lora``, ``bad_weight``.
    """
    prompt, negative = edit.prompt, edit.negative if "negative" in preset.takes else ""
    if edit.style is not None:
        prompt, negative = _styled(edit.style, prompt, negative, preset, shelf)
    if "weights" in preset.takes:
        weighted(prompt), weighted(negative)  # raises what the model would refuse later
    else:
        prompt, negative = plain(prompt), plain(negative)
    fit = msgspec.structs.replace(
        edit,
        prompt=prompt,
        negative=negative,
        guidance=edit.guidance if "guidance" in preset.takes else None,
        steps=edit.steps if "steps" in preset.takes else None,
        detail=edit.detail and "detail" in preset.takes,
    )
    return fit, tuple(_worn(lora.name, lora.weight, preset, shelf) for lora in edit.loras)


def facts_of(preset: Preset, shelf: Shelf, loras: list[str]) -> ModelFacts:
    """What an engine says of its model.

    Args:
        loras: those of the shelf that fit it.
    """
    return ModelFacts(
        name=preset.name,
        good_for=preset.good_for,
        licence=preset.licence,
        languages=list(preset.languages),
        takes=sorted(preset.takes),
        steps=(preset.steps["draft"], preset.steps["balanced"], preset.steps["best"]),
        guidance=preset.guidance,
        styles=list(shelf.styles) if "styles" in preset.takes else [],
        loras=loras if "loras" in preset.takes else [],
        reach=preset.grow_scale,
    )


def _styled(name: str, prompt: str, negative: str, preset: Preset, shelf: Shelf) -> tuple[str, str]:
    known = shelf.styles if "styles" in preset.takes else {}
    if name not in known:
        raise BadInput(_refusal("style", name, list(known), preset), code="unknown_style")
    if not prompt:
        return prompt, negative
    styled, avoided = known[name].of(prompt, negative)
    return styled, avoided if "negative" in preset.takes else ""


def _worn(name: str, weight: float, preset: Preset, shelf: Shelf) -> Worn:
    known = shelf.loras if "loras" in preset.takes else {}
    if name not in known:
        raise BadInput(_refusal("LoRA", name, list(known), preset), code="unknown_lora")
    return Worn(known[name], weight)


def _refusal(kind: str, name: str, known: list[str], preset: Preset) -> str:
    if not known:
        return f"The model {preset.name} knows no {kind} {name!r}; it has none here."
    more = ", …" if len(known) > NAMED else ""
    return f"The model {preset.name} knows no {kind} {name!r}. There are: {', '.join(known[:NAMED])}{more}."
