"""What every message is made of: its tag, the limits of a frame, and the codes that end a socket (R1, R8, R10)."""

import msgspec

MAX_FRAME = 262144
"""Largest frame from a client, in bytes (R10)."""

INLINE = 65536
"""Largest patch or mask that may travel inside a message; above it, upload first and name the blob (C11)."""

PATCH_INLINE = 196608
"""Largest finished patch that an engine sends with the word that it is done; above it, clients fetch it by its name."""

# Close codes: 4000–4499 come back, 4500–4999 do not (R8).
CLOSE_SLOW = 4000
CLOSE_DRAINING = 4001
CLOSE_TICKET = 4002
CLOSE_RATE = 4003
CLOSE_STORE = 4004
CLOSE_REVOKED = 4500
CLOSE_PROTOCOL = 4501
CLOSE_BAD_FRAME = 4502
CLOSE_ROOM_FULL = 4503
CLOSE_GONE = 4504
CLOSE_KICKED = 4505
CLOSE_BANNED = 4506


class Wire(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """A message; the field ``t`` says which."""
