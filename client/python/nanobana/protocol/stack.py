"""The list of layers as the tree that it stands for: groups, what is in them, what shows and what is locked (C1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nanobana.protocol.canvas import Layer

MAX_LAYERS = 200
"""Layers and groups of a canvas; commit.lua walks at most so far up."""

MAX_DEPTH = 8
"""Groups around a layer: what compositing holds in memory grows with it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A layer, or a group with what is in it, bottom to top."""

    layer: Layer
    inside: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Layer]:
        """All that is in it, bottom to top, and itself last."""
        for node in self.inside:
            yield from node.walk()
        yield self.layer


def tree(layers: Sequence[Layer]) -> list[Node]:
    """The top level, bottom to top."""
    groups_of = _groups(layers)
    nodes = {layer.id: Node(layer) for layer in layers}
    top: list[Node] = []
    for layer in layers:
        group = groups_of.get(layer.id)
        (top if group is None else nodes[group].inside).append(nodes[layer.id])
    return top


def ordered(layers: Sequence[Layer]) -> list[Layer]:
    """The same layers with each group right above all that is in it."""
    return [layer for node in tree(layers) for layer in node.walk()]


def block(layers: Sequence[Layer], layer: str) -> list[Layer]:
    """A layer, or a group with all that is in it, as they stand in the list; empty if there is no such layer."""
    groups_of = _groups(layers)
    return [found for found in layers if layer in (found.id, *_up(groups_of, found.id))]


def around(layers: Sequence[Layer], layer: str) -> list[Layer]:
    """The groups that a layer is in, the nearest first."""
    by_id = {found.id: found for found in layers}
    return [by_id[group] for group in _up(_groups(layers), layer)]


def is_locked(layers: Sequence[Layer], layer: Layer) -> bool:
    """Whether it is locked, or a group around it is."""
    return layer.locked or any(group.locked for group in around(layers, layer.id))


def seen(layers: Sequence[Layer]) -> list[Layer]:
    """The layers with pixels that show: neither they nor a group around them hidden or faded away; bottom to top."""
    return [layer for node in tree(layers) for layer in _seen(node)]


def _seen(node: Node) -> Iterator[Layer]:
    if not node.layer.visible or node.layer.opacity <= 0.0:
        return
    if not node.layer.group:
        yield node.layer
    for inside in node.inside:
        yield from _seen(inside)


def _groups(layers: Sequence[Layer]) -> Mapping[str, str]:
    """The group of each layer that is in one. Groups that undo has put into each other are at the top level."""
    groups = {layer.id for layer in layers if layer.group}
    named = {layer.id: layer.parent for layer in layers if layer.parent in groups}
    rings = {layer for layer in named if _is_ring(named, layer)}
    return {layer: group for layer, group in named.items() if layer not in rings}


def _is_ring(named: Mapping[str, str], layer: str) -> bool:
    """Whether walking up from a layer comes back to it."""
    at, passed = named.get(layer), {layer}
    while at is not None and at not in passed:
        passed.add(at)
        at = named.get(at)
    return at == layer


def _up(groups_of: Mapping[str, str], layer: str) -> Iterator[str]:
    group = groups_of.get(layer)
    while group is not None:
        yield group
        group = groups_of.get(group)
