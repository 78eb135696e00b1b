"""What video compression leaves of a single picture."""

from __future__ import annotations

import io

import av
import numpy as np

from .writing import x264_options


def compressed(picture: np.ndarray, crf: int) -> np.ndarray:
    """uint8 [H, W, 3] as H.264 with that constant rate factor has it.

    An odd last row or column, which 4:2:0 can't have, is cut off for it and put back as it was.
    """
    height, width = (side - side % 2 for side in picture.shape[:2])
    file = io.BytesIO()
    options = {"crf": str(crf), "preset": "veryfast", **x264_options()}
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1, options=options)
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        even = np.ascontiguousarray(picture[:height, :width])
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as written:
        frame = next(written.decode(video=0))
        seen = frame.to_ndarray(format="rgb24")
    result = picture.copy()
    result[:height, :width] = seen
    return result
