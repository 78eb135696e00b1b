"""The gallery: the clips of the library."""
