"""The layouts of original releases: one module each, with helpers for its components beside it."""
