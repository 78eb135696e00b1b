"""CogVideoX, from text, a picture or a clip."""
