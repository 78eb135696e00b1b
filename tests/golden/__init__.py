"""Comparisons of the port with golden data: inputs, weights and outputs of reference code.

`compare` runs them over a folder; `files` and `stages` are what they are made of. The comparisons
of a family stand in tests/models/<family>/golden, as `CHECKS`: how the names of golden files begin,
and the function that yields a :class:`.files.Check` for each thing of that kind in a folder.
"""
