"""One user's flood beside another's edit, from the ticket on the stream to the result: counted in steps (E7)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import anyio
import numpy as np
import pytest
import torch

from nanobana.protocol.canvas import OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Conditioning, Item, Request
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops import import_image
from nanobana_server.store.types import Author
from support.adapters import PixelAdapter
from support.edits import photo
from support.valkey import private_valkey
from support.worker import working

pytestmark = pytest.mark.anyio

SIDE = 320


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Gate(PixelAdapter):
    """Every edit costs one picture and shares the step's one call, which is made only when the test lets it."""

    prepares_briefly = True

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Semaphore(0)
        self.steps: list[list[str]] = []
        """Who takes part in each step that has begun."""
        self.prepared: list[tuple[str, str]] = []
        """Whose edit was made ready by which thread."""

    def remember_in(self, memory: Memory) -> None:
        """Nothing is worth it."""

    def prepare(self, request: Request, goes_on: Callable[[], bool]) -> None:
        assert goes_on()
        self.prepared.append((request.prompt, threading.current_thread().name))

    def condition(self, request: Request) -> Conditioning:
        latents = self.encode(request.pixels)
        latents.who = request.prompt  # type: ignore[attr-defined]
        return latents

    def cost(self, item: Item) -> float:
        del item
        return 1.0

    def call_key(self, item: Item) -> tuple[object, ...]:
        del item
        return ()

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        self.steps.append([item.conditioning.who for item in items])
        self.open.acquire()
        return super().denoise(items)


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110 - the model thread rings no bell
            await anyio.sleep(0.005)


async def put(store: Store, user: str, n: int, box: Box) -> str:
    mask = encode_png(np.full((box.height, box.width), 255, np.uint8))
    edit = EditParams(box=box, mask_png=mask, prompt=user, seed=n)
    await jobs.submit(store, "c", Author(user=user), Edit(op=OpId(user, n), edit=edit))
    return f"{user}-{n}"


async def test_e7_a_flood_delays_another_users_edit_by_one_step_from_ticket_to_result() -> None:
    gate = Gate()
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c")
        await import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(SIDE, SIDE)), layer="photo")
        async with working(store, valkey.url, gate) as bridge:
            for n in range(12):
                await put(store, "ana", n + 2, Box(n * 24, 0, n * 24 + 16, 16))
            gate.open.release(5)
            await until(lambda: len(gate.steps) == 6)  # the sixth is held in the middle; both slots are ana's
            ben = await put(store, "ben", 1, Box(100, 100, 140, 140))
            await until(lambda: ben in bridge)
            for _ in range(4):
                gate.open.release()
            await until(lambda: len(gate.steps) == 10)
            gate.open.release()
            await until(lambda: ben not in bridge)
            gate.open.release(10_000)
        (by,) = {thread for who, thread in gate.prepared if who == "ben"}
        assert by != "model", "what needs no model was done beside the others' steps"
        assert "ben" not in gate.steps[5]
        assert all({"ana", "ben"} == set(each) for each in gate.steps[6:10]), "in every step from the very next one on"
        assert (await read_job(store, "c", ben)).state == "staged"
        await store.aclose()
