"""Nearest names by character n-grams: for typos, and for the suggestions when a word is unknown."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from nanobana_engine.assets.normalise import normalise, trigrams
from nanobana_engine.assets.pack import AssetPack

_PAIRS = (
    "qw we er rt ty yu ui io op as sd df fg gh hj jk kl zx xc cv vb bn nm "  # beside each other on the keys
    "qa wa ws es ed rd rf tf tg yg yh uh uj ij ik ok ol pl az sz sx dx dc fc fv gv gb hb hn jn jm km "  # above
    "ae ai ao au ei eo eu iu ou iy ck cs gj vw dt bp"  # alike to the ear
)
SLIPS = frozenset(_PAIRS.split())
"""Letters that are taken for each other, in either order."""


def edits(a: str, b: str, limit: int = 3) -> int:
    """Letters to insert, drop, change or swap with a neighbour to get from a to b; `limit` if it is that or more."""
    if abs(len(a) - len(b)) >= limit:
        return limit
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], before[j - 2] + 1)
        before = above
        if min(row) >= limit:
            return limit
    return row[-1]


class NearestNames:
    """English names by n-gram, other languages by their first letters; built at the first question."""

    def __init__(self, pack: AssetPack) -> None:
        self._pack = pack

    @cached_property
    def _grams(self) -> dict[str, set[str]]:
        """3-gram → English names and their words."""
        table: dict[str, set[str]] = defaultdict(set)
        for info in self._pack.pictures:
            if info.group == "flags":
                continue
            name = normalise(info.name)
            for word in {name, *(w for w in name.split() if len(w) > 3)}:
                for gram in trigrams(word):
                    table[gram].add(word)
        return table

    @cached_property
    def _english(self) -> set[str]:
        return set().union(*self._grams.values())

    def _ranked(self, word: str) -> list[tuple[float, str]]:
        mine = trigrams(word)
        shared: dict[str, int] = defaultdict(int)
        for gram in mine:
            for name in self._grams.get(gram, ()):
                shared[name] += 1
        scored = [(2 * n / (len(mine) + len(trigrams(name))), name) for name, n in shared.items()]
        return sorted(scored, key=lambda pair: (-pair[0], len(pair[1]), pair[1]))

    def correction(self, word: str) -> str | None:
        """The one name that a misspelt word must mean: a letter off from four letters on, two from eight on.

        The first letter is right, or swapped with the second: people hardly ever miss it (Pollock and Zamora 1984), and
        another one is mostly another word; so is one letter for another that is no neighbour on the keys and sounds
        unlike it.
        """
        if len(word) < 4 or word.isdigit():
            return None
        allowed = 1 if len(word) < 8 else 2
        english = [(edits(word, name), name) for score, name in self._ranked(word)[:60] if score > 0.3]
        english += [(1, name) for name in _slips(word) & self._english]
        abroad = ((edits(word, name), name) for name in self._abroad(word, allowed)) if len(word) > 5 else ()
        for close in (english, abroad):
            good = [(n, -self._strength(name), name) for n, name in close if n <= allowed]
            good = [entry for entry in good if entry[1] <= -0.6 and _could_be(word, entry[2])]
            if good:
                return min(good)[2]
        return None

    def _abroad(self, word: str, allowed: int) -> list[str]:
        terms = self._pack.starting_with(word[:2], 4000)
        return [name for name in terms if abs(len(name) - len(word)) <= allowed]

    def _strength(self, term: str) -> float:
        found = self._pack.lookup(term)
        return found[0].weight / 255 if found else 0.0

    def suggestions(self, word: str, count: int = 3) -> tuple[str, ...]:
        """The names nearest to a word, best first; never empty while there are names at all."""
        near = [name for _, name in self._ranked(word) if self._strength(name) >= 0.6]
        near += [n for n in ("cat", "balloon", "tree") if n not in near]
        return tuple(near[:count])


def _could_be(word: str, name: str) -> bool:
    """Whether a slip of the hand or the ear makes the word of the name."""
    if word[0] != name[0] and word[:2] != name[1::-1]:
        return False
    others = [x + y for x, y in zip(word, name, strict=False) if x != y]
    return len(word) != len(name) or len(others) != 1 or others[0] in SLIPS or others[0][::-1] in SLIPS


def _slips(word: str) -> set[str]:
    """Words from which two swapped neighbours or a letter too many make this one; few 3-grams of it would be left."""
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    return swapped | {word[:i] + word[i + 1 :] for i in range(1, len(word))}
