"""Turns PyTorch checkpoints into folders that mlxvid loads; imported as `mlxvid.convert`."""
