"""A joined canvas: what is on it, what happens on it, and everything one may do there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Job
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams, Reference
from nanobana.raster.codec import encode_png
from nanobana.sdk.http import CanvasHttp
from nanobana.sdk.layers import Layering
from nanobana.sdk.link import Link
from nanobana.sdk.pixels import Mask, Painting


class Canvas(Layering, Painting):
    """A canvas as one member has it. Made by `join`; safe to use from one event loop."""

    async def edit(
        self,
        mask: Mask,
        x: int,
        y: int,
        prompt: str = "",
        *,
        model: str | None = None,
        references: Sequence[bytes] = (),
        **parameters: object,
    ) -> str:
        """Queue a fill of the masked region; returns the job's ID.

        Args:
            mask: [h, w] uint8 placed at (x, y), 255 = regenerate.
            model: one of `models`, by name; None: the first of them.
            references: pictures to follow (PNG, WebP or JPEG bytes).
            parameters: any other field of `EditParams`, e.g. ``mode="erase"``, ``seed=7``, ``variations=3``,
                ``style="Ink"``, ``loras=[Lora(name="toy", weight=0.6)]``.
        """
        png = encode_png(mask)
        blob = await self.http.put_blob(png) if len(png) > m.INLINE else None
        box = Box(x, y, x + mask.shape[1], y + mask.shape[0])
        named = [Reference(blob=await self.http.put_blob(picture)) for picture in references]
        params = EditParams(
            box=box,
            mask_png=None if blob else png,
            mask_blob=blob,
            prompt=prompt,
            model=model,
            references=named,
            **parameters,  # type: ignore[arg-type]
        )
        op = self.next_op()
        await self._settled(m.Edit(op=op, edit=params))
        return f"{op.client}-{op.n}"

    async def staged(self, job: str) -> Job:
        """Wait for an edit's result.

        Raises:
            BadInput: the edit failed; the text says why.
            NotFound: it was cancelled, superseded or discarded.
        """
        return await self._job(job, lambda now: now.state == "staged")

    async def accept(self, job: str, variation: int = 0, *, new_layer: bool = False) -> int:
        """Burn one variation in; raises NanobanaError ``already_decided`` when somebody was first."""
        op = self.next_op()
        return await self._settled(m.Decide(op=op, job=job, accept=True, variation=variation, new_layer=new_layer))

    async def discard(self, job: str) -> int:
        return await self._settled(m.Decide(op=self.next_op(), job=job, accept=False))

    async def cancel(self, job: str) -> int:
        return await self._settled(m.Cancel(op=self.next_op(), job=job))

    async def undo(self) -> int:
        """Undo my newest op that is not undone."""
        return await self._settled(m.Undo(op=self.next_op()))

    async def redo(self) -> int:
        return await self._settled(m.Redo(op=self.next_op()))

    async def undo_person(self, user: str, minutes: int) -> int:
        """As an owner: take back what somebody did in the last minutes (10 at most); my `redo` brings it back."""
        return await self._settled(m.UndoPerson(op=self.next_op(), user=user, minutes=minutes))

    async def _job(self, job: str, reached: Callable[[Job], bool]) -> Job:
        def now() -> Job | None:
            return self.replica.jobs.get(job) or self._finished.get(job)

        await self.until(lambda: (found := now()) is not None and (reached(found) or found.id in self._finished))
        found = now()
        if found is None or not reached(found):
            if found is not None and found.state == "failed":
                raise BadInput(found.error or "the edit failed", code=found.error_code or "failed")
            raise NotFound(f"edit {job} is {found.state if found else 'gone'}", code="edit_over")
        return found


@contextlib.asynccontextmanager
async def join(link: str, *, name: str = "script") -> AsyncIterator[Canvas]:
    """Join a canvas by its share link, for as long as the block runs; reconnects by itself.

    Raises:
        BadInput: the link is malformed.
        NotAllowed: wrong or revoked secret.
        Unavailable: nobody answers there.
    """
    async with CanvasHttp(Link.parse(link), name=name) as http:
        await http.authorise()
        canvas = Canvas(http)
        task = asyncio.create_task(canvas.connection.run(), name=f"canvas {http.link.canvas}")
        try:
            await _first(canvas.connection.ready(), task)
            yield canvas
        finally:
            task.cancel()
            with anyio.CancelScope(shield=True), contextlib.suppress(asyncio.CancelledError):
                await task


async def _first(ready: Awaitable[None], task: "asyncio.Task[None]") -> None:
    """Wait for the welcome, or for the connection's own failure."""
    waiting = asyncio.ensure_future(ready)
    await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        task.result()
    await waiting
