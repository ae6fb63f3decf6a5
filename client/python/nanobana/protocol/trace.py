"""One trace ID per edit, known to everybody who knows its op: nothing has to carry it along."""

import hashlib

from nanobana.protocol.canvas import OpId


def name_of(op: OpId) -> str:
    """An op in one word, ``{client}-{n}``; the ID of the job that an edit becomes."""
    return f"{op.client}-{op.n}"


def trace_of(name: str) -> str:
    """The trace of an op or job by that word: 32 hex digits, as W3C trace IDs have."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def root_of(trace: str) -> str:
    """ID of the span that all others of a trace lie in, 16 hex digits: the author's wait for the acknowledgement."""
    return trace[:16]
