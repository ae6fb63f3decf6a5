"""What a worker is told by its environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from nanobana.protocol.errors import BadInput
from nanobana_engine.memory.machine import parse_bytes
from nanobana_engine.models.places import models_folder
from nanobana_engine.models.preset import Weights


def _fresh_id() -> str:
    return "engine-" + secrets.token_hex(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Times in seconds unless the name says otherwise."""

    redis_url: str
    model: str | None = None
    """A preset, a folder, or ``owner/name`` on the hub; None for the default. With commas, several: edits that name
    none run on the first, the others are loaded when an edit names them (E10)."""
    models: Path | None = None
    """A team's folder of models, presets, styles and LoRAs."""
    device: str | None = None
    weights: Weights | None = None
    """How the weights of every model are kept; None: as its preset says (E10)."""
    memory_bytes: int | None = None
    """For models and what they work in, on their device; None for a part of what it has (E10)."""
    cache_bytes: int | None = None
    """For what is remembered, in the host's memory; None for a part of it, 0 remembers nothing (E9)."""
    ahead: bool = True
    """Prepare for the masks that members have drawn, while there is nothing else to do (E9)."""
    translator: Path | None = None
    """A folder with a translator of prompts, or with several."""
    log_level: str = "info"
    log_json: bool = True
    """One JSON object a line; False: for people."""
    otlp: str | None = None
    """An OpenTelemetry collector that takes OTLP over HTTP; None: no spans."""
    parent: int | None = None
    """Process to die with (J4)."""
    worker: str = field(default_factory=_fresh_id)
    """At most 16 ASCII characters: it is the sender on the volatile channel too."""
    family: str = "default"
    at_once: int = 8
    """Jobs held at the same time; more wait in the stream, where any worker can take them."""
    at_most: int = 32
    """Jobs held while several users wait: each may have an equal share of `at_once`, however many one of them has."""
    budget: float = 4.0
    """Cost of one step (E7)."""
    lease_ms: int = 3000
    beat_s: float = 1.0
    """Between heartbeats, of the worker and of each job."""
    drain_s: float = 12.0
    """How long running jobs may finish after SIGTERM; then they are given back."""

    @property
    def named(self) -> tuple[str | None, ...]:
        """The models in order, the default one first."""
        names = [name.strip() for name in (self.model or "").split(",")]
        return tuple(dict.fromkeys(name for name in names if name)) or (None,)


def read(environ: Mapping[str, str] | None = None) -> WorkerSettings:
    """What the variables say; docs/engine.md lists them.

    Raises:
        BadInput: ``no_store``, where no store is named; ``bad_setting``.
    """
    env = os.environ if environ is None else environ
    url = env.get("NANOBANA_REDIS_URL")
    if not url:
        raise BadInput(
            "An engine needs a store: set NANOBANA_REDIS_URL, e.g. redis://127.0.0.1:6379/0.", code="no_store"
        )
    parent = env.get("NANOBANA_PARENT", "")
    return WorkerSettings(
        redis_url=url,
        model=env.get("NANOBANA_MODEL") or None,
        models=models_folder(env),
        device=env.get("NANOBANA_DEVICE") or None,
        weights=_weights(env),
        memory_bytes=_bytes(env, "NANOBANA_MEMORY_BUDGET"),
        cache_bytes=_bytes(env, "NANOBANA_CACHE_BUDGET"),
        ahead=env.get("NANOBANA_AHEAD", "1") != "0",
        translator=_path(env, "NANOBANA_TRANSLATOR"),
        log_level=env.get("NANOBANA_LOG_LEVEL") or "info",
        log_json=env.get("NANOBANA_LOG_JSON", "true").lower() not in ("false", "0", "no"),
        otlp=env.get("NANOBANA_OTLP") or None,
        parent=int(parent) if parent.isdecimal() else None,
    )


def _path(env: Mapping[str, str], setting: str) -> Path | None:
    named = env.get(setting)
    return Path(named).expanduser() if named else None


def _weights(env: Mapping[str, str]) -> Weights | None:
    said = env.get("NANOBANA_WEIGHTS")
    if said in get_args(Weights) or not said:
        return cast("Weights", said or None)
    *others, last = get_args(Weights)
    raise BadInput(f"NANOBANA_WEIGHTS is {said!r}; it takes {', '.join(others)} or {last}.", code="bad_setting")


def _bytes(env: Mapping[str, str], setting: str) -> int | None:
    words = env.get(setting)
    return parse_bytes(words, setting) if words else None
