"""What an edit recomputed of its canvas, as the page tells it: cells of the model, tiles of the canvas, time (E9)."""

from __future__ import annotations

from nanobana.protocol.canvas import Cost
from nanobana.protocol.geometry import Box, tile_box, tiles_of
from nanobana_engine.planner import Plan
from nanobana_engine.runner.meter import Spent


def cost_of(plan: Plan, spent: Spent) -> Cost:
    """Of an edit that is done."""
    return Cost(
        cells=round(spent.cells),
        cells_of=round(spent.cells_of),
        tiles=_changed_tiles(plan),
        tiles_of=_tiles(plan),
        encoded=spent.encoded.share,
        decoded=spent.decoded.share,
        saved_ms=None if spent.saved_s is None else max(0.0, spent.saved_s * 1000.0),
    )


def cost_without_model(plan: Plan) -> Cost:
    """Of an erasure: what was looked at is the context, pixel by pixel."""
    return Cost(cells=plan.context.area, cells_of=_canvas(plan).area, tiles=_changed_tiles(plan), tiles_of=_tiles(plan))


def _canvas(plan: Plan) -> Box:
    return Box(0, 0, *plan.canvas)


def _tiles(plan: Plan) -> int:
    return sum(1 for _ in tiles_of(_canvas(plan)))


def _changed_tiles(plan: Plan) -> int:
    """Tiles of the canvas in which a pixel may change: of a large region at the most."""
    return sum(_changes(plan, tile_box(*at).intersect(plan.result)) for at in tiles_of(plan.result))


def _changes(plan: Plan, box: Box) -> bool:
    inside = box.shift(-plan.context.x0, -plan.context.y0)
    return plan.touches(inside) if plan.is_large else bool(plan.window(inside).composite.any())
