"""What a worker says before it can take work: that it is there, and what it waits for."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import anyio

from nanobana.keyspace.claims import beat, leave
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.jobs import EngineBeat
from nanobana_engine.worker.settings import WorkerSettings


class Arrival:
    """Beats while the model loads; the worker's own beats take its place afterwards."""

    def __init__(self, client: Client, settings: WorkerSettings) -> None:
        self._client = client
        self._settings = settings
        self._model = _shown(settings.model)
        self.said = f"loading {self._model}"
        self._over = anyio.Event()
        self._ended = anyio.Event()

    def tell(self, here: int, whole: int) -> None:
        """How far a download is, in bytes; called in any thread."""
        if here >= whole:
            self.said = f"loading {self._model}"
            return
        share = 100.0 * here / whole
        self.said = f"downloading {self._model}: {here / 1e9:.1f} of {whole / 1e9:.1f} GB, {share:.0f} %"

    async def run(self) -> None:
        """Until `end`; a store that is away changes nothing."""
        try:
            while not self._over.is_set():
                with suppress(Unavailable):
                    await self._say(self.said)
                with anyio.move_on_after(self._settings.beat_s):
                    await self._over.wait()
        finally:
            self._ended.set()

    async def end(self) -> None:
        """Say no more; what was being said is said when this returns."""
        self._over.set()
        await self._ended.wait()

    async def take_back(self) -> None:
        """Nobody is to wait for this worker any longer."""
        with anyio.move_on_after(2.0, shield=True), suppress(Unavailable):
            await leave(self._client, FamilyKeys(self._settings.family), self._settings.worker)

    async def _say(self, loading: str) -> None:
        state = EngineBeat(
            worker=self._settings.worker,
            model=self._model,
            device=self._settings.device or "",
            running=0,
            pid=os.getpid(),
            host=socket.gethostname(),
            loading=loading,
        )
        await beat(self._client, FamilyKeys(self._settings.family), state)


def _shown(model: str | None) -> str:
    """What everybody in the room may read: of a path only its last part."""
    if model is None:
        return "its model"
    return Path(model).name if model.startswith(("/", ".", "~")) else model
