"""One stage of one edit while it runs: which tiles have begun, which are done, and the picture that they make (E3)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana_engine.engine.board import Board, around_result, cut
from nanobana_engine.engine.colour import match_colour
from nanobana_engine.engine.parts import Part, make_part, needed, part_boxes
from nanobana_engine.engine.shown import Shown, Sight
from nanobana_engine.engine.source import Pixels
from nanobana_engine.engine.stitch import INWARDS
from nanobana_engine.engine.tiles import Mosaic, held_to
from nanobana_engine.models.base import Request
from nanobana_engine.planner.resample import scaled_box, to_bytes, to_floats
from nanobana_engine.runner import Pass, Runner

Bytes = npt.NDArray[np.uint8]

IN_FLIGHT = 1_100_000
"""Pixels of tiles that an edit has in the batch at a time, or one tile of every variation: what bounds its memory."""


@dataclass(frozen=True, slots=True)
class Running:
    """One picture being denoised: a variation, or one tile of it."""

    variation: int
    tile: Box
    one: Pass
    earlier: Pixels | None
    """What it refines, [h, w, 3]."""
    shown: Shown


class StageRun:
    """Owned by its `EditRun`.

    Args:
        sight: what the stage sees.
        index: its number within the edit, 0 first.
        parts: whether the result leaves in parts as they are finished: the last stage of a large region, in tiles.
        check: called between pieces of longer work; raises where nobody wants the edit any more (E8).
    """

    def __init__(self, sight: Sight, runner: Runner, index: int, *, parts: bool, check: Callable[[], None]) -> None:
        self.sight = sight
        self.running: list[Running] = []
        self._runner = runner
        self._index = index
        self._check = check
        self._is_tiled = len(sight.stage.tiles) > 1
        self._pictures: list[Pixels] = []
        self._waiting = (
            [(box, needed(sight, box)) for box in part_boxes(sight.source)] if parts and self._is_tiled else []
        )
        self._tiles = deque(self._in_order(list(sight.stage.tiles)))
        self.tiles = len(self._tiles)
        """That run: a tile in which nothing changes does not."""
        self._mosaics = [self._mosaic(variation) for variation in range(self._variations)] if self._is_tiled else []
        self._board: Board | None = None

    @property
    def is_over(self) -> bool:
        """Whether every tile is done."""
        return not self._tiles and not self.running

    @property
    def tiles_done(self) -> int:
        return self.tiles - len(self._tiles) - len({part.tile for part in self.running})

    @property
    def held_tiles(self) -> int:
        """Finished ones that parts of the result still need."""
        return sum(len(mosaic.tiles) for mosaic in self._mosaics)

    def begin(self) -> list[Running]:
        """Encode the next tiles, or the whole stage where it is one.

        Raises:
            nanobana.protocol.errors.BadInput: what the adapter refuses.
        """
        pixels = 0
        while self._tiles and (not pixels or pixels + self._tiles[0].area * self._variations <= IN_FLIGHT):
            tile = self._tiles.popleft()
            pixels += tile.area * self._variations
            shown = self.sight.show(tile)
            for variation in range(self._variations):
                self._check()
                earlier = self.sight.before(variation, tile, shown) if self.sight.earlier else None
                one = self._start(shown, earlier, variation, tile)
                self.running.append(Running(variation, tile, one, earlier, shown))
        return self.running

    def end(self) -> list[Part]:
        """Decode what ran; the parts of the result that are finished with it."""
        for part in self.running:
            self._check()
            picture = self._runner.decode(part.one)
            if not self._is_tiled:
                self._pictures.append(picture)
                continue
            if self.sight.source.plan.is_large and part.earlier is not None:
                picture = held_to(picture, part.earlier, part.shown.user_mask, part.shown.mask)
            self._mosaics[part.variation].add(part.tile, picture)
            if part.variation == 0:
                self._shown_so_far().paste(part.tile, self._mosaics[0].tiles[part.tile])
        self.running = []
        return self._finished_parts()

    def picture(self) -> Bytes:
        """The result's box as the first variation has it now, at a preview's size."""
        plan, stage = self.sight.source.plan, self.sight.stage
        firsts = [each for each in self.running if each.variation == 0]
        if not self._is_tiled:
            part = around_result(plan, stage, self._runner.adapter.preset.latent_stride)
            return cut(plan, stage, self._runner.preview(firsts[0].one, part), part)
        board = self._shown_so_far()
        picture = board.picture.copy()
        for each in firsts:
            if each.one.step:
                board.paste(each.tile, self._runner.preview(each.one), picture)
        return picture

    def pictures(self) -> list[Pixels]:
        """Per variation the finished stage, [h, w, 3] in 0..1."""
        if not self._is_tiled:
            return self._pictures
        return [to_floats(sheet) for sheet in self.sheets()]

    def sheets(self) -> list[Bytes]:
        """Per variation the finished stage, [h, w, 3]; that of a large region with the ring's colours (E6)."""
        stage, plan = self.sight.stage, self.sight.source.plan
        whole = Box(0, 0, stage.width, stage.height)
        if self._is_tiled:
            return [mosaic.read(whole) for mosaic in self._mosaics]
        pictures = self._pictures
        if plan.is_large:
            shown = self.sight.show(whole)
            ring = (shown.mask > 0) & (shown.user_mask == 0)
            diagonal = math.hypot(plan.mask_box.width, plan.mask_box.height) * stage.width / plan.size[0]
            original = to_bytes(shown.pixels)
            pictures = [match_colour(each, original, ring, far=INWARDS * diagonal) for each in pictures]
        return [to_bytes(each) for each in pictures]

    @property
    def _variations(self) -> int:
        return self.sight.source.edit.variations

    def _in_order(self, tiles: list[Box]) -> Iterator[Box]:
        """Those in which something changes, by the parts of the result that need them."""
        plan = self.sight.source.plan
        if not plan.is_large or not self._is_tiled:
            yield from tiles
            return
        left = [tile for tile in tiles if plan.touches(self.sight.in_context(tile))]
        for _, box in self._waiting:
            yield from (tile for tile in left if not tile.intersect(box).is_empty)
            left = [tile for tile in left if tile.intersect(box).is_empty]
        yield from left

    def _mosaic(self, variation: int) -> Mosaic:
        stage, preset = self.sight.stage, self._runner.adapter.preset
        overlap = max(1, (preset.tile_side or preset.native) // 4)
        return Mosaic((stage.width, stage.height), overlap, lambda box: self._beneath(variation, box))

    def _beneath(self, variation: int, box: Box) -> Pixels:
        return self.sight.before(variation, box, self.sight.show(box))

    def _shown_so_far(self) -> Board:
        if self._board is None:
            plan, stage = self.sight.source.plan, self.sight.stage
            self._board = Board(plan, stage, cut(plan, stage, self.sight.earlier[0]))
        return self._board

    def _finished_parts(self) -> list[Part]:
        parts: list[Part] = []
        open_tiles = list(self._tiles)
        while self._waiting and all(tile.intersect(self._waiting[0][1]).is_empty for tile in open_tiles):
            box, _ = self._waiting.pop(0)
            for variation, mosaic in enumerate(self._mosaics):
                self._check()
                parts.append(make_part(self.sight, mosaic.read, variation, box))
        for mosaic in self._mosaics if parts else ():
            for tile in list(mosaic.tiles):
                if all(tile.intersect(need).is_empty for _, need in self._waiting):
                    del mosaic.tiles[tile]
        return parts

    def requests_ahead(self) -> Iterator[Request]:
        """What a first stage will ask of the adapter for a first variation, whatever the prompt will be."""
        return (self._request(self.sight.show(tile), None, 0, tile) for tile in self.sight.stage.tiles)

    def _request(self, shown: Shown, earlier: Pixels | None, variation: int, tile: Box) -> Request:
        source, stage = self.sight.source, self.sight.stage
        edit, plan = source.edit, source.plan
        x0, y0, x1, y1 = scaled_box(plan.mask_inside, plan.size, self.sight.target)
        return Request(
            pixels=shown.pixels,
            prefill=lambda: self.sight.prefilled(tile, shown),
            mask=shown.mask,
            user_mask=shown.user_mask,
            mask_box=(x0 - tile.x0, y0 - tile.y0, x1 - tile.x0, y1 - tile.y0),
            room=source.canvas,
            prompt=edit.prompt,
            negative=edit.negative,
            loras=source.loras,
            references=source.references,
            seed=source.seed(variation),
            variation=variation,
            stage=stage.name,
            previous=earlier,
            strength=stage.strength,
        )

    def _start(self, shown: Shown, earlier: Pixels | None, variation: int, tile: Box) -> Pass:
        source, stage = self.sight.source, self.sight.stage
        edit = source.edit
        return self._runner.start(
            self._request(shown, earlier, variation, tile),
            owner=source.id,
            steps=stage.steps,
            guidance=self._runner.adapter.preset.guidance if edit.guidance is None else edit.guidance,
            stage=self._index,
            frame=self.sight.target,
            tile=tile,
            whole=stage.width * stage.height * source.plan.canvas_ratio / self.tiles,
        )
