"""The middle of the window: the clip in view, two compared, and the one being made."""
