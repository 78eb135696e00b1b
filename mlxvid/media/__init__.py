"""Clips, containers and pictures."""
