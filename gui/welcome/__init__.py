"""What the stage shows while there is nothing to see: ways to a first clip."""
