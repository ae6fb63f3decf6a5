"""From `--model NAME|FOLDER|owner/name` to an adapter: resolve, fetch, check, and only then load."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanobana.protocol.errors import NanobanaError, NotFound
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.folder import INDEX, check, components_of, pipeline_of, read_index, shapes_in
from nanobana_engine.models.hub import Hub, Tell, patterns_of
from nanobana_engine.models.preset import Family, Preset, Weights
from nanobana_engine.models.sizes import TORCHAO, Sizes, sizes_of

if TYPE_CHECKING:
    from nanobana_engine.models.base import ModelAdapter

DEFAULT = "nano"
BUILT_IN: Mapping[str, Path] = {"nano": Path(__file__).parent / "nano" / "weights"}
OWN_PRESETS = "presets.toml"
TINY_FILES = ("config.json", "diffusion_pytorch_model.safetensors")
"""Of a tiny VAE."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model that was named, and where its weights are or will be."""

    preset: Preset
    family: Family
    folder: Path | None
    """None: it is on the hub."""


class Library:
    """The models of this machine.

    Args:
        models: a team's folder of models in diffusers format, with its own ``presets.toml``; None: there is none.
        hub: where the others come from.
        weights: how every model's are kept; None: as its preset says.
    """

    def __init__(self, models: Path | None = None, hub: Hub | None = None, weights: Weights | None = None) -> None:
        self.models = models
        self.weights = weights
        self.hub = hub or Hub()
        self.catalogue = Catalogue.read(models / OWN_PRESETS if models else None)

    def choose(self, model: str | None = None) -> Chosen:
        """What a name means; a name on the hub that is not cached yet costs a small download.

        Raises:
            NotFound: ``unknown_model``, the sentence says what there is.
            NanobanaError: as `Hub.fetch`.
        """
        name = model or DEFAULT
        if name in self.catalogue.presets:
            preset = self.catalogue.preset(name)
            return Chosen(preset, self.catalogue.families[preset.family], BUILT_IN.get(name) or self._own(name))
        folder = Path(name).expanduser()
        if not folder.is_dir():
            folder = self._own(name) or folder
        if folder.is_dir():
            family, pipeline = self._family(pipeline_of(folder), str(folder))
            return Chosen(self.catalogue.of_folder(folder.resolve().name, family, pipeline), family, folder)
        if folder.is_file():
            raise NotFound(
                f"{folder} is a single file. A model is a folder in diffusers format, with a {INDEX} in it.",
                code="unknown_model",
            )
        if name.count("/") == 1 and not name.startswith(("/", ".", "~")):
            return self._on_hub(name)
        raise self.catalogue.unknown(name)

    def load(self, model: str | None = None, device: str | None = None, tell: Tell | None = None) -> ModelAdapter:
        """The adapter of a model, its weights loaded; downloaded first where they are not here.

        Args:
            model: a preset, a folder, or ``owner/name`` on the hub; None for the built-in default.
            device: torch's name of it; None takes a GPU where there is one.

        Raises:
            NotFound: ``unknown_model``; ``incomplete_model``, what is missing.
            BadInput: ``wrong_component``; ``no_quantizer``, ``weights_unsupported`` where weights are to be torchao's.
            NanobanaError: as `Hub.fetch`.
        """
        chosen = self.choose(model)
        preset = self._kept_as(chosen.preset)
        import torch

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if preset.weights == TORCHAO and preset.name not in BUILT_IN:
            from nanobana_engine.models.quantized import tried_on

            tried_on(device)
        folder = self._fetched(chosen, tell)
        check(folder, chosen.family, preset.variant)
        more: dict[str, Any] = {}
        if preset.few_step:
            more["few_step"] = self.hub.file(preset.few_step.repo, preset.few_step.file, tell)
        if preset.tiny_vae:
            more["tiny_vae"] = self._tiny_vae(preset.tiny_vae, tell)
        from nanobana_engine.models.loading import BUILDING

        with BUILDING:
            adapter: ModelAdapter = _class_of(chosen.family).from_folder(folder, preset, device, **more)
        return adapter

    def sizes(self, model: str | None, device: str) -> Sizes:
        """Of its weights in memory, as far as the files on this machine say; of nothing where it is not here yet."""
        chosen = self.choose(model)
        preset = self._kept_as(chosen.preset)
        folder = chosen.folder or self._cached(preset, chosen.family)
        return sizes_of({} if folder is None else shapes_in(folder, preset.variant), preset, device)

    def _kept_as(self, preset: Preset) -> Preset:
        return preset if self.weights is None else replace(preset, weights=self.weights)

    def installed(self, preset: Preset) -> Path | None:
        """Where a preset's weights are on this machine; None if they are not, or not whole."""
        family = self.catalogue.families[preset.family]
        folder = BUILT_IN.get(preset.name) or self._own(preset.name) or self._cached(preset, family)
        few = preset.few_step
        if folder is None or (few and not self.hub.cached_file(few.repo, few.file)):
            return None
        try:
            check(folder, family, preset.variant)
        except NanobanaError:
            return None
        return folder

    def _tiny_vae(self, repo: str, tell: Tell | None) -> Path:
        """The folder of a tiny VAE: as it is named, among a team's own models, or on the hub; raises as `Hub.fetch`."""
        folder = Path(repo).expanduser()
        own = self.models / repo if self.models else folder
        found = next((each for each in (folder, own) if each.is_dir()), None)
        return found or self.hub.cached(repo, TINY_FILES) or self.hub.fetch(repo, TINY_FILES, None, tell)

    def own_folders(self) -> list[Preset]:
        """A team's own models that no preset names; a folder that cannot be understood is left out."""
        found = []
        for index in sorted(self.models.glob(f"*/{INDEX}")) if self.models else []:
            name = index.parent.name
            if name not in self.catalogue.presets:
                with suppress(NanobanaError):
                    found.append(self.choose(name).preset)
        return found

    def _own(self, name: str) -> Path | None:
        """The folder of that name among a team's own."""
        if self.models is None or "/" in name or name.startswith("."):
            return None
        folder = self.models / name
        return folder if (folder / INDEX).is_file() else None

    def _family(self, pipeline: str, where: str) -> tuple[Family, str]:
        family = self.catalogue.family_of(pipeline)
        if family is None:
            raise NotFound(
                f"{where} holds a {pipeline}, which this version cannot run. Known by name: "
                f"{', '.join(self.catalogue.presets)}.",
                code="unknown_model",
            )
        return family, pipeline

    def _on_hub(self, repo: str) -> Chosen:
        preset = self.catalogue.of_repo(repo)
        if preset is not None:
            return Chosen(preset, self.catalogue.families[preset.family], None)
        named = self.hub.index(repo).get("_class_name")
        family, pipeline = self._family(str(named), f"{repo} on the hub")
        found = self.catalogue.of_folder(repo.partition("/")[2], family, pipeline)
        return Chosen(replace(found, repo=repo), family, None)

    def _cached(self, preset: Preset, family: Family) -> Path | None:
        if not preset.repo:
            return None
        components = tuple(family.components)
        if not components:
            index = self.hub.cached_file(preset.repo, INDEX)
            components = tuple(components_of(read_index(index.parent))) if index else ()
        if not components:
            return None
        return self.hub.cached(preset.repo, patterns_of(components, preset.variant), preset.revision)

    def _fetched(self, chosen: Chosen, tell: Tell | None) -> Path:
        """The folder of a chosen model; asks the hub only for what is not here."""
        if chosen.folder is not None:
            return chosen.folder
        preset, family = chosen.preset, chosen.family
        if not preset.repo:
            raise NotFound(
                f"The preset {preset.name} names no repository, and there is no folder {preset.name} in {self.models}.",
                code="unknown_model",
            )
        folder = self._cached(preset, family)
        if folder is not None:
            try:
                check(folder, family, preset.variant)
            except NotFound:
                pass  # half a download: go on with it
            else:
                return folder
        components = tuple(family.components) or components_of(self.hub.index(preset.repo, preset.revision))
        return self.hub.fetch(preset.repo, patterns_of(components, preset.variant), preset.revision, tell)


def load(model: str | None = None, device: str | None = None) -> ModelAdapter:
    """A model with nothing but what ships and the hub's cache; see `Library.load`."""
    return Library().load(model, device)


def _class_of(family: Family) -> Any:
    module, _, name = family.adapter.partition(":")
    return getattr(importlib.import_module(module), name)
