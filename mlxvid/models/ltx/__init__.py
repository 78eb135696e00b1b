"""LTX-Video 0.9, from text, pictures and clips."""
