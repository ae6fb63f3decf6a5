"""What a folder in diffusers format must hold, checked by its files before anything of it is loaded. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nanobana.protocol.errors import BadInput, NotFound
from nanobana_engine.models.preset import Family, Reads

INDEX = "model_index.json"
WEIGHTS = ".safetensors"
"""The only kind that is loaded: pickles run code when they are read."""


def pipeline_of(folder: Path) -> str:
    """The class of pipeline that a folder's index names.

    Raises:
        NotFound: ``unknown_model``: it is no folder with a model in diffusers format.
    """
    named = read_index(folder).get("_class_name")
    pipeline = named[-1] if isinstance(named, list) and named else named
    if not isinstance(pipeline, str):
        raise NotFound(f"{folder} holds no model: its {INDEX} names no pipeline.", code="unknown_model")
    return pipeline


def check(folder: Path, family: Family, variant: str | None = None) -> None:
    """Everything that the family needs is there, whole, and of an architecture that it can run.

    Args:
        variant: of the weight files that will be loaded where they exist, e.g. ``fp16``.

    Raises:
        NotFound: ``incomplete_model``, with what is missing or cut short.
        BadInput: ``wrong_component``: a part of another architecture.
    """
    index = read_index(folder)
    components = family.components or dict.fromkeys(components_of(index), ())
    missing = [name for name in components if not (folder / name).is_dir()]
    present = [name for name in components if name not in missing]
    for name in present:
        missing += _missing(folder / name, variant)
    if missing:
        raise NotFound(
            f"The model in {folder} is incomplete: it lacks {', '.join(missing)}. Download it again.",
            code="incomplete_model",
        )
    for name in present:
        _check_class(folder, name, components[name], index)
    for name, reads in family.reads.items():
        _check_width(folder, name, reads)


def components_of(index: Mapping[str, Any]) -> list[str]:
    """The parts of a pipeline that its index names; some say that they are left out."""
    return [name for name, entry in index.items() if isinstance(entry, list) and len(entry) == 2 and entry[-1]]


def variant_of(folder: Path, wanted: str | None) -> str | None:
    """Which variant of the weight files can be loaded: the wanted one, the plain one, or the only one there is."""
    names = [path.name for path in folder.glob("*/*.safetensors")]
    found = {variant for name in names if (variant := _variant(name))}
    if wanted in found:
        return wanted
    if not names or any(_variant(name) is None for name in names):
        return None
    return min(found)


def shapes_in(folder: Path, variant: str | None = None) -> dict[str, list[tuple[int, ...]]]:
    """By part of a folder, the shapes of its weights, in the files that would be loaded."""
    wanted = variant_of(folder, variant)
    found: dict[str, list[tuple[int, ...]]] = {}
    for path in folder.glob(f"*/*{WEIGHTS}"):
        if _variant(path.name) == wanted:
            found.setdefault(path.parent.name, []).extend(_shapes(path))
    return found


def types_in(folder: Path, variant: str | None = None) -> dict[str, str]:
    """By part of a folder, what its weights are stored as, e.g. ``BF16``; not of parts that mix."""
    found: dict[str, set[str]] = {}
    wanted = variant_of(folder, variant)
    for path in folder.glob(f"*/*{WEIGHTS}"):
        if _variant(path.name) == wanted:
            found.setdefault(path.parent.name, set()).update(entry["dtype"] for entry in _entries(path))
    return {part: next(iter(types)) for part, types in found.items() if len(types) == 1}


def is_quantized(folder: Path, part: str) -> bool:
    """Whether a part's author did that: its config says how."""
    return bool(_json(folder / part / "config.json").get("quantization_config"))


def _shapes(path: Path) -> list[tuple[int, ...]]:
    return [tuple(entry["shape"]) for entry in _entries(path)]


def _entries(path: Path) -> list[dict[str, Any]]:
    """Of the tensors in a file of weights, as its header says."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [entry for name, entry in header.items() if name != "__metadata__"]


def read_index(folder: Path) -> dict[str, Any]:
    """The table that names a pipeline and its parts.

    Raises:
        NotFound: ``unknown_model``: there is none.
    """
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotFound(
            f"{folder} holds no model in diffusers format: its {INDEX} cannot be read.", code="unknown_model"
        ) from error
    if not isinstance(index, dict):
        raise NotFound(f"{folder} holds no model in diffusers format: its {INDEX} is no table.", code="unknown_model")
    return index


def _check_class(folder: Path, name: str, classes: tuple[str, ...], index: Mapping[str, Any]) -> None:
    """The class by the index, and by the part's own config where that says one (diffusers', transformers')."""
    own = _json(folder / name / "config.json")
    for said in (_last(index.get(name)), own.get("_class_name"), _last(own.get("architectures"))):
        if classes and isinstance(said, str) and said not in classes:
            raise BadInput(
                f"The model in {folder} cannot be run: its {name} is a {said}, and a {pipeline_of(folder)} "
                f"needs a {' or '.join(classes)}.",
                code="wrong_component",
            )


def _check_width(folder: Path, name: str, reads: Reads) -> None:
    """An encoder of the right class, but smaller or larger than the transformer was trained with."""
    config = _json(folder / name / "config.json")
    text = config.get("text_config", config)
    width = text.get("hidden_size") or text.get("d_model")
    wanted = _json(folder / "transformer" / "config.json").get(reads.key)
    if width and wanted and width * reads.layers != wanted:
        raise BadInput(
            f"The model in {folder} cannot be run: its {name} is another model's. Its words are {width} wide, and the "
            f"transformer reads {wanted // reads.layers}.",
            code="wrong_component",
        )


def _last(entry: Any) -> Any:
    """Indexes and configs name a class at the end of a list."""
    return entry[-1] if isinstance(entry, list) and entry else None


def _missing(part: Path, variant: str | None) -> Iterable[str]:
    """Files of one component that are named and not there, or shorter than they say that they are."""
    for index in sorted(part.glob(f"*{WEIGHTS}.index*.json")):
        of = index.name.partition(".index")[2].removesuffix(".json").lstrip(".")  # ….index.json, ….index.fp16.json
        if of not in ("", variant):
            continue
        shards = _json(index).get("weight_map")
        if not isinstance(shards, dict):
            yield f"{part.name}/{index.name}"
            continue
        yield from (f"{part.name}/{shard}" for shard in sorted(set(shards.values())) if not (part / shard).is_file())
    config = part / "config.json"
    weights = [path for path in part.iterdir() if path.suffix == WEIGHTS]
    if config.is_file() and not weights:
        yield f"the weights of {part.name} (*{WEIGHTS})"
    for path in weights:
        if short := _cut_short(path):
            yield f"{part.name}/{path.name} ({short})"


def _cut_short(path: Path) -> str:
    """How much of a safetensors file is there, if less than its header says; empty where it is whole.

    A file begins with the header's length (8 bytes, little-endian) and the header, a table of the tensors with their
    places behind it.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size:
                return "cut short"
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "damaged"
    whole = 8 + length + max(ends, default=0)
    return "" if size >= whole else f"{size / 1e6:.0f} of {whole / 1e6:.0f} MB"


def _variant(name: str) -> str | None:
    """``fp16`` of ``model.fp16.safetensors`` and ``model.fp16-00001-of-00002.safetensors``; None of a plain name."""
    middle = name.removesuffix(".safetensors").split(".")[1:]
    return middle[0].split("-")[0] if middle else None


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
