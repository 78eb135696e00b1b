"""Latte: text to video with alternating spatial and temporal blocks (arXiv:2401.03048)."""
