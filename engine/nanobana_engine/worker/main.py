"""The engine process from start to end: settings, model, warm-up, worker, signals."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.logs import configure
from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana_engine.memory.heap import keep_freed
from nanobana_engine.worker.arrival import Arrival
from nanobana_engine.worker.parent import die_with
from nanobana_engine.worker.settings import WorkerSettings, read

if TYPE_CHECKING:
    from nanobana.spans import Spans
    from nanobana_engine.engine.residents import Loadable, Residents
    from nanobana_engine.language import Translator
    from nanobana_engine.memory import Memory
    from nanobana_engine.models.base import ModelAdapter
    from nanobana_engine.models.preset import Preset
    from nanobana_engine.worker.bridge import Bridge
    from nanobana_engine.worker.offer import Offer

log = logging.getLogger(__name__)

THREADS = 2
"""For pixels outside the model thread: decoding, planning, stitching, encoding."""

TILES = 0.4
"""Share of decoded tiles in what is remembered."""

PLANS = 0.1
"""The same of plans."""

Tell = Callable[[int, int], None]
Load = Callable[[WorkerSettings, Tell], "ModelAdapter"]
"""Makes the adapter, and tells how many bytes of how many are downloaded."""


def run(settings: WorkerSettings | None = None, load: Load | None = None) -> None:
    """Run an engine until SIGTERM or SIGINT; blocks.

    Args:
        settings: None reads the environment.
        load: makes the adapter; None takes `settings.model` from the registry.

    Raises:
        SystemExit: 2 and a sentence on stderr where the settings or the model cannot be used.
    """
    for noisy in ("httpx", "httpx2", "huggingface_hub", "diffusers", "transformers"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("TQDM_DISABLE", "1")  # libraries draw progress bars into the log while they load weights
    # numpy is not loaded yet; its products are small, and split over busy cores they take up to six times as long
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        settings = settings or read()
        spans = _spans(settings.otlp)
        configure("engine", settings.log_level, as_json=settings.log_json, libraries="INFO", told=spans)
        if settings.parent is not None:
            die_with(settings.parent)
        keep_freed()
        anyio.run(serve, settings, load or _from_registry)
        if spans is not None:
            spans.close()
    except* NanobanaError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        sys.stderr.write(f"nanobana engine: {first}\n")
        raise SystemExit(2) from first


def _spans(url: str | None) -> Spans | None:
    """OpenTelemetry where a collector is named.

    Raises:
        BadInput: ``bad_setting``.
    """
    if url is None:
        return None
    try:
        from nanobana.spans import open_spans

        return open_spans("engine", url)
    except ModuleNotFoundError as error:
        text = f"NANOBANA_OTLP needs OpenTelemetry (no {error.name}): pip install 'nanobana[otel]'"
        raise BadInput(text, code="bad_setting") from error


async def serve(settings: WorkerSettings, load: Load) -> None:
    """Load, warm up, work, drain.

    Raises:
        NanobanaError: the model or the translator cannot be loaded.
    """
    began = time.perf_counter()
    log.info("engine %s: loading %s", settings.worker, settings.model or "the default model")
    client = Client(settings.redis_url)
    arrival = Arrival(client, settings)
    try:
        async with anyio.create_task_group() as tasks:
            draining = anyio.Event()
            tasks.start_soon(_listen, draining)
            tasks.start_soon(arrival.run)
            translator = await to_thread.run_sync(_translator, settings)
            memory = _memory(settings)
            residents = await to_thread.run_sync(_residents, settings, memory, load, arrival.tell)
            log.info("engine %s: warming up after %.1f s", settings.worker, time.perf_counter() - began)
            await _with_models(settings, client, residents, memory, translator, arrival, draining, began)
            tasks.cancel_scope.cancel()
    finally:
        await arrival.take_back()
        with anyio.CancelScope(shield=True), anyio.move_on_after(5.0):
            await client.aclose()


async def _with_models(
    settings: WorkerSettings,
    client: Client,
    residents: Residents,
    memory: Memory,
    translator: Translator | None,
    arrival: Arrival,
    draining: anyio.Event,
    began: float,
) -> None:
    from nanobana_engine.erase.eraser import Eraser
    from nanobana_engine.language import Interpreter
    from nanobana_engine.models.shelf import Shelf
    from nanobana_engine.worker.ahead import Ahead
    from nanobana_engine.worker.bridge import Bridge
    from nanobana_engine.worker.canvas import CanvasReader
    from nanobana_engine.worker.job import Tools
    from nanobana_engine.worker.offer import Offer
    from nanobana_engine.worker.prepare import Preparer
    from nanobana_engine.worker.readying import Readying
    from nanobana_engine.worker.turnstile import Turnstile
    from nanobana_engine.worker.worker import Worker

    threads = CapacityLimiter(THREADS)
    shelf = Shelf(settings.models)
    reader = CanvasReader(client, threads, memory.cache("tiles", TILES))
    plans = memory.cache("plans", PLANS)
    preset = residents.presets[residents.default]
    preparer = Preparer(client, reader, threads, preset, shelf, plans, residents.presets)
    bridge = Bridge(residents, budget=settings.budget, memory=memory)
    bridge.engine.start()
    eraser, offer, readying = Eraser(), Offer(residents, shelf), Readying(THREADS)
    try:
        async with anyio.create_task_group() as warming:
            warming.start_soon(eraser.warm_up)
            warming.start_soon(_warm_up, bridge, preset, offer)
        tools = Tools(
            client=client,
            worker=settings.worker,
            preparer=preparer,
            bridge=bridge,
            eraser=eraser,
            interpreter=Interpreter(translator),
            offer=offer,
            threads=threads,
            turnstile=Turnstile(THREADS),
            readying=readying,
            lease_ms=settings.lease_ms,
            beat_s=settings.beat_s,
        )
        log.info("engine %s: ready with %s after %.1f s", settings.worker, preset.name, time.perf_counter() - began)
        ahead = None
        if settings.ahead:
            engine, family = bridge.engine, FamilyKeys(settings.family)
            ahead = Ahead(client, family, preparer, engine.foresee, engine.prepares_briefly, engine.expect)
        worker = Worker(client, settings, tools, residents.device, ahead)
        worker.integrity.add("memory", memory.check_integrity)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pass_on, draining, worker.draining)
            if ahead is not None:
                tasks.start_soon(ahead.run)
            await arrival.end()
            await worker.run()
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(5.0):
            readying.close()
            bridge.engine.close(timeout=0.0)
            await eraser.close()
    log.info("engine %s: ended", settings.worker)


def _translator(settings: WorkerSettings) -> Translator | None:
    """
    Raises:
        BadInput: ``bad_translator``.
    """
    if settings.translator is None:
        return None
    from nanobana_engine.models.translator import installed

    return installed(settings.translator)


async def _warm_up(bridge: Bridge, preset: Preset, offer: Offer) -> None:
    """The first edits pay for what is made ready once; the last one's time is what the next may take."""
    from nanobana_engine.engine import EditFailed
    from nanobana_engine.worker.warm import PROMPTS, warm_source

    seconds = 0.0
    for prompt in PROMPTS:
        source = await to_thread.run_sync(warm_source, preset, prompt)
        began = time.perf_counter()
        with bridge.submit(source, lambda _: None, lambda _: None) as ended:
            end = await ended.wait()
        if not isinstance(end, EditFailed):
            await to_thread.run_sync(end.patches)
            seconds = time.perf_counter() - began
        elif not prompt:
            raise NanobanaError(f"The model {preset.name} fails at its warm-up: {end.message}", code="bad_model")
    offer.took(preset.name, seconds)


