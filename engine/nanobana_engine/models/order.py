"""A loaded network's convolutions in the order in which they are read most, once in memory."""

from torch import nn

from nanobana_engine.memory.mapped import MappedFiles
from nanobana_engine.sparse.order import channels_last


def in_order(network: nn.Module) -> None:
    """Channels-last; what was read of a mapped file for a weight is let go of."""
    files = MappedFiles()
    channels_last(network, lambda was: files.let_go(was.data_ptr(), was.nbytes))
