"""Packs the emoji pictures and their names in all languages into one file: `python -m nanobana_engine.assets.build`."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nanobana_engine.assets.normalise import normalise
from nanobana_engine.assets.pack import (
    ALIAS,
    ENGLISH_NAMED_KEYWORD,
    KEYWORD,
    NAME,
    NAME_ABROAD,
    NAME_WORD,
    NAMED_KEYWORD,
    PACK_PATH,
    SHORT_NAME,
    write_pack,
)

SKIN_TONES = re.compile(r"(^|-)1f3f[b-f](-|$)")
NOTICE = """\
The file nanobana.pack is made from these works, each under its own licence:

- Fluent Emoji (3D), Copyright (c) Microsoft Corporation, MIT License,
  as packaged in @lobehub/fluent-emoji-3d {fluent}, Copyright (c) 2023 LobeHub, MIT License.
- emojibase-data {emojibase}, Copyright (c) 2017-2019 Miles Johnson, MIT License.
- emojilib {emojilib}, Copyright (c) 2014 Mu-An Chiou, MIT License.
- Unicode CLDR annotations (cldr-annotations-full {cldr}), Copyright (c) 2004-2026 Unicode, Inc., Unicode License v3.

The licence texts stand beside this file. Pictures are unchanged; names and keywords were normalised and indexed.
"""
MIT_FLUENT = """\
MIT License

Copyright (c) Microsoft Corporation.
Copyright (c) 2023 LobeHub

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

Terms = dict[str, dict[int, int]]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _emoji_rows(modules: Path) -> list[tuple[str, str, str, str, str]]:
    """(emoji, hexcode, English name, group, subgroup) of every picture kept, in Unicode order, then by hexcode."""
    data = _json(modules / "emojibase-data/en/data.json")
    groups = _json(modules / "emojibase-data/meta/groups.json")
    known = {re.sub("-?fe0f", "", row["hexcode"].lower()): row for row in data}
    rows: list[tuple[int, tuple[str, str, str, str, str]]] = []
    for path in sorted((modules / "@lobehub/fluent-emoji-3d/assets").glob("*.webp")):
        code = path.stem
        row = known.pop(re.sub("-?fe0f", "", code), None)  # some come twice, with and without a variation selector
        if row is None or SKIN_TONES.search(code):
            continue
        group = groups["groups"].get(str(row.get("group")), "other")
        subgroup = groups["subgroups"].get(str(row.get("subgroup")), "other")
        rows.append((row.get("order", 99999), (row["emoji"], code, row["label"], group, subgroup)))
    return [row for _, row in sorted(rows)]


def _add(terms: Terms, text: str, picture: int, weight: int) -> None:
    key = normalise(text)
    if key and len(key) <= 60 and terms[key].get(picture, 0) < weight:
        terms[key][picture] = weight


def _add_name(terms: Terms, name: str, picture: int, weight: int) -> None:
    _add(terms, name, picture, weight)
    words = normalise(name).split()
    if 1 < len(words) <= 4:
        for word in words:
            _add(terms, word, picture, NAME_WORD)


def _add_keyword(terms: Terms, keyword: str, names: str, picture: int, english: bool) -> None:
    """A keyword; it counts for more where the name contains it as a word, or at all in scripts without spaces."""
    key = normalise(keyword)
    named = f" {key} " in f" {names} " or (len(key) > 1 and not key.isascii() and key in names and " " not in names)
    _add(terms, key, picture, (ENGLISH_NAMED_KEYWORD if english else NAMED_KEYWORD) if named else KEYWORD)


