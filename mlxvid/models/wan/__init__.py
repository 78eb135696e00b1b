"""Wan 2.1 (arXiv:2503.20314): text, a first picture, or a first and a last one, to video."""
