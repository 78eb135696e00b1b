"""Comparisons of the port with golden data, for scripts/check_golden.py: one module for each kind
of file in a golden folder.

Each has `check(folder)`, which yields a :class:`.files.Check` (name, error, tolerance) for
everything of its kind that the folder holds.
"""
