"""Model adapters: how the engine reaches each inpainting model."""
