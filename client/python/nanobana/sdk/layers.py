"""What one may do with the layers of a canvas."""

import secrets
from collections.abc import Sequence

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Blend
from nanobana.sdk.joined import Joined


class Layering(Joined):
    """Layers and groups, bottom to top."""

    async def add_layer(self, name: str) -> str:
        """A new empty layer on top; returns its ID."""
        layer = secrets.token_hex(6)
        await self._settled(m.LayerAdd(op=self.next_op(), layer=layer, name=name))
        return layer

    async def set_layer(
        self,
        layer: str,
        *,
        name: str | None = None,
        visible: bool | None = None,
        opacity: float | None = None,
        blend: Blend | None = None,
        locked: bool | None = None,
    ) -> None:
        """Change what is given; raises NanobanaError ``layer_locked`` where somebody locked it."""
        set_ = m.LayerSet(
            op=self.next_op(), layer=layer, name=name, visible=visible, opacity=opacity, blend=blend, locked=locked
        )
        await self._settled(set_)

    async def move_layer(self, layer: str, index: int, *, into: str | None = None) -> None:
        """To an index of `layers` without it (and what is in it), 0 = bottom; `into`: a group, "" for out of all."""
        await self._settled(m.LayerMove(op=self.next_op(), layer=layer, index=index, parent=into))

    async def delete_layer(self, layer: str) -> None:
        """A group goes with all that is in it."""
        await self._settled(m.LayerDelete(op=self.next_op(), layer=layer))

    async def group_layers(self, layers: Sequence[str], name: str = "Group") -> str:
        """A new group of these, where the topmost of them is; returns its ID."""
        group = secrets.token_hex(6)
        await self._settled(m.LayerGroup(op=self.next_op(), layer=group, name=name, members=list(layers)))
        return group

    async def ungroup(self, group: str) -> None:
        """The group goes, what is in it stays."""
        await self._settled(m.LayerUngroup(op=self.next_op(), layer=group))

    async def duplicate_layer(self, layer: str) -> str:
        """A copy right above it, of a group with all that is in it; returns its ID."""
        copy = secrets.token_hex(6)
        await self._settled(m.LayerDuplicate(op=self.next_op(), layer=layer, copy=copy))
        return copy

    async def merge_down(self, layer: str) -> None:
        """Burn a layer, or a group, into the layer beneath it; raises BadInput ``nothing_below``."""
        await self._settled(m.LayerMerge(op=self.next_op(), layer=layer))

    async def resize(self, width: int, height: int) -> None:
        await self._settled(m.CanvasSet(op=self.next_op(), width=width, height=height))
