"""A colour for each member that the others can tell apart, colour-blind people included."""

import zlib
from collections.abc import Iterable

from nanobana.protocol.messages import Member

COLOURS = (
    "#0077bb", "#ee7733", "#009988", "#cc3311", "#33bbee", "#ee3377", "#997700", "#6644aa",
    "#44aa55", "#aa4499", "#225588", "#bb5566",
)  # fmt: skip
"""After Paul Tol's qualitative schemes, which keep apart under the common colour-vision deficiencies."""


def colour_of(user: str, members: Iterable[Member]) -> str:
    """The user's own colour, where nobody else in the room has it; else one that is free, if any is."""
    taken = {member.color for member in members if member.user != user}
    for member in members:
        if member.user == user:
            return member.color
    first = zlib.crc32(user.encode()) % len(COLOURS)
    order = [COLOURS[(first + step) % len(COLOURS)] for step in range(len(COLOURS))]
    return next((colour for colour in order if colour not in taken), order[0])
