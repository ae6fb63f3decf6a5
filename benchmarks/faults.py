"""What is lost when parts are killed: editors on two servers, two engines and one store, each of them shot at random.

    python benchmarks/faults.py [--people 8] [--steps 900] [--kills 21]

`ops`: acknowledged ops; `kills`: SIGKILLs while they were made; `acked_lost`: acknowledged ops that are not in the log
at the seq that was told; `diverged`: editors whose canvas is not the store's, and 1 more if the log replayed from
nothing does not lead there; `recovery_s`: by kind of kill, from the kill to the first small change (for an engine: the
first fill) that somebody began after it and got done, with the killed part started again at once.
"""

import argparse
import asyncio
import itertools
import math
from collections.abc import Sequence

from harness import report

from support.fleet import running_fleet
from support.ordeal import Outcome, ordeal

KINDS = ("server", "engine", "store")


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


async def run(people: int, steps: int, kills: int) -> Outcome:
    order = list(itertools.islice(itertools.cycle(KINDS), kills))
    return await ordeal(fleet, seed=7, people=people, steps=steps, kills=order, every_s=0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--steps", type=int, default=900, help="ops that each of them tries")
    parser.add_argument("--kills", type=int, default=21)
    told = parser.parse_args()
    with running_fleet() as fleet:
        found = asyncio.run(run(told.people, told.steps, told.kills))
    report(
        ops=found.ops,
        kills=found.kills,
        acked_lost=found.acked_lost,
        diverged=found.diverged,
        recovery_s={
            kind: {"p50": round(quantile(felt, 0.5), 3), "p99": round(quantile(felt, 0.99), 3), "n": len(felt)}
            for kind, felt in found.felt_s.items()
        },
    )
