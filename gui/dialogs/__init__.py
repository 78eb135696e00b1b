"""The small windows: about, settings, log."""
