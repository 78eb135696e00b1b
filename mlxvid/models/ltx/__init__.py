"""LTX-Video 0.9 (arXiv:2501.00103): fast video in a latent space of few, large positions."""
