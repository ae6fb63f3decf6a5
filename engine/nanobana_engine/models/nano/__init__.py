"""The shipped inpainting model: small, retrieval-augmented, trained by the code in this folder."""
