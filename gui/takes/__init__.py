"""Clips that were asked for together, side by side: takes, and grids of two settings."""
