"""The book of memory: the budget holds, what is in use stays, the least recently used goes first (E9, E10)."""

import threading
from collections import OrderedDict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nanobana.protocol.errors import BadInput
from nanobana_engine.memory import Cache, Ledger, Memory
from nanobana_engine.memory.ledger import Key, Worth
from nanobana_engine.memory.machine import in_words, machine_bytes, parse_bytes

BUDGET = 100
NAMES = st.integers(0, 7)
SIZES = st.integers(0, 60)


class LedgerMachine(RuleBasedStateMachine):
    """A ledger beside the plainest model of it: one list of entries, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(BUDGET)
        self.cache: Cache[int, str] = Cache(self.ledger, "cache", 50)
        self.cached: OrderedDict[int, int] = OrderedDict()
        self.models: OrderedDict[int, int] = OrderedDict()
        self.pins: dict[int, int] = {}
        self.work: dict[int, int] = {}

    def total(self) -> int:
        return sum(self.cached.values()) + sum(self.models.values()) + sum(self.work.values())

    def makes_room(self, nbytes: int, *, models: bool) -> bool:
        """What the ledger should have dropped before it took `nbytes`; False, and nothing, if that is not enough."""
        loose = [name for name in self.models if not self.pins.get(name)] if models else []
        if self.total() - sum(self.cached.values()) - sum(self.models[name] for name in loose) + nbytes > BUDGET:
            return False
        while self.total() + nbytes > BUDGET:
            if self.cached:
                self.cached.popitem(last=False)
            else:
                del self.models[loose.pop(0)]
        return True

    @rule(name=NAMES, nbytes=SIZES)
    def put(self, name: int, nbytes: int) -> None:
        self.cache.put(name, str(name), nbytes)
        if name in self.cached or nbytes > 50:
            return
        while sum(self.cached.values()) + nbytes > 50:
            self.cached.popitem(last=False)
        if self.makes_room(nbytes, models=False):
            self.cached[name] = nbytes

    @rule(name=NAMES)
    def get(self, name: int) -> None:
        assert self.cache.get(name) == (str(name) if name in self.cached else None)
        if name in self.cached:
            self.cached.move_to_end(name)

    @rule(name=NAMES, nbytes=SIZES)
    def load(self, name: int, nbytes: int) -> None:
        key: Key = ("model", name)
        if name in self.models:
            with pytest.raises(ValueError, match="already"):
                self.ledger.book(key, nbytes, Worth.MODEL, lambda: None)
            return
        fits = self.makes_room(nbytes, models=True)
        assert self.ledger.book(key, nbytes, Worth.MODEL, lambda: None) == fits
        if fits:
            self.models[name] = nbytes

    @rule(name=NAMES)
    def pin(self, name: int) -> None:
        if name in self.models:
            self.ledger.pin(("model", name))
            self.pins[name] = self.pins.get(name, 0) + 1
            self.models.move_to_end(name)

    @rule(name=NAMES)
    def unpin(self, name: int) -> None:
        if name not in self.models:
            return
        if not self.pins.get(name):
            with pytest.raises(ValueError, match="not in use"):
                self.ledger.unpin(("model", name))
            return
        self.ledger.unpin(("model", name))
        self.pins[name] -= 1
        self.models.move_to_end(name)

    @rule(name=NAMES, nbytes=SIZES)
    def begin(self, name: int, nbytes: int) -> None:
        if name in self.work:
            return
        fits = self.makes_room(nbytes, models=True)
        assert self.ledger.could_take(nbytes) == fits
        assert self.ledger.book(("work", name), nbytes, Worth.WORK) == fits
        if fits:
            self.work[name] = nbytes

    @rule(name=NAMES)
    def end(self, name: int) -> None:
        assert self.ledger.give_back(("work", name)) == (self.work.pop(name, None) is not None)

    @rule(name=NAMES)
    def drop(self, name: int) -> None:
        loose = name in self.models and not self.pins.get(name)
        assert self.ledger.drop(("model", name)) == loose
        if loose:
            del self.models[name]

    @rule()
    def drop_caches(self) -> None:
        assert self.ledger.drop_caches() == sum(self.cached.values())
        self.cached.clear()

    @invariant()
    def the_books_agree(self) -> None:
        self.ledger.check_integrity()
        self.cache.check_integrity()

    @invariant()
    def it_holds_what_it_should(self) -> None:
        assert self.ledger.used_bytes == self.total() <= BUDGET
        assert {name for name in range(8) if ("model", name) in self.ledger} == set(self.models)
        assert {name for name in range(8) if ("cache", name) in self.ledger} == set(self.cached)
        assert self.ledger.used_by("work") == sum(self.work.values())


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestE10TheLedgerDoesWhatThePlainestModelDoes = LedgerMachine.TestCase


def test_e10_bytes_known_too_late_are_booked_all_the_same_and_others_go_for_them() -> None:
    ledger = Ledger(100)
    cache: Cache[str, str] = Cache(ledger, "cache", 100)
    ledger.book(("model", "a"), 10, Worth.MODEL, lambda: None)
    cache.put("x", "x", 50)
    ledger.correct(("model", "a"), 120)
    assert (ledger.used_bytes, len(cache)) == (120, 0)
    assert not ledger.could_take(1, Worth.CACHE)
    ledger.check_integrity()


def test_e10_a_cache_never_pushes_a_model_out() -> None:
    ledger = Ledger(100)
    cache: Cache[str, str] = Cache(ledger, "cache", 100)
    ledger.book(("model", "idle"), 80, Worth.MODEL, lambda: None)
    cache.put("x", "x", 30)
    assert ("model", "idle") in ledger
    assert cache.get("x") is None


def test_e9_a_cache_of_nothing_remembers_nothing_and_makes_it_every_time() -> None:
    cache: Cache[str, list[int]] = Memory(cache_bytes=0).cache("none", 0.5)
    assert cache.look("x", lambda: [1], lambda _: 8) == [1]
    assert (len(cache), cache.hits, cache.misses) == (0, 0, 1)


def test_e9_what_is_remembered_is_made_once() -> None:
    cache: Cache[str, list[int]] = Memory(budget_bytes=1000, cache_bytes=1000).cache("some", 0.5)
    first = cache.look("x", lambda: [1], lambda _: 8)
    assert cache.look("x", lambda: [2], lambda _: 8) is first
    assert (cache.hits, cache.misses) == (1, 1)


def test_e10_many_threads_leave_books_that_agree() -> None:
    ledger = Ledger(300)
    caches: list[Cache[int, int]] = [Cache(ledger, f"cache {n}", 200) for n in range(3)]

    def busy(seed: int) -> None:
        for n in range(400):
            cache = caches[(seed + n) % 3]
            cache.look((seed * n) % 17, lambda: seed, lambda _: 7 + seed)
            if n % 5 == 0 and ledger.book(("work", seed), 90, Worth.WORK):
                ledger.give_back(("work", seed))

    threads = [threading.Thread(target=busy, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.check_integrity()
    for cache in caches:
        cache.check_integrity()
    assert 0 < ledger.used_bytes <= 300


def test_e10_a_device_of_its_own_has_a_book_of_its_own() -> None:
    apart, one = Memory(device_bytes=1000, cache_bytes=100), Memory(budget_bytes=1000, cache_bytes=100)
    assert apart.device is not apart.host
    assert apart.device.budget_bytes == 900
    assert one.device is one.host
    assert one.device.budget_bytes == 1000


@pytest.mark.parametrize(
    ("words", "nbytes"),
    [("0", 0), ("4096", 4096), ("6g", 6 << 30), ("1.5 GiB", 3 << 29), ("512MB", 512 << 20), ("2k", 2048)],
)
def test_sizes_are_read_in_the_words_people_use(words: str, nbytes: int) -> None:
    assert parse_bytes(words, "NANOBANA_MEMORY_BUDGET") == nbytes


@pytest.mark.parametrize("words", ["", "much", "-1", "6 gigs", "1e9", "NaN"])
def test_a_size_that_is_none_is_refused_with_the_setting_s_name(words: str) -> None:
    with pytest.raises(BadInput, match="NANOBANA_MEMORY_BUDGET"):
        parse_bytes(words, "NANOBANA_MEMORY_BUDGET")


def test_the_machine_has_memory() -> None:
    assert machine_bytes() > 1 << 28
    assert in_words(3 << 29) == "1.5 GiB"
    assert in_words(5 << 20) == "5.0 MiB"
