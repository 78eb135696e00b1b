"""Tokenizers and text encoders that families share."""
