"""The model manager: models on this disk, downloads, imports."""
