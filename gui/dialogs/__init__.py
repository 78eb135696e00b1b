"""The small windows: about, preferences, and the log."""
