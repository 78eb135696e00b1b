"""What a clip is described with: prompt, model, size, pictures and the rest of its settings."""
