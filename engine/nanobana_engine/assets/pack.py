"""The asset pack: one memory-mapped file of pictures and multilingual names, decoded only where it is read."""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

MAGIC = b"NBPACK2\n"
PACK_PATH = Path(__file__).parent / "data" / "nanobana.pack"
NAME, NAME_ABROAD, SHORT_NAME, ALIAS, NAMED_KEYWORD, KEYWORD, NAME_WORD = 255, 250, 230, 200, 160, 100, 60
"""Weights of a posting: a picture's English name, its name in another language, its short code, a name written
otherwise, a keyword that its name also holds, a keyword, one word of its name."""
ENGLISH_NAMED_KEYWORD = NAMED_KEYWORD + 1


class PackMissing(FileNotFoundError):
    """The asset pack has not been built on this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def __str__(self) -> str:
        return f"There is no asset pack at {self.path}. Build it with: python -m nanobana_engine.assets.build"


@dataclass(frozen=True, slots=True)
class Posting:
    """One picture that a term stands for; `weight` says how, from NAME down to NAME_WORD."""

    picture: int
    weight: int


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the pack says of one picture: its emoji, English name, Unicode group and subgroup."""

    picture: int
    emoji: str
    hexcode: str
    name: str
    group: str
    subgroup: str


def write_pack(path: Path, header: Mapping[str, Any], sections: Mapping[str, bytes]) -> None:
    """Writes `sections` behind a JSON header: the same input, the same bytes, and no reader ever sees half a file."""
    table: dict[str, tuple[int, int]] = {}
    offset = 0
    for name, data in sections.items():
        table[name] = (offset, len(data))
        offset += -(-len(data) // 64) * 64
    head = json.dumps({**header, "sections": table}, ensure_ascii=False, sort_keys=True).encode()
    start = -(-(len(MAGIC) + 8 + len(head)) // 64) * 64
    partial = path.with_suffix(".partial")
    with partial.open("wb") as out:
        out.write(MAGIC + len(head).to_bytes(8, "little") + head)
        for name, data in sections.items():
            out.seek(start + table[name][0])
            out.write(data)
        out.truncate(start + offset)
    partial.replace(path)


class AssetPack:
    """A read-only view of the pack file; opening it reads the header only."""

    def __init__(self, path: Path = PACK_PATH) -> None:
        if not path.is_file():
            raise PackMissing(path)
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._map[: len(MAGIC)] != MAGIC:
            raise PackMissing(path)
        size = int.from_bytes(self._map[len(MAGIC) : len(MAGIC) + 8], "little")
        body = len(MAGIC) + 8
        self.header: dict[str, Any] = json.loads(self._map[body : body + size])
        self._start = -(-(body + size) // 64) * 64

    def __len__(self) -> int:
        return len(self.pictures)

    def _section(self, name: str) -> memoryview:
        offset, size = self.header["sections"][name]
        return memoryview(self._map)[self._start + offset : self._start + offset + size]

    def _array(self, name: str, dtype: str) -> npt.NDArray[Any]:
        return np.frombuffer(self._section(name), dtype=dtype)

    @property
    def languages(self) -> tuple[str, ...]:
        """CLDR codes of every language with names in the pack, sorted."""
        return tuple(self.header["languages"])

    @cached_property
    def pictures(self) -> tuple[PictureInfo, ...]:
        """Every picture, by number."""
        rows = json.loads(bytes(self._section("pictures")))
        return tuple(PictureInfo(i, *row) for i, row in enumerate(rows))

    @cached_property
    def by_emoji(self) -> Mapping[str, int]:
        """Picture number by emoji, with and without variation selectors."""
        table = {info.emoji.replace("\ufe0f", ""): info.picture for info in self.pictures}
        return table | {info.emoji: info.picture for info in self.pictures}

    def names(self, language: str) -> tuple[str, ...]:
        """The pictures' names in one language, by picture number; "" where it has none."""
        if language not in self.header["languages"]:
            raise KeyError(language)
        return tuple(json.loads(bytes(self._section(f"names/{language}"))))

    @cached_property
    def _image_ends(self) -> npt.NDArray[Any]:
        return self._array("image_ends", "<u4")

    def image_bytes(self, picture: int) -> bytes:
        """The stored WebP file of one picture."""
        begin = int(self._image_ends[picture - 1]) if picture else 0
        return bytes(self._section("images")[begin : int(self._image_ends[picture])])

    @lru_cache(maxsize=64)  # noqa: B019 - one pack lives as long as the process
    def image(self, picture: int) -> npt.NDArray[np.uint8]:
        """One picture as (256, 256, 4) uint8 RGBA, straight alpha. Shared: do not write to it."""
        with Image.open(io.BytesIO(self.image_bytes(picture)), formats=("WEBP",)) as webp:
            return np.asarray(webp.convert("RGBA"))

    @cached_property
    def _terms(self) -> tuple[memoryview, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        return (
            self._section("terms"),
            self._array("term_ends", "<u4"),
            self._array("posting_ends", "<u4"),
            self._array("postings", "<u4"),
        )

    def _term(self, index: int) -> bytes:
        blob, ends, _, _ = self._terms
        return bytes(blob[int(ends[index - 1]) if index else 0 : int(ends[index])])

    def _lower_bound(self, key: bytes) -> int:
        low, high = 0, len(self._terms[1])
        while low < high:
            middle = (low + high) // 2
            if self._term(middle) < key:
                low = middle + 1
            else:
                high = middle
        return low

    def _postings(self, index: int) -> tuple[Posting, ...]:
        _, _, ends, postings = self._terms
        begin = int(ends[index - 1]) if index else 0
        return tuple(Posting(int(p) & 0xFFFF, int(p) >> 16) for p in postings[begin : int(ends[index])])

    def lookup(self, term: str) -> tuple[Posting, ...]:
        """What a normalised word or phrase stands for in any language, best first; empty if nothing."""
        key = term.encode()
        index = self._lower_bound(key)
        if index < len(self._terms[1]) and self._term(index) == key:
            return self._postings(index)
        return ()

    def starting_with(self, prefix: str, limit: int = 2000) -> tuple[str, ...]:
        """Normalised terms of any language that start with `prefix`, in byte order, at most `limit`."""
        key = prefix.encode()
        found: list[str] = []
        for index in range(self._lower_bound(key), len(self._terms[1])):
            term = self._term(index)
            if not term.startswith(key) or len(found) >= limit:
                break
            found.append(term.decode())
        return tuple(found)
