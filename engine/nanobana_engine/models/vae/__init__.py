"""Autoencoders that work on the part of a picture that changed, beside an earlier pass over the whole of it (E9)."""
