"""The models that can be named, printed: the command `nanobana models`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from nanobana.protocol.errors import NanobanaError
from nanobana_engine.models.places import models_folder
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.registry import BUILT_IN, DEFAULT, Library


def facts(library: Library, preset: Preset) -> dict[str, Any]:
    """What is told of a preset, for programs."""
    folder = library.installed(preset)
    return {
        "name": preset.name,
        "family": preset.family,
        "pipeline": preset.pipeline,
        "repo": preset.repo or None,
        "few_step": {"repo": preset.few_step.repo, "licence": preset.few_step.licence} if preset.few_step else None,
        "licence": preset.licence,
        "vram_gb": preset.vram_gb,
        "languages": list(preset.languages),
        "takes": sorted(preset.takes),
        "steps": dict(preset.steps),
        "guidance": preset.guidance,
        "pixels": [preset.min_side, preset.native, preset.max_side],
        "default": preset.name == DEFAULT,
        "installed": str(folder) if folder else None,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """For people: one line a model, columns aligned."""
    head = ("model", "family", "GPU memory", "languages", "on this machine", "licence")
    lines = [head]
    for row in rows:
        here = "yes" if row["installed"] else f"no: {row['repo'] or 'no folder of that name'}"
        memory = f"{row['vram_gb']:g} GB" if row["vram_gb"] else "none" if row["name"] in BUILT_IN else "unknown"
        languages = "any" if "*" in row["languages"] else " ".join(row["languages"])
        lines.append((row["name"], row["family"], memory, languages, here, _licence(row)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def run(library: Library, *, as_json: bool = False) -> int:
    """Prints every preset, and a team's own folders; the exit status."""
    presets = [*library.catalogue.presets.values(), *library.own_folders()]
    rows = [facts(library, preset) for preset in presets]
    if as_json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        return 0
    sys.stdout.write(table(rows) + "\n\n")
    sys.stdout.write(
        "Start one with: nanobana serve --model NAME. What is not on this machine is downloaded first.\n"
        "Any folder in diffusers format and owner/name on the hub work too, if diffusers can inpaint with them.\n"
    )
    return 0


def main(*, as_json: bool = False) -> int:
    """The command, with the models of this machine as the environment names them."""
    try:
        return run(Library(models_folder(os.environ)), as_json=as_json)
    except NanobanaError as error:
        sys.stderr.write(f"nanobana models: {error}\n")
        return 2


def _licence(row: dict[str, Any]) -> str:
    few = row["few_step"]
    if few and few["licence"] != row["licence"]:
        return f"{row['licence']}; few-step weights: {few['licence']}"
    return str(row["licence"])
