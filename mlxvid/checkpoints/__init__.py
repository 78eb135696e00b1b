"""Weights as they were released: which files of a folder hold a component, and PyTorch's files read without PyTorch.

Nothing that a file contains is run, and a tensor stays in its file until it is read.
"""
