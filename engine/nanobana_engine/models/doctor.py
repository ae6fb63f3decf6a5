"""What the engine's side of `nanobana doctor` looks at: device, memory, models, attention, quantization, versions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch
from torch.nn import attention

from nanobana.findings import Finding
from nanobana.protocol.errors import NanobanaError
from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.memory import Memory
from nanobana_engine.memory.machine import free_bytes, in_words, machine_bytes, parse_bytes
from nanobana_engine.models.places import models_folder
from nanobana_engine.models.registry import Library

LITTLE_BYTES = 2 << 30
"""Less free memory is worth a word: the built-in model with the store and the server take about half of it."""

MODELS, CACHES = "NANOBANA_MEMORY_BUDGET", "NANOBANA_CACHE_BUDGET"

QUANTIZERS = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "quanto": "optimum.quanto", "gguf": "gguf"}
"""Backends of diffusers' quantization configurations, by the module that each needs."""


def look(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything; no model is loaded and nothing is downloaded."""
    env = os.environ if environ is None else environ
    device = _device(env)
    memory = _memory(env) if device.state == "ok" else []
    return [device, *memory, _models(env), _pictures(), _attention(), _quantization(), _versions()]


def _device(env: Mapping[str, str]) -> Finding:
    wanted = env.get("NANOBANA_DEVICE")
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        free, total = torch.cuda.mem_get_info(0)
        return Finding(what="device", text=f"{wanted or 'cuda'}: {name}, {in_words(free)} of {in_words(total)} free")
    if wanted and wanted.startswith("cuda"):
        advice = "install torch's CUDA build and a driver, or unset NANOBANA_DEVICE"
        return Finding(
            what="device", state="fail", text=f"{wanted} was asked for, and torch sees no GPU", advice=advice
        )
    text = f"CPU, {torch.get_num_threads()} threads: nano and erase are quick, the large models are not"
    return Finding(what="device", text=text)


def _memory(env: Mapping[str, str]) -> list[Finding]:
    total, free = machine_bytes(), free_bytes()
    text = in_words(total) + (f", {in_words(free)} free" if free is not None else "")
    tight = free is not None and free < LITTLE_BYTES
    found = [
        Finding(
            what="memory",
            state="warn" if tight else "ok",
            text=text,
            advice="close something, or name a smaller NANOBANA_MEMORY_BUDGET" if tight else "",
        )
    ]
    try:
        given = {name: parse_bytes(env[name], name) for name in (MODELS, CACHES) if env.get(name)}
    except NanobanaError as error:
        return [*found, Finding(what="budgets", state="fail", text=str(error))]
    device = env.get("NANOBANA_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    books = Memory(
        device_bytes=torch.cuda.get_device_properties(0).total_memory if device.startswith("cuda") else None,
        budget_bytes=given.get(MODELS),
        cache_bytes=given.get(CACHES),
    )
    text = f"{in_words(books.device.budget_bytes)} for models, {in_words(books.cache_bytes)} for what is remembered"
    return [*found, Finding(what="budgets", text=text)]


def _models(env: Mapping[str, str]) -> Finding:
    try:
        library = Library(models_folder(env))
        presets = [*library.catalogue.presets.values(), *library.own_folders()]
        here = [preset.name for preset in presets if library.installed(preset)]
    except NanobanaError as error:
        return Finding(what="models", state="fail", text=str(error))
    others = len(presets) - len(here)
    text = f"{', '.join(here)} on this machine, {others} more by name: nanobana models"
    return Finding(what="models", text=text)


def _pictures() -> Finding:
    try:
        pack = AssetPack()
    except (OSError, ValueError, NanobanaError) as error:
        return Finding(
            what="pictures", state="fail", text=f"nano's pictures are not there: {error}", advice="make assets"
        )
    return Finding(what="pictures", text=f"{len(pack.pictures)} that nano knows")


def _attention() -> Finding:
    """Kinds that torch was built with; which one a call takes is decided by device, type and shape."""
    kinds = ["math"]
    for name, enabled in (
        ("flash", torch.backends.cuda.is_flash_attention_available()),
        ("efficient", torch.cuda.is_available() and torch.backends.cuda.mem_efficient_sdp_enabled()),
        ("cudnn", torch.cuda.is_available() and torch.backends.cuda.cudnn_sdp_enabled()),
    ):
        kinds += [name] if enabled else []
    extra = [name for name, module in (("xformers", "xformers"), ("flash-attn", "flash_attn")) if find_spec(module)]
    known = hasattr(attention, "sdpa_kernel")
    text = f"torch's own ({', '.join(kinds)})" if known else "torch's own"
    return Finding(what="attention", text=text + (f"; also {', '.join(extra)}" if extra else ""))


def _quantization() -> Finding:
    here = [name for name, module in QUANTIZERS.items() if _is_there(module)]
    text = f"{', '.join(here)} installed" if here else "none installed: weights run as they are stored"
    return Finding(what="quantization", text=text)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _versions() -> Finding:
    found = []
    for package in ("torch", "diffusers", "transformers", "peft"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return Finding(what="versions", text=", ".join(found))
