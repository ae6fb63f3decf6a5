"""Stable Diffusion 1.5, 2 and XL, with 4 and 9 channels: adapters for UNets that predict noise or velocity."""
