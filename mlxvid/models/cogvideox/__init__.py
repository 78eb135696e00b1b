"""CogVideoX 1.0 and 1.5: text and pictures to video, an expert transformer (arXiv:2408.06072)."""
