"""The Lua scripts of the store, read once from this package and known by their digests."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

NAMES = (
    "admit",
    "adopt_blob",
    "archive_log",
    "bind_client",
    "claim",
    "commit",
    "condemn_blobs",
    "count_anew",
    "create",
    "dump",
    "engine_beat",
    "engines",
    "fall_asleep",
    "fingerprint",
    "gather_undo",
    "heartbeat",
    "look",
    "manifest",
    "mark_sent",
    "presence",
    "put_blobs",
    "put_mip",
    "put_ticket",
    "raise_epoch",
    "refuse",
    "release_blobs",
    "restore",
    "revoke_link",
    "set_aside",
    "set_verdict",
    "settle",
    "spend",
    "storage",
    "sweep_blobs",
    "tail",
    "take",
    "take_back",
    "undo_top",
)
"""Every script; each touches the keys of one slot only (C7)."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the digest that EVALSHA knows it by."""

    name: str
    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """The script ``lua/{name}.lua``; its header says KEYS, ARGV and what it returns.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    text = (resources.files("nanobana.keyspace") / "lua" / f"{name}.lua").read_text("utf-8")
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
