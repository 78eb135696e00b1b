"""What the commands share: parsing, progress, and how a command ends."""
