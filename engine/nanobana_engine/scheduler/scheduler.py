"""Step-level continuous batching: edits join and leave between steps, users share each step's budget equally (E7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from nanobana.protocol.parameters import Lane
from nanobana_engine.scheduler.pace import Pace
from nanobana_engine.scheduler.work import Unit, Work

SLACK = 1.1
"""A step may overrun its budget by a tenth: pictures a little above the native size must not cost a whole place."""

STRETCH = 2.0
"""How many times longer one user's surplus may make a step than it would be for who has least in it."""


class Scheduler:
    """Single-threaded: its owner calls it between steps.

    Args:
        budget: cost of one step at the most; a single unit that costs more still runs, by itself.
        pace: what company costs on this device; its owner notes the steps in it.
    """

    def __init__(self, budget: float, pace: Pace | None = None) -> None:
        if budget <= 0:
            raise ValueError(f"a step needs a budget above 0, not {budget}")
        self.budget = budget
        self.pace = pace or Pace()
        self._works: dict[str, Work] = {}
        self._turns: dict[Lane, deque[str]] = {"live": deque(), "batch": deque()}
        """Users with an edit in the lane; the first has the next turn."""

    def __len__(self) -> int:
        return len(self._works)

    def __contains__(self, edit: str) -> bool:
        return edit in self._works

    def add(self, edit: str, *, user: str, lane: Lane, alone: bool = False) -> None:
        """An edit joins and waits for its turn to begin. Which edit supersedes which is the store's."""
        if edit in self._works:
            raise ValueError(f"edit {edit} is in the batch already")
        self._works[edit] = Work(edit, user, lane, alone)
        if user not in self._turns[lane]:
            self._turns[lane].append(user)

    def extend(self, edit: str, units: Iterable[Unit]) -> None:
        """The units of an edit that begins, or of its next stage."""
        work = self._works[edit]
        work.has_begun = True
        work.units.extend(units)

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

    def next_to_begin(self) -> str | None:
        """The one edit that should be encoded before the next step; None if there is enough to run.

        One at a time, because everybody waits for it: whose user has nothing to run comes first, then who is next in
        turn, and nobody has more begun than one step could take. Batch edits begin where the live lane leaves room.
        """
        room = self.budget
        for lane in ("live", "batch"):
            found: dict[bool, str] = {}
            for user in self._turns[lane]:
                works = [work for work in self._works.values() if work.user == user and work.lane == lane]
                ready = sum(unit.cost for work in works for unit in work.units)
                waiting = next((work.edit for work in works if not work.has_begun), None)
                if waiting is not None and ready < room:
                    found.setdefault(ready > 0.0, waiting)
            if found:
                return found[min(found)]
            room -= sum(unit.cost for work in self._works.values() if work.lane == lane for unit in work.units)
            if room <= 0.0:
                return None
        return None

    def next_step(self) -> list[Unit]:
        """The units of the next step, interactive ones first; empty if nothing waits.

        The user whose turn it is always gets a unit. With n users waiting in a lane, each gets budget / n; what is
        left, because one needs less or a unit costs more, goes round unit by unit, first to those who got none. Who
        was served stands behind who was not, so with n users and units of cost c nobody with work waits for more
        than ceil(n / floor(budget / c)) - 1 steps (one unit a step where c is above the budget). A batch edit runs
        on what the live lane leaves over. Nobody's surplus makes the step more than STRETCH times as long as it would
        be for who has least in it.
        """
        live = self._of_lane("live", [])
        batch = self._of_lane("batch", live)
        live, batch = self._paced(live, batch)
        self._were_served("live", live)
        self._were_served("batch", batch)
        return live + batch

    def _of_lane(self, lane: Lane, before: Sequence[Unit]) -> list[Unit]:
        """One lane's units, next to those that another lane has in the step."""
        ready = self._ready(lane)
        if not ready or any(self._works[unit.edit].alone for unit in before):
            return []
        head = next(work for work in self._of(ready[0], lane))
        if head.alone:
            return [] if before else self._fill(list(head.units), self.budget * SLACK)
        return self._shared(lane, ready, self.budget * SLACK - sum(unit.cost for unit in before), bool(before))

    def _paced(self, live: list[Unit], batch: list[Unit]) -> tuple[list[Unit], list[Unit]]:
        """Without the batch units and second units that make the step too long for who has least in it."""
        own: dict[str, float] = {}
        for unit in live or batch:
            user = self._works[unit.edit].user
            own[user] = own.get(user, 0.0) + unit.cost
        if not own:
            return live, batch
        least = min(own.values())
        total = sum(unit.cost for unit in live + batch)
        while self.pace.stretch(least, total) > STRETCH + 1e-9:
            if live and batch:
                total -= batch.pop().cost
                continue
            most = max(own, key=own.__getitem__)
            units = live or batch
            last = next(unit for unit in reversed(units) if self._works[unit.edit].user == most)
            if own[most] - last.cost < least - 1e-9:
                break
            units.remove(last)
            own[most] -= last.cost
            total -= last.cost
        return live, batch

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
            is_mixed = work.edit != edit or any(unit.edit != edit for unit in work.units)
            if is_mixed or len(set(indices)) != len(indices) or (work.units and not work.has_begun):
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
