"""Step-level continuous batching: edits join and leave between steps, users share each step's budget equally (E7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from nanobana.protocol.parameters import Lane
from nanobana_engine.scheduler.work import Unit, Work


class Scheduler:
    """Single-threaded: its owner calls it between steps.

    Args:
        budget: cost of one step at the most; a single unit that costs more still runs, by itself.
    """

    def __init__(self, budget: float) -> None:
        if budget <= 0:
            raise ValueError(f"a step needs a budget above 0, not {budget}")
        self.budget = budget
        self._works: dict[str, Work] = {}
        self._turns: dict[Lane, deque[str]] = {"live": deque(), "batch": deque()}
        """Users with an edit in the lane; the first has the next turn."""

    def __len__(self) -> int:
        return len(self._works)

    def __contains__(self, edit: str) -> bool:
        return edit in self._works

    def add(self, edit: str, *, user: str, lane: Lane, alone: bool = False) -> None:
        """An edit joins at the next step; `extend` gives it its units. Which edit supersedes which is the store's."""
        if edit in self._works:
            raise ValueError(f"edit {edit} is in the batch already")
        self._works[edit] = Work(edit, user, lane, alone)
        if user not in self._turns[lane]:
            self._turns[lane].append(user)

    def extend(self, edit: str, units: Iterable[Unit]) -> None:
        """More units of an edit, e.g. of its next stage."""
        self._works[edit].units.extend(units)

    def finished(self, unit: Unit) -> None:
        """A unit made its last step."""
        self._works[unit.edit].units.remove(unit)

    def remove(self, edit: str) -> bool:
        """The edit leaves: done, cancelled or failed. False if it was not there."""
        work = self._works.pop(edit, None)
        if work is None:
            return False
        if not any(other.user == work.user and other.lane == work.lane for other in self._works.values()):
            self._turns[work.lane].remove(work.user)
        return True

    def next_step(self) -> list[Unit]:
        """The units of the next step, interactive ones first; empty if nothing waits.

        The user whose turn it is always gets a unit. With n users waiting in a lane, each gets budget / n; what is
        left, because one needs less or a unit costs more, goes round unit by unit, first to those who got none. Who
        was served stands behind who was not, so with n users and units of cost c nobody with work waits for more
        than ceil(n / floor(budget / c)) - 1 steps (one unit a step where c is above the budget). A batch edit runs
        on what the live lane leaves over.
        """
        taken: list[Unit] = []
        for lane in ("live", "batch"):
            ready = self._ready(lane)
            if not ready:
                continue
            first = ready[0]
            head = next(work for work in self._of(first, lane))
            if head.alone:
                if not taken:
                    taken = self._fill(list(head.units), self.budget)
                    self._were_served(lane, taken)
                break
            shared = self._shared(lane, ready, self.budget - sum(unit.cost for unit in taken), bool(taken))
            self._were_served(lane, shared)
            taken += shared
        return taken

    def check_integrity(self) -> None:
        """Prove that the books agree; called whenever the loop is idle.

        Raises:
            AssertionError: with what disagrees.
        """
        for lane, turns in self._turns.items():
            users = {work.user for work in self._works.values() if work.lane == lane}
            if set(turns) != users or len(turns) != len(users):
                raise AssertionError(f"turns of lane {lane} are {list(turns)}, its users {sorted(users)}")
        for edit, work in self._works.items():
            indices = [unit.index for unit in work.units]
            if work.edit != edit or any(unit.edit != edit for unit in work.units) or len(set(indices)) != len(indices):
                raise AssertionError(f"units of edit {edit} are {list(work.units)}")

    def _ready(self, lane: Lane) -> list[str]:
        return [user for user in self._turns[lane] if any(True for _ in self._of(user, lane))]

    def _of(self, user: str, lane: Lane) -> Iterable[Work]:
        """The user's edits that have something to run, oldest first."""
        return (work for work in self._works.values() if work.user == user and work.lane == lane and work.units)

    def _shared(self, lane: Lane, users: Sequence[str], budget: float, others_first: bool) -> list[Unit]:
        waiting = {
            user: [unit for work in self._of(user, lane) if not work.alone for unit in work.units] for user in users
        }
        waiting = {user: units for user, units in waiting.items() if units}
        if not waiting:
            return []
        share, left = budget / len(waiting), budget
        taken: list[Unit] = []
        for user, units in waiting.items():
            part = self._fill(units, min(share, left), at_least_one=not taken and not others_first)
            waiting[user] = units[len(part) :]
            left -= sum(unit.cost for unit in part)
            taken += part
        served = {self._works[unit.edit].user for unit in taken}
        going_round = deque(sorted(waiting, key=served.__contains__))  # stable: in turn, those without a unit first
        while going_round:
            user = going_round.popleft()
            part = self._fill(waiting[user][:1], left, at_least_one=False)
            if part:
                left -= part[0].cost
                taken += part
                waiting[user] = waiting[user][1:]
                going_round.append(user)
        return taken

    @staticmethod
    def _fill(units: Sequence[Unit], budget: float, *, at_least_one: bool = True) -> list[Unit]:
        """As many of the units, in order, as the budget holds."""
        taken: list[Unit] = []
        for unit in units:
            if unit.cost > budget + 1e-9 and not (at_least_one and not taken):
                break
            budget -= unit.cost
            taken.append(unit)
        return taken

    def _were_served(self, lane: Lane, units: Sequence[Unit]) -> None:
        """Their users go to the end of the lane's turns, in the order in which they last got something."""
        turns = self._turns[lane]
        for user in (self._works[unit.edit].user for unit in units):
            turns.remove(user)
            turns.append(user)
