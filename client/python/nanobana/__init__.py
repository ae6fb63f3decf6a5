"""nanobana: a shared canvas with diffusion inpainting; this package is the SDK and the vocabulary all parts share."""

__version__ = "0.1.0.dev0"
