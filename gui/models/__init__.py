"""The model manager: what is on the disk, downloads, imports."""
