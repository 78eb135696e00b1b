"""The training of the embedded model: its drawn world, its networks in PyTorch, its detector."""
