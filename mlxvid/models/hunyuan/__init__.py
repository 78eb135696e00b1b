"""HunyuanVideo, from text or a picture."""
