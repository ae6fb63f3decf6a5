"""The models known by name: presets and families out of TOML, those that ship and a team's own. No torch."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from nanobana.protocol.errors import BadInput, NotFound
from nanobana_engine.models.preset import Family, Preset

SHIPPED = Path(__file__).parent / "presets.toml"
ANY = "*"
"""Among a family's pipelines: it runs every class that no other family does."""
FIELDS = frozenset(each.name for each in fields(Preset))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Presets and families by name, and per family what holds where no preset does."""

    presets: Mapping[str, Preset]
    families: Mapping[str, Family]
    defaults: Mapping[str, Preset]

    @classmethod
    def read(cls, own: Path | None = None) -> Catalogue:
        """What ships, and a team's own file beside it where there is one.

        Raises:
            BadInput: ``bad_presets``, with the file and what is wrong in it.
        """
        files = [SHIPPED, *([own] if own and own.is_file() else [])]
        presets: dict[str, Preset] = {}
        families: dict[str, Family] = {}
        defaults: dict[str, dict[str, Any]] = {}
        for file in files:
            try:
                tables = tomllib.loads(file.read_text("utf-8"))
                for name, table in tables.get("families", {}).items():
                    defaults[name] = table.pop("defaults", {})
                    families[name] = msgspec.convert({"components": {}, **table, "name": name}, Family)
                    _preset({**defaults[name], "name": name, "family": name})
                for name, table in tables.get("presets", {}).items():
                    common = defaults[table["family"]]
                    presets[name] = _preset({**common, **table, "name": name})
            except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadInput(f"The presets in {file} cannot be used: {_why(error)}.", code="bad_presets") from error
        common_of = {name: _preset({**table, "name": name, "family": name}) for name, table in defaults.items()}
        return cls(presets, families, common_of)

    def preset(self, name: str) -> Preset:
        """Raises NotFound ``unknown_model``, with the names that there are."""
        try:
            return self.presets[name]
        except KeyError:
            raise self.unknown(name) from None

    def unknown(self, name: str) -> NotFound:
        """To be raised where a name means nothing."""
        return NotFound(
            f"There is no model {name!r}. Known by name: {', '.join(self.presets)}. Anything else is a folder in "
            "diffusers format, with a model_index.json in it, or owner/name on the hub.",
            code="unknown_model",
        )

    def family_of(self, pipeline: str) -> Family | None:
        """The family that runs folders of a class of pipelines: its own, or the one that runs any."""
        families = self.families.values()
        own = next((family for family in families if pipeline in family.pipelines), None)
        return own or next((family for family in families if ANY in family.pipelines), None)

    def of_folder(self, name: str, family: Family, pipeline: str) -> Preset:
        """What holds for a folder that no preset names."""
        return replace(self.defaults[family.name], name=name, pipeline=pipeline)

    def of_repo(self, repo: str) -> Preset | None:
        """The first preset of a repository on the hub."""
        return next((preset for preset in self.presets.values() if preset.repo == repo), None)


TINY = ("sd", "sdxl")
"""Families whose adapter draws with a tiny VAE."""


def _preset(table: Mapping[str, Any]) -> Preset:
    unknown = sorted(set(table) - FIELDS)
    if unknown:
        raise ValueError(f"preset {table['name']} has no field {', '.join(unknown)}")
    try:
        preset = msgspec.convert(dict(table), Preset)
    except msgspec.ValidationError as error:
        raise ValueError(f"preset {table['name']}: {error}") from error
    _check(preset)
    return preset


def _check(preset: Preset) -> None:
    wrong = list(_wrong(preset))
    if wrong:
        raise ValueError(f"preset {preset.name}: {'; '.join(wrong)}")


def _wrong(preset: Preset) -> Iterable[str]:
    if not 0 < preset.min_side <= preset.native <= preset.max_side:
        yield "min_side, native and max_side must rise"
    if preset.multiple < 1 or preset.multiple % preset.latent_stride:
        yield "multiple must be a multiple of latent_stride"
    if set(preset.steps) != {"draft", "balanced", "best"} or not all(count > 0 for count in preset.steps.values()):
        yield "steps need a number above 0 for draft, balanced and best"
    if preset.tiny_vae and preset.family not in TINY:
        yield f"only models of the families {' and '.join(TINY)} have a tiny_vae"
    if preset.tiny_vae_results and not preset.tiny_vae:
        yield "tiny_vae_results needs a tiny_vae"


def _why(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
