"""LTX-Video: text to video on few, large latent positions (arXiv:2501.00103)."""
