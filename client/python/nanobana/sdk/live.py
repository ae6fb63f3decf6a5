"""A live session from a script: the result follows what is asked, one at a time, until it is accepted or discarded."""

from __future__ import annotations

import secrets

from nanobana.protocol.canvas import Job
from nanobana.protocol.errors import NotFound
from nanobana.sdk.canvas import Canvas
from nanobana.sdk.pixels import Mask


class Live:
    """Edits that take each other's place (E7); everybody sees them as live by you.

    Args:
        seed: of the whole session, so that what does not change looks the same; None draws one.
    """

    def __init__(self, canvas: Canvas, *, seed: int | None = None) -> None:
        self._canvas = canvas
        self._newest = ""
        self.id = secrets.token_urlsafe(9)
        self.seed = secrets.randbelow(2**32) if seed is None else seed

    async def show(self, mask: Mask, x: int, y: int, prompt: str = "", **parameters: object) -> str:
        """Ask for this now, instead of what was asked before; returns the job's ID. Parameters as for `Canvas.edit`."""
        fixed: dict[str, object] = {"live": self.id, "seed": self.seed, "quality": "draft"}
        self._newest = await self._canvas.edit(mask, x, y, prompt, **{**parameters, **fixed})  # type: ignore[arg-type]
        return self._newest

    async def result(self) -> Job:
        """Wait for the result of what was asked last.

        Raises:
            BadInput: it failed; the result before it stands.
            NotFound: nothing was asked, or the session is decided.
        """
        return await self._canvas.staged(self._asked())

    async def accept(self) -> int:
        """Burn the result of what was asked last in, and end the session."""
        return await self._canvas.accept((await self.result()).id)

    async def discard(self) -> None:
        """End the session without a result: what is staged goes, and what is under way."""
        mine = [job for job in self._canvas.replica.jobs.values() if job.live == self.id]
        staged = next((job for job in mine if job.state == "staged"), None)
        if staged is not None:
            await self._canvas.discard(staged.id)  # which cancels what is under way
        elif mine:
            await self._canvas.cancel(mine[-1].id)
        self._newest = ""

    def _asked(self) -> str:
        if not self._newest:
            raise NotFound("Nothing was asked in this live session yet.", code="no_job")
        return self._newest
