"""What the engine's side of `nanobana doctor` looks at: device, memory, models, attention, quantization, versions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import get_args

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from nanobana.findings import Finding
from nanobana.protocol.errors import NanobanaError
from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.memory import Memory
from nanobana_engine.memory.machine import free_bytes, in_words, machine_bytes, parse_bytes
from nanobana_engine.models.places import models_folder
from nanobana_engine.models.preset import Weights
from nanobana_engine.models.quantized import INSTALL, is_installed, tried_on
from nanobana_engine.models.registry import Library
from nanobana_engine.models.sizes import TORCHAO
from nanobana_engine.runner.device import SETTING, Gpu, device_bytes, device_of, gpus

LITTLE_BYTES = 2 << 30
"""Less free memory is worth a word: the built-in model with the store and the server take about half of it."""

DRIVER = "update the GPU's driver, or install the torch that was built for it"

WEIGHTS = "NANOBANA_WEIGHTS"
MODELS, CACHES = "NANOBANA_MEMORY_BUDGET", "NANOBANA_CACHE_BUDGET"

QUANTIZERS = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "quanto": "optimum.quanto", "gguf": "gguf"}
"""Backends of diffusers' quantization configurations, by the module that each needs."""

NEEDED = {
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
    "peft": "peft",
    "accelerate": "accelerate",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sentencepiece": "sentencepiece",
    "pypatchmatch": "patchmatch",
}
"""Packages without which an engine, or one of its families of models, does not run, by the module of each."""
SHOWN = 4
"""Versions of the first so many are told."""

KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}


def look(environ: Mapping[str, str] | None = None, there: Sequence[Gpu] | None = None) -> list[Finding]:
    """Everything; no model is loaded and nothing is downloaded.

    Args:
        there: the machine's GPUs; None asks torch.
    """
    env = os.environ if environ is None else environ
    there = gpus() if there is None else there
    rest = [_models(env), _pictures(), _packages()]
    try:
        device = device_of(env.get(SETTING), there)
    except NanobanaError as error:
        return [Finding(what="device", state="fail", text=str(error), advice=f"correct or unset {SETTING}"), *rest]
    book = _memory(env, device_bytes(device, there))
    return [_device(device, there), *book, _attention(device), _quantization(env, device), *rest]


def _device(device: torch.device, there: Sequence[Gpu]) -> Finding:
    if device.type == "cuda":
        gpu = there[device.index or 0]
        others = f", one of {len(there)} ({SETTING} names another)" if len(there) > 1 else ""
        try:
            free = in_words(gpu.free_bytes())
        except RuntimeError as error:
            text = f"{device}: {gpu.name} cannot be opened: {error}"
            return Finding(what="device", state="fail", text=text, advice=DRIVER)
        return Finding(what="device", text=f"{device}: {gpu.name}, {free} of {in_words(gpu.total_bytes)} free{others}")
    if device.type != "cpu":
        return Finding(what="device", text=f"{device}, which shares the machine's memory")
    text = f"CPU, {torch.get_num_threads()} threads: nano and erase are quick, the large models are not"
    if there:
        text += f"; {SETTING} leaves {there[0].name} unused"
    return Finding(what="device", text=text)


def _memory(env: Mapping[str, str], own_bytes: int | None) -> list[Finding]:
    """
    Args:
        own_bytes: the device's own memory; None where models run in the machine's.
    """
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
    books = Memory(device_bytes=own_bytes, budget_bytes=given.get(MODELS), cache_bytes=given.get(CACHES))
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


def _attention(device: torch.device) -> Finding:
    """The kernels that take a small call on the device; which one a call takes depends on its type and shape too."""
    extra = [name for name, module in (("xformers", "xformers"), ("flash-attn", "flash_attn")) if _is_there(module)]
    try:
        kinds = [name for name, kernel in KERNELS.items() if _attends(kernel, device)]
    except (RuntimeError, AssertionError) as error:
        return Finding(what="attention", state="fail", text=f"{device} cannot compute: {error}", advice=DRIVER)
    text = f"torch's own ({', '.join(kinds)})" + (f"; also {', '.join(extra)}" if extra else "")
    return Finding(what="attention", text=text)


def _attends(kernel: SDPBackend, device: torch.device) -> bool:
    """
    Raises:
        RuntimeError, AssertionError: the device cannot be used at all.
    """
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    words = torch.zeros(1, 2, 16, 64, dtype=dtype, device=device)
    with warnings.catch_warnings(), sdpa_kernel(kernel):
        warnings.simplefilter("ignore")  # each refusal is explained by a warning
        try:
            torch.nn.functional.scaled_dot_product_attention(words, words, words)
        except RuntimeError:
            return False
    return True


def _quantization(env: Mapping[str, str], device: torch.device) -> Finding:
    said = env.get(WEIGHTS)
    if said and said not in get_args(Weights):
        text = f"{WEIGHTS} is {said!r}; it takes {' or '.join(get_args(Weights))}"
        return Finding(what="quantization", state="fail", text=text)
    text = "int8 is built in" + (", and used" if said == "int8" else f" ({WEIGHTS}=int8)")
    if said == TORCHAO:
        try:
            tried_on(device)
        except NanobanaError as error:
            return Finding(what="quantization", state="fail", text=str(error))
        text += f"; {TORCHAO} is used, and runs on {device}"
    elif is_installed():
        text += f"; {TORCHAO} is installed ({WEIGHTS}={TORCHAO})"
    else:
        text += f"; {TORCHAO}, quicker and less exact, needs {INSTALL}"
    here = [name for name, module in QUANTIZERS.items() if _is_there(module)]
    return Finding(
        what="quantization", text=text + (f"; for folders that need them: {', '.join(here)}" if here else "")
    )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _packages() -> Finding:
    missing = [package for package, module in NEEDED.items() if not _is_there(module)]
    if missing:
        advice = "pip install 'nanobana[engine]'"
        return Finding(what="packages", state="fail", text=f"no {', no '.join(missing)}", advice=advice)
    return Finding(what="packages", text=", ".join(f"{name} {_version(name)}" for name in list(NEEDED)[:SHOWN]))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # installed by hand
        return "of no known version"
