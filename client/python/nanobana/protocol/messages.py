"""Every message both ways under one name (R1–R3): a frame is a msgpack array of these, the tag is the field ``t``."""

from nanobana.protocol.from_client import *
from nanobana.protocol.from_server import *
from nanobana.protocol.wire import *
