"""The token-list executor is diffusers' own forward pass, wherever it computes at all (E9)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from nanobana_engine.sparse import Executor
from nanobana_engine.sparse.call import Parts
from nanobana_engine.sparse.executor import Row, Sparse
from nanobana_engine.sparse.geometry import grown
from support.sparse import SIDE, cells, painted, recorded, row_of, sd_unet, xl_unet

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
Make = Callable[..., Any]
BOTH = [pytest.param(sd_unet, id="sd"), pytest.param(xl_unet, id="xl")]
CLOSE = 1e-5
EVERYWHERE = torch.ones(SIDE, dtype=torch.bool)


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def forward(unet: Any, row: Row) -> Tensor:
    told = None if row.told is None else {name: value[None] for name, value in row.told.items()}
    answer: Tensor = unet(
        row.sample[None], row.timestep, encoder_hidden_states=row.prompt.tokens[None], added_cond_kwargs=told,
        return_dict=False,
    )[0][0]  # fmt: skip
    return answer


@pytest.mark.parametrize("make", BOTH)
def test_e9_with_every_cell_active_it_is_the_forward_pass_of_diffusers(make: Make) -> None:
    unet = make()
    row = row_of(unet, 1)
    theirs = forward(unet, row)
    executor = Executor(unet)
    answer, record = recorded(executor, row)
    assert apart(answer, theirs) < CLOSE
    (ours,) = executor.sparse([Sparse(row=row, shape=executor.shape(EVERYWHERE), record=record)])
    assert apart(ours, theirs) < CLOSE


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("box", [(9, 5, 14, 9), (0, 0, 3, 2), (21, 13, 24, 16), (0, 7, 24, 8)])
def test_e9_where_nothing_changed_a_few_cells_come_out_as_in_the_dense_pass(make: Make, box: Any) -> None:
    executor = Executor(make())
    row = row_of(make(), 2)
    theirs, record = recorded(executor, row)
    record.output = torch.zeros_like(record.output)
    active = cells(box)
    (ours,) = executor.sparse([Sparse(row=row, shape=executor.shape(active), record=record)])
    assert apart(ours[:, active], theirs[:, active]) < CLOSE
    assert ours[:, ~active].abs().max() == 0, "what is not active is as recorded"


@pytest.mark.parametrize("make", BOTH)
def test_e9_a_margin_is_computed_at_the_finest_level_only(make: Make) -> None:
    executor = Executor(make())
    row, core = row_of(make(), 2), cells((9, 5, 14, 9))
    theirs, record = recorded(executor, row)
    wide, narrow = executor.shape(grown(core[None])[0]), executor.shape(grown(core[None])[0], core)
    assert [len(level.cells) for level in narrow.levels] == [42, 9, 4]
    assert [len(level.cells) for level in wide.levels] == [42, 12, 4]
    (ours,) = executor.sparse([Sparse(row=row, shape=narrow, record=record)])
    assert apart(ours[:, narrow.active], theirs[:, narrow.active]) < CLOSE


@pytest.mark.parametrize("make", BOTH)
def test_e7_packed_edits_of_other_sizes_timesteps_and_prompts_are_each_alone(make: Make) -> None:
    unet = make()
    executor = Executor(unet, parts=Parts(writes=False))
    rows = [
        row_of(unet, 1, timestep=901.0),
        row_of(unet, 2, timestep=333.3, size=(16, 16), tokens=5),
        row_of(unet, 3, timestep=41.0, size=(8, 32), tokens=9),
    ]
    boxes = [(2, 3, 7, 9), (10, 10, 16, 16), (5, 0, 30, 4)]
    given = [
        painted(executor, row, cells(box, (row.sample.shape[1], row.sample.shape[2])), recorded(executor, row)[1], seed)
        for seed, (row, box) in enumerate(zip(rows, boxes, strict=True))
    ]
    packed = executor.sparse(given)
    for one, ours in zip(given, packed, strict=True):
        (alone,) = executor.sparse([one])
        assert apart(ours, alone) < CLOSE
        assert apart(ours, one.record.output) > 1e-3, "the edit changed something"


def test_e9_two_edits_that_share_a_record_do_not_see_each_other_in_one_call() -> None:
    unet = sd_unet()
    executor = Executor(unet)
    row = row_of(unet, 1)
    _, record = recorded(executor, row)
    left, right = cells((2, 2, 6, 6)), cells((7, 3, 12, 8))
    alone = executor.sparse([painted(executor, row, right, deepcopy(record), 6)])[0]
    pair = [painted(executor, row, left, record, 5), painted(executor, row, right, record, 6)]
    assert apart(executor.sparse(pair)[1][:, right], alone[:, right]) < CLOSE


@pytest.mark.parametrize("make", BOTH)
def test_e9_what_was_computed_is_written_back_and_the_next_edit_begins_from_there(make: Make) -> None:
    unet = make()
    executor = Executor(unet)
    row = row_of(unet, 1)
    _, record = recorded(executor, row)
    first = painted(executor, row, cells((2, 2, 9, 9)), record, 5)
    (changed,) = executor.sparse([first])
    record.output = torch.zeros_like(record.output)
    again = executor.shape(cells((3, 3, 8, 8)))
    (ours,) = executor.sparse([Sparse(row=first.row, shape=again, record=record)])
    assert apart(ours[:, again.active], changed[:, again.active]) < CLOSE


def test_e9_without_writing_back_a_record_stays_as_it_is() -> None:
    unet = sd_unet()
    executor = Executor(unet, parts=Parts(writes=False))
    row = row_of(unet, 1)
    _, record = recorded(executor, row)
    before = deepcopy(record)
    executor.sparse([painted(executor, row, cells((2, 2, 9, 9)), record, 5)])
    assert torch.equal(record.output, before.output)
    for name, plane in before.planes.items():
        assert torch.equal(record.planes[name], plane)
    for name, keys in before.keys.items():
        assert torch.equal(record.keys[name], keys)


@pytest.mark.parametrize("part", ["halo", "keys", "norms"])
def test_e9_each_part_can_be_switched_off_and_is_missed(part: str) -> None:
    unet = sd_unet()
    row, active = row_of(unet, 1), cells((5, 5, 12, 10))

    def error(parts: Parts) -> float:
        executor = Executor(deepcopy(unet), parts=parts)
        theirs, record = recorded(executor, row)
        (ours,) = executor.sparse([Sparse(row=row, shape=executor.shape(active), record=record)])
        return apart(ours[:, active], theirs[:, active])

    assert error(Parts()) < CLOSE < 1e-3 < error(Parts(**{part: False}))


@pytest.mark.parametrize("part", ["packs", "prompts"])
def test_e9_what_only_saves_time_changes_nothing_when_it_is_off(part: str) -> None:
    unet = sd_unet()
    executors = [Executor(unet, parts=Parts(writes=False)), Executor(unet, parts=Parts(writes=False, **{part: False}))]
    row = row_of(unet, 1)
    _, record = recorded(executors[0], row)
    answers = []
    for executor in executors:
        given = [painted(executor, row, cells((2, 2, 9, 9)), record, seed) for seed in (5, 6)]
        answers.append(executor.sparse(given) + executor.sparse(given[:1]))
    for ours, theirs in zip(*answers, strict=True):
        assert apart(ours, theirs) < CLOSE


def test_e9_activations_may_be_kept_in_half_the_bytes() -> None:
    unet = sd_unet()
    whole, half = Executor(unet), Executor(unet, keeps=torch.float16)
    row, active = row_of(unet, 1), cells((5, 5, 12, 10))
    theirs, large = recorded(whole, row)
    _, small = recorded(half, row)
    assert small.nbytes < 0.6 * large.nbytes
    (ours,) = half.sparse([Sparse(row=row, shape=half.shape(active), record=small)])
    assert apart(ours[:, active], theirs[:, active]) < 2e-3


def test_e9_what_half_the_bytes_cannot_hold_is_kept_as_it_is() -> None:
    unet = sd_unet()
    unet.conv_in.weight.mul_(1e6)
    half = Executor(unet, keeps=torch.float16)
    row, active = row_of(unet, 1), cells((5, 5, 12, 10))
    theirs, record = recorded(half, row)
    assert record.planes["down_blocks.0.downsamplers.0.conv"].dtype == torch.float32
    for _ in range(2):
        (ours,) = half.sparse([Sparse(row=row, shape=half.shape(active), record=record)])
        assert apart(ours[:, active], theirs[:, active]) < 2e-3


@pytest.mark.parametrize("make", BOTH)
def test_e9_nothing_that_was_recorded_of_an_active_cell_is_read_however_poisoned(make: Make) -> None:
    unet = make()
    executor = Executor(unet)
    row, shape = row_of(unet, 1), executor.shape(cells((5, 5, 12, 10)))
    theirs, record = recorded(executor, row)
    active_of = {level.height * level.width: level.cells for level in shape.levels}
    for planes in (record.planes, record.keys, record.values):
        for plane in planes.values():
            plane[active_of[len(plane)]] = torch.nan
    record.output[:, shape.active] = torch.nan
    (ours,) = executor.sparse([Sparse(row=row, shape=shape, record=record)])
    assert apart(ours, theirs) < CLOSE
