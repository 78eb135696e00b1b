"""The clips of the library."""
