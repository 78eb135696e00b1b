"""A tiny model for tests in which any family will do."""

from .factored.tiny import write_model

__all__ = ["write_model"]
