"""Pixels of a canvas with numpy and Pillow only: tile codec, safe decoding, compositing, coverage, mip levels."""
