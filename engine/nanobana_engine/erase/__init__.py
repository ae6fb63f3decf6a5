"""Erase: a region removed by PatchMatch, in a process of its own that can be stopped at any moment; needs no model."""
