"""`nanobana record` and `nanobana replay`."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import msgspec

from nanobana.logs import configure
from nanobana.protocol.errors import NanobanaError, Unavailable
from nanobana.sdk.link import Link
from nanobana_server.allinone import store as embedded
from nanobana_server.recorder.flight import Writer
from nanobana_server.recorder.record import Recorder
from nanobana_server.recorder.replay import Report, replay
from nanobana_server.settings import Settings
from nanobana_server.store import open_store

START_S = 10.0


def record(canvas: str, path: Path, seconds: float | None) -> int:
    """Record until Ctrl-C or for so long; the exit code.

    Args:
        canvas: its ID, or any link of it.
    """
    configure("recorder", "warning", as_json=False)
    canvas = Link.parse(canvas).canvas if "://" in canvas else canvas
    try:
        with path.open("xb") as file:
            return anyio.run(_record, canvas, Writer(file), path, seconds)
    except FileExistsError:
        return _fail(f"{path} is there already; name another file")


async def _record(canvas: str, out: Writer, path: Path, seconds: float | None) -> int:
    stop = anyio.Event()
    try:
        store = await open_store(Settings().redis_url)
    except Unavailable as error:
        return _fail(f"{error.message} Set NANOBANA_REDIS_URL to the store that the servers use.")
    recorder = Recorder(store, canvas, out, stop)
    failed = ""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until, stop, seconds)
            print(f"recording {canvas} into {path}; Ctrl-C ends it", flush=True)
            end = await recorder.run()
            tasks.cancel_scope.cancel()
            print(f"{recorder.entries} changes, {recorder.asked} ops; at seq {end.seq} the canvas is {end.digest}")
    except* NanobanaError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        failed = str(first)
    finally:
        await store.aclose()
    return _fail(failed) if failed else 0


async def _until(stop: anyio.Event, seconds: float | None) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, anyio.move_on_after(seconds):
        async for _ in signals:
            break
    stop.set()


def play(path: Path, *, as_json: bool) -> int:
    """Replay a file in a store of its own, which is thrown away; 0 where the canvas came out the same."""
    configure("recorder", "warning", as_json=False)
    try:
        with tempfile.TemporaryDirectory(prefix="nb-replay-") as folder, _private_store(Path(folder)) as url:
            report = anyio.run(_replay, url, path)
    except (NanobanaError, OSError) as error:
        return _fail(str(error))
    print(msgspec.json.encode(report).decode() if as_json else _told(report))
    return 1 if report.difference else 0


async def _replay(url: str, path: Path) -> Report:
    store = await open_store(url)
    try:
        return await replay(store, path)
    finally:
        await store.aclose()


@contextmanager
def _private_store(folder: Path) -> Iterator[str]:
    socket = embedded.socket_path(folder)
    process = subprocess.Popen(embedded.command(folder, socket, fsync="no"), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while not embedded.answers(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable("The store for the replay did not start.")
            time.sleep(0.02)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()


def _told(report: Report) -> str:
    lines = [f"canvas {report.canvas}: {report.ops} ops done again, {report.changes} changes taken as they were"]
    if report.refused:
        lines.append(f"{report.refused} ops were refused then and not tried again")
    if not report.is_whole:
        lines.append("the recorder was ended before its time; this is as far as it came")
    lines.append(f"DIFFERENT: {report.difference}" if report.difference else f"the same: {report.digest}")
    return "\n".join(lines)


def _fail(sentence: str) -> int:
    print(f"nanobana: {sentence}", file=sys.stderr)
    return 1
