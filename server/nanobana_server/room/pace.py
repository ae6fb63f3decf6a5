"""How often a room speaks and how much it says at once: the numbers behind R4 and R6."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times in seconds."""

    tick: float = 0.016
    """Between two frames of a lively room; the first one after a quiet spell goes out at once."""
    big_tick: float = 0.033
    """The same for rooms above `big_members`, and where showing a turn takes a quarter of a tick.

    A member whose socket lags is no reason: the others must not notice.
    """
    big_members: int = 24
    longest_tick: float = 0.1
    """A turn that takes long to show (a thousand members) stretches the tick to three times that, up to this."""
    volatile: float = 0.033
    """Cursors, strokes and masks go out at most this often (R6)."""
    poll: float = 1.0
    """The log is read this often even if no bell rang (R9)."""
    beat: float = 5.0
    """Presence is renewed and compared with the store's this often."""
    sample: float = 30.0
    """What everybody's copy must look like is said this often (R9)."""
    stall: float = 15.0
    """A socket that takes nothing for this long is cut off with CLOSE_SLOW (R4)."""
    hello: float = 5.0
    """The first message must come within this (R1)."""
    frame_bytes: int = 256 * 1024
    """Of durable entries, and of everything else, in one frame, about."""
    ring_entries: int = 2048
    """Changes that a room keeps encoded; a reader farther behind gets the manifest."""
    conflate_above: int = 32
    """A reader with more entries to catch up gets only the newest version of each tile."""
    resume_entries: int = 1024
    """A reader farther behind than this starts from the manifest."""
