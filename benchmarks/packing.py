"""How many edits one step holds when each computes only its own cells: packed into one list, in steps of one picture.

    python benchmarks/packing.py [--packed5 12] [--packed1 40] [--rounds 3]

The architecture of SD 1.5 inpainting at random weights, 512 × 512, without guidance, CPU seconds on one thread of
calls of the UNet alone. `packed_edits_per_dense_step_N`: diffusers' own forward pass over one picture, as anybody calls
it, over what an edit of N % costs in a list of so many, each a square somewhere else with its own record, timestep and
prompt, and one cell around it. `alone_N`: the same for one edit in a list of its own. `our_dense_step_s`: that forward
pass with our matrix products; `record_ratio`: one that is recorded, over it. `record_mib`: bytes of the record. Medians
of so many rounds, dense and packed in turn. With `--ablate`
instead `edit_step_s_without_X`: seconds of an edit of 5 % with one part switched off.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from harness import median, report

from nanobana_engine.models.preset import ReusePart
from nanobana_engine.sparse import Executor
from nanobana_engine.sparse.call import Parts, Prompt
from nanobana_engine.sparse.executor import Row, Sparse, dense
from nanobana_engine.sparse.geometry import grown
from nanobana_engine.sparse.record import Record

SIDE = 64
"""Cells."""
ABLATED: tuple[ReusePart, ...] = ("halo", "keys", "norms", "prompts", "writes", "packs")


def sd15_unet() -> Any:
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(in_channels=9, cross_attention_dim=768, attention_head_dim=8, sample_size=SIDE).eval()


def rows(number: int) -> list[Row]:
    dice = torch.Generator().manual_seed(1)
    return [
        Row(
            sample=torch.randn((9, SIDE, SIDE), generator=dice),
            timestep=float(torch.randint(1, 999, (), generator=dice)),
            prompt=Prompt(torch.randn((77, 768), generator=dice)),
        )
        for _ in range(number)
    ]


def edits(executor: Executor, record: Record, share: float, number: int) -> list[Sparse]:
    """Squares of a share of the picture, and a cell around each."""
    dice = torch.Generator().manual_seed(2)
    side = round(SIDE * share**0.5)
    made = []
    for row in rows(number):
        x, y = torch.randint(0, SIDE - side, (2,), generator=dice).tolist()
        masked = torch.zeros((SIDE, SIDE), dtype=torch.bool)
        masked[y : y + side, x : x + side] = True
        shape = executor.shape(grown(masked[None])[0], masked)
        made.append(Sparse(row=row, shape=shape, record=deepcopy(record)))
    return made


def cpu_s(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Medians; each call is made once before, so that nothing is measured for the first time."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for n in range(rounds + 1):
        for name, call in calls.items():
            seconds = cpu_s(call)
            if n:
                spent[name].append(seconds)
    return {name: median(seconds) for name, seconds in spent.items()}


def figures(packed: dict[int, int], rounds: int) -> dict[str, float]:
    unet = sd15_unet()
    one = rows(1)

    def theirs() -> object:
        return unet(one[0].sample[None], one[0].timestep, encoder_hidden_states=one[0].prompt.tokens[None])

    plain = cpu_s(theirs)
    executor = Executor(unet, keeps=torch.float16)
    ((_, record),) = executor.record(one)
    lists: dict[int, Sequence[Sparse]] = {
        percent: edits(executor, record, percent / 100, number) for percent, number in packed.items()
    }
    calls: dict[str, Callable[[], object]] = {
        "dense": theirs,
        "ours": lambda: dense(unet, one),
        "recorded": lambda: executor.record(one),
    }
    for percent, given in lists.items():
        calls[f"packed_{percent}"] = partial(executor.sparse, given)
        calls[f"alone_{percent}"] = partial(executor.sparse, given[:1])
    spent = in_turn(calls, rounds)
    found = {
        "dense_step_s": spent["dense"],
        "dense_step_untouched_s": plain,
        "our_dense_step_s": spent["ours"],
        "record_ratio": spent["recorded"] / spent["ours"],
        "record_mib": record.nbytes / 2**20,
    }
    for percent, number in packed.items():
        each = spent[f"packed_{percent}"] / number
        found[f"packed_edits_per_dense_step_{percent}"] = spent["dense"] / each
        found[f"packed_{percent}"] = number
        found[f"edit_step_s_{percent}"] = each
        found[f"alone_{percent}"] = spent["dense"] / spent[f"alone_{percent}"]
        found[f"active_share_{percent}"] = sum(each.shape.share for each in lists[percent]) / number
    return found


def ablated(number: int, rounds: int) -> dict[str, float]:
    """Seconds of a step of an edit of 5 %, by what is switched off."""
    unet = sd15_unet()
    calls: dict[str, Callable[[], object]] = {}
    for off in ("", *ABLATED):
        executor = Executor(unet, keeps=torch.float16, parts=Parts(**{off: False} if off else {}))
        ((_, record),) = executor.record(rows(1))
        given = edits(executor, record, 0.05, number)
        calls[f"without_{off}" if off else "with_all"] = partial(executor.sparse, given)
    return {f"edit_step_s_{name}": seconds / number for name, seconds in in_turn(calls, rounds).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed5", type=int, default=12, help="edits of 5 %% in a list")
    parser.add_argument("--packed1", type=int, default=40, help="edits of 1 %% in a list")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ablate", action="store_true", help="instead: what each part is worth in time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        found = (
            ablated(4, options.rounds)
            if options.ablate
            else figures({5: options.packed5, 1: options.packed1}, options.rounds)
        )
    report(**{name: round(value, 3) for name, value in found.items()}, threads=1)


if __name__ == "__main__":
    main()
