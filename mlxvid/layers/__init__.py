"""Pieces that two or more families share."""
