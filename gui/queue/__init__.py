"""The clips that are being made or wait for it."""
