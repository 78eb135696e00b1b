"""The version of this package."""

__version__ = "0.1.0"

SAME_CLIPS_SINCE = "0.1.0"
"""The first version whose clips are the same as this one's, of the same settings."""