def _annotations(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Emoji without variation selectors → (spoken name or "", keywords) of one CLDR language."""
    found: dict[str, tuple[str, list[str]]] = {}
    entries = _json(folder / "annotations.json")["annotations"].get("annotations", {})
    for emoji, entry in entries.items():
        found[emoji.replace("\ufe0f", "")] = ((entry.get("tts") or [""])[0], entry.get("default", []))
    return found


def collect(modules: Path) -> tuple[list[tuple[str, str, str, str, str]], Terms, dict[str, list[str]]]:
    """Rows of pictures, all search terms, and names by language, from installed npm packages."""
    rows = _emoji_rows(modules)
    terms: Terms = defaultdict(dict)
    number = {row[0].replace("\ufe0f", ""): i for i, row in enumerate(rows)}
    for picture, (_, _, name, _, _) in enumerate(rows):
        _add_name(terms, name, picture, NAME)
    names = _collect_cldr(modules, terms, number)
    _collect_emojibase(modules, terms, number)
    for emoji, words in _json(modules / "emojilib/dist/emoji-en-US.json").items():
        picture = number.get(emoji.replace("\ufe0f", ""), -1)
        for rank, word in enumerate(words if picture >= 0 else ()):
            _add(terms, word.replace("_", " "), picture, ALIAS if rank == 0 else KEYWORD)
    by_code = {re.sub("-?fe0f", "", row[1]): i for i, row in enumerate(rows)}
    for system, weight in (("iamcal", SHORT_NAME), ("github", SHORT_NAME), ("joypixels", ALIAS), ("emojibase", ALIAS)):
        for code, short in _json(modules / f"emojibase-data/en/shortcodes/{system}.json").items():
            picture = by_code.get(re.sub("-?fe0f", "", code.lower()), -1)
            for word in ([short] if isinstance(short, str) else short) if picture >= 0 else ():
                _add(terms, word.replace("_", " "), picture, weight)
    return rows, terms, names


def _collect_cldr(modules: Path, terms: Terms, number: Mapping[str, int]) -> dict[str, list[str]]:
    """Adds CLDR's names and keywords of every language; the names by language and picture."""
    names: dict[str, list[str]] = {}
    for folder in sorted((modules / "cldr-annotations-full/annotations").iterdir()):
        found = {number[e]: v for e, v in _annotations(folder).items() if e in number}
        if len(found) < 100 or folder.name == "und":
            continue
        for picture, (name, keywords) in found.items():
            if name:
                _add_name(terms, name, picture, NAME if folder.name == "en" else NAME_ABROAD)
            for keyword in keywords:
                _add_keyword(terms, keyword, normalise(name), picture, folder.name == "en")
        names[folder.name] = [found.get(i, ("", []))[0] for i in range(len(number))]
    return names


def _collect_emojibase(modules: Path, terms: Terms, number: Mapping[str, int]) -> None:
    for folder in sorted(p for p in (modules / "emojibase-data").iterdir() if (p / "data.json").is_file()):
        for row in _json(folder / "data.json"):
            picture = number.get(row["emoji"].replace("\ufe0f", ""), -1)
            if picture >= 0:
                _add_name(terms, row["label"], picture, NAME if folder.name == "en" else NAME_ABROAD)
                for tag in row.get("tags", []):
                    _add_keyword(terms, tag, normalise(row["label"]), picture, folder.name == "en")


def _sections(
    modules: Path, rows: list[tuple[str, str, str, str, str]], terms: Terms, names: dict[str, list[str]]
) -> dict[str, bytes]:
    images = [(modules / f"@lobehub/fluent-emoji-3d/assets/{row[1]}.webp").read_bytes() for row in rows]
    keys = sorted(key.encode() for key in terms)
    postings: list[int] = []
    posting_ends: list[int] = []
    for key in keys:
        ranked = sorted(terms[key.decode()].items(), key=lambda item: (-item[1], item[0]))[:40]
        postings += [weight << 16 | picture for picture, weight in ranked]
        posting_ends.append(len(postings))
    sections = {
        "pictures": json.dumps(rows, ensure_ascii=False).encode(),
        "image_ends": np.cumsum([len(i) for i in images]).astype("<u4").tobytes(),
        "terms": b"".join(keys),
        "term_ends": np.cumsum([len(k) for k in keys]).astype("<u4").tobytes(),
        "posting_ends": np.asarray(posting_ends).astype("<u4").tobytes(),
        "postings": np.asarray(postings).astype("<u4").tobytes(),
        "images": b"".join(images),
    }
    for language in sorted(names):
        sections[f"names/{language}"] = json.dumps(names[language], ensure_ascii=False).encode()
    return sections


def _fingerprint(source: Path) -> str:
    """What the pack depends on: the lock file and this packer."""
    digest = hashlib.sha256()
    for path in (source / "package-lock.json", Path(__file__), Path(__file__).with_name("normalise.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build(source: Path, target: Path = PACK_PATH, force: bool = False) -> bool:
    """Makes `target` from the npm packages locked in `source`; False if it was up to date. Installs them if absent."""
    stamp = target.with_name("STAMP")
    fingerprint = _fingerprint(source)
    if not force and target.is_file() and stamp.is_file() and stamp.read_text() == fingerprint:
        return False
    modules = source / "node_modules"
    if not (modules / "@lobehub/fluent-emoji-3d").is_dir():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=source, check=True)
    rows, terms, names = collect(modules)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_pack(target, {"languages": sorted(names)}, _sections(modules, rows, terms, names))
    packages = _json(source / "package-lock.json")["packages"]
    version = {k: packages[f"node_modules/{p}"]["version"] for k, p in _PACKAGES.items()}
    target.with_name("NOTICE").write_text(NOTICE.format(**version), encoding="utf-8")
    target.with_name("LICENSE.fluent-emoji").write_text(MIT_FLUENT, encoding="utf-8")
    for key, package in _PACKAGES.items():
        if (licence := modules / package / "LICENSE").is_file():
            target.with_name(f"LICENSE.{key}").write_bytes(licence.read_bytes())
    stamp.write_text(fingerprint)
    return True


_PACKAGES = {
    "fluent": "@lobehub/fluent-emoji-3d",
    "emojibase": "emojibase-data",
    "emojilib": "emojilib",
    "cldr": "cldr-annotations-full",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", type=Path, default=Path(__file__).parents[2] / "assets", help="folder of package.json"
    )
    parser.add_argument("--target", type=Path, default=PACK_PATH)
    parser.add_argument("--force", action="store_true", help="pack again even if nothing changed")
    args = parser.parse_args()
    built = build(args.source, args.target, args.force)
    print(f"{args.target}: {'packed' if built else 'up to date'}, {args.target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
