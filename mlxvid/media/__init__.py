"""Clips, the files that they are kept in, and pictures.

Videos go through PyAV: comments, colour tags, where chroma samples sit, frames that are marked as
corrupt, and frame counts are lost in imageio's reader and writer. GIFs, animated WebPs and APNGs go
through imageio, whose Pillow plugin keeps their times and comments. Stills are opened with Pillow
itself, which alone takes a list of the formats that may be opened; imageio writes them.
"""
