"""Exporting clips: the sheet that asks how and where, and the line that shows how far it is."""
