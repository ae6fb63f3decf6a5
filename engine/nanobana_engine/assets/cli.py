"""What the shipped model knows, printed: the command `nanobana assets`."""

from __future__ import annotations

import sys
from collections import Counter

from nanobana_engine.assets.meaning import UnknownPrompt
from nanobana_engine.assets.normalise import normalise
from nanobana_engine.assets.pack import AssetPack, PackMissing
from nanobana_engine.assets.retrieve import Retriever


def overview(pack: AssetPack) -> str:
    """How many pictures of which groups, and the languages."""
    groups = Counter(info.group for info in pack.pictures)
    lines = [f"{len(pack)} pictures, named in {len(pack.languages)} languages."]
    lines += [f"  {count:5} {group}" for group, count in groups.most_common()]
    return "\n".join([*lines, "Languages: " + " ".join(pack.languages)])


def listing(pack: AssetPack, language: str, query: str | None) -> str:
    """Every picture's name in one language, or those whose name contains the query."""
    wanted = normalise(query or "")
    rows = zip(pack.pictures, pack.names(language), strict=True)
    found = [f"{info.emoji}  {name}" for info, name in rows if name and wanted in normalise(name)]
    return "\n".join(found) or f"Nothing in {language} is called “{query}”."


def explanation(pack: AssetPack, query: str) -> str:
    """What the model would draw for a prompt, or why not."""
    try:
        understood = Retriever(pack).understand(query)
    except UnknownPrompt as unknown:
        return str(unknown)
    lines = []
    for thing in understood.things:
        adjectives = " ".join(word for word in (thing.size, thing.colour) if word)
        others = "".join(pack.pictures[p].emoji for p in thing.alternatives)
        line = f"{pack.pictures[thing.picture].emoji}  {thing.count} × {adjectives} {thing.name}".replace("  ", " ")
        lines.append(line + (f"   or {others}" if others else ""))
    if understood.ground:
        lines.append(f"on: {' '.join(w for w in (understood.ground_colour, understood.ground) if w)}")
    if understood.light:
        lines.append(f"light: {understood.light}")
    return "\n".join(lines) or "The surroundings, continued."


def run(query: str | None = None, language: str | None = None) -> int:
    """Prints an overview, the names in one language, or what a prompt means; the exit status."""
    try:
        pack = AssetPack()
    except PackMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    if language is not None and language not in pack.languages:
        sys.stderr.write(f"No names in “{language}”. Languages: {' '.join(pack.languages)}\n")
        return 2
    if language is not None:
        text = listing(pack, language, query)
    else:
        text = explanation(pack, query) if query is not None else overview(pack)
    sys.stdout.write(text + "\n")
    return 0