async def _listen(draining: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            if draining.is_set():
                raise SystemExit(1)
            log.info("draining: finishing what is in hand")
            draining.set()


async def _pass_on(first: anyio.Event, second: anyio.Event) -> None:
    await first.wait()
    second.set()


def _from_registry(settings: WorkerSettings, tell: Tell) -> ModelAdapter:
    from nanobana_engine.models.registry import Library

    return Library(settings.models, weights=settings.weights).load(settings.named[0], _device(settings), tell)


def _device(settings: WorkerSettings) -> str:
    """
    Raises:
        BadInput: ``bad_setting``.
    """
    from nanobana_engine.runner.device import device_of, gpus

    return str(device_of(settings.device, gpus()))


def _memory(settings: WorkerSettings) -> Memory:
    from nanobana_engine.memory import Memory
    from nanobana_engine.runner.device import device_bytes, device_of, gpus

    there = gpus()
    return Memory(
        device_bytes=device_bytes(device_of(settings.device, there), there),
        budget_bytes=settings.memory_bytes,
        cache_bytes=settings.cache_bytes,
    )


def _residents(settings: WorkerSettings, memory: Memory, load: Load, tell: Tell) -> Residents:
    """The first model loaded, the others known."""
    from nanobana_engine.engine.residents import Residents

    others = _others(settings)
    return Residents.of_one(load(settings, tell), memory, others, partial(load, settings, tell))


def _others(settings: WorkerSettings) -> dict[str, Loadable]:
    """The models beside the first: looked up now, so that a wrong name ends the start, and loaded when named."""
    from nanobana_engine.engine.residents import Loadable
    from nanobana_engine.models.registry import Library

    library, device = Library(settings.models, weights=settings.weights), _device(settings)
    others = {}
    for name in settings.named[1:]:
        preset = library.choose(name).preset
        load = partial(library.load, name, device)
        sizes = library.sizes(name, device)
        others[preset.name] = Loadable(preset, load, sizes.all, sizes.largest)
    return others
