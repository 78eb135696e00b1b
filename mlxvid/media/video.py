"""A video file's frames, one at a time: upright, progressive, at one rate, from any place on.

Videos are read with PyAV, ours and other programs': imageio's reader hides frames that FFmpeg
marks as corrupt and those that are missing, and would let a file fetch others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.stream import Disposition

from mlxvid.errors import MediaError

from .containers import Packets, container_tag, is_cover, open_video, scan
from .images import fit
from .pixels import View, is_transparent, is_wide
from .tag import stored_size
from .timing import Timing

# Frames before those that are wanted: some packets show none, and frames are stored out of order.
_MARGIN = 16

Size = tuple[int, int]
Picture = Callable[["Size | None"], np.ndarray]
"""A decoded frame, as uint8 [H, W, 3] of a size (width, height), or of its own for None; one that
isn't called costs no conversion.
"""


class Video:
    """A video file: what it holds, and its frames.

    width, height: of frames as they are shown, an odd side's repeated line taken off; fps: exact
    for NTSC's rates; count: of frames, 0 where the file doesn't say; tag: None where there is none;
    notes: a line about each thing that is changed on the way, some of them known when the frames
    are read. Raises :class:`MediaError`, here and while frames are read, for what is missing,
    damaged, cut short, or no video.
    """

    def __init__(self, path: Path):
        self.path = path
        self.notes: list[str] = []
        with open_video(path) as container:
            self.tag = container_tag(container)
            self._index, packets = self._choose(container)
            stream = self._stream(container)
            rates = [stream.guessed_rate, stream.average_rate]
            self._timing = Timing(packets.times, packets.last, rates)
            self._packets = packets
        with open_video(path) as container:
            self._due = self._promised(container)
            aspect = self._stream(container).sample_aspect_ratio
            first = next(self._frames_of(container), None)
            if first is None:
                raise MediaError(f"{path} holds no frame that can be read: copy or make it again.")
            self._view = View(first, float(aspect) if aspect else None)
            self._tell(first, self._stream(container).metadata)
        self.fps = float(self._timing.fps)
        self.count = self._timing.count or self._due
        self.width = self._view.width
        self.height = self._view.height
        if self.tag is not None and (self.width, self.height) == stored_size(self.tag):
            self.width = self.tag["width"]
            self.height = self.tag["height"]

    def pictures(self) -> Iterator[Picture]:
        """All frames, at one rate."""
        yield from self._paced(self._decoded(None), 0)

    def first(self, count: int, shape: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """The first frames, at most `count`, each given to `shape`; no more is decoded."""
        kept: list[np.ndarray] = []
        for picture in self.pictures():
            kept.append(shape(picture(None)))
            if len(kept) == count:
                break
        return kept

    def last(self, count: int, shape: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """The last frames, at most `count`, each given to `shape`.

        Decoding begins at a keyframe near the end; where that doesn't lead to the frames that it
        should, at the beginning.
        """
        if self._packets.filled < self._due:
            raise self._cut_short(self._packets.filled)
        start = self._timing.count - count
        times = self._packets.times
        starts = self._timing.starts
        if start > _MARGIN:
            if starts is None:
                wanted = times[start - _MARGIN]
            else:
                wanted = times[max(np.searchsorted(times, starts[start]) - _MARGIN, 0)]
            kept: deque[np.ndarray] = deque(maxlen=count)
            try:
                for picture in self._paced(self._decoded(wanted), start):
                    kept.append(shape(picture(None)))
            except _InexactError:
                kept.clear()
            if len(kept) == count:
                return list(kept)
        pictures: deque[Picture] = deque(maxlen=count)
        for picture in self.pictures():
            pictures.append(picture)
        return [shape(picture(None)) for picture in pictures]

    # --- what the file says ----------------------------------------------------------------------

    def _choose(self, container: av.container.InputContainer) -> tuple[int, Packets]:
        """The place of the video among those in the file, and its packets.

        Of several it is the default one, then the largest; a picture beside the video is none.
        """
        streams = [stream for stream in container.streams.video if not is_cover(stream)]
        if not streams:
            raise MediaError(f"{self.path} holds a cover but no video: give a clip.")
        streams = [stream for stream in streams if stream.codec_context is not None]
        if not streams:
            raise MediaError(f"{self.path} has an encoding that is unknown here: convert it first.")
        packets = scan(container, streams)

        def worth(stream: av.VideoStream) -> tuple[bool, bool, int, int]:
            moves = packets[stream.index].filled > 1
            is_default = Disposition.default in stream.disposition
            return moves, is_default, stream.width * stream.height, -stream.index

        best = max(streams, key=worth)
        if len(streams) > 1:
            self.notes.append(
                f"{self.path} holds {len(streams)} videos: the one of {best.width}x{best.height} "
                "is taken."
            )
        return container.streams.video.index(best), packets[best.index]

    def _stream(self, container: av.container.InputContainer) -> av.VideoStream:
        return container.streams.video[self._index]

    def _promised(self, container: av.container.InputContainer) -> int:
        """How many frames the file should have, at least one."""
        stream = self._stream(container)
        if stream.frames:
            # Of an mp4 that was cut by its edit list, only what is shown is in the index.
            is_mp4 = container.format.name.startswith("mov")
            return min(stream.frames, len(stream.index_entries) if is_mp4 else stream.frames)
        if self.tag and container.duration:
            # Matroska gives the duration, whose frames are known for a clip of ours.
            return round(container.duration / av.time_base * self.tag["fps"])
        return 1

    def _tell(self, first: av.VideoFrame, metadata: Mapping[str, str]) -> None:
        """Note what frames are changed by, as far as the first one and the stream say it."""
        own = (first.width, first.height)
        shown = (self._view.width, self._view.height)
        if shown not in (own, own[::-1]):
            self.notes.append(
                f"{self.path} has pixels that aren't square: its frames of {own[0]}x{own[1]} are "
                f"{shown[0]}x{shown[1]} here."
            )
        if is_wide(first):
            self.notes.append(
                f"{self.path} has more light or colours than a screen (HDR or a wide gamut): they "
                "are brought to BT.709."
            )
        if is_transparent(first):
            self.notes.append(f"{self.path} has transparency, which is laid over white.")
        elif "1" in (metadata.get("alpha_mode"), metadata.get("ALPHA_MODE")):
            # VP8 and VP9 have it in a stream of its own, which FFmpeg's decoders leave out.
            self.notes.append(f"{self.path} has transparency, which is left out.")
        self.notes += self._timing.notes(self.path)

    # --- decoding --------------------------------------------------------------------------------

    def _paced(self, frames: Iterator[av.VideoFrame], start: int) -> Iterator[Picture]:
        """The frames as pictures; of a variable rate at their times, from frame `start` on."""
        starts = self._timing.starts
        if starts is None:
            for frame in frames:
                yield partial(self._converted, frame)
            return
        at = start
        shown: av.VideoFrame | None = None
        for frame in frames:
            while shown is not None and at < len(starts) and starts[at] < (frame.time or 0.0):
                yield partial(self._converted, shown)
                at += 1
            shown = frame
        if shown is not None:
            for _ in range(at, len(starts)):
                yield partial(self._converted, shown)

    def _converted(self, frame: av.VideoFrame, size: Size | None) -> np.ndarray:
        if self._view.fits(frame):
            pixels = self._view.rgb(frame, size)
        else:
            self._note_once(
                f"{self.path} changes its size to {frame.width}x{frame.height}: all its frames "
                f"are brought to {self.width}x{self.height}."
            )
            other = View(frame, None).rgb(frame)
            width, height = size or (self._view.width, self._view.height)
            pixels = fit(other, width, height)[0]
        if size is None:
            pixels = pixels[: self.height, : self.width]
        return np.ascontiguousarray(pixels)

    def _decoded(self, wanted: float | None) -> Iterator[av.VideoFrame]:
        """The frames from the time `wanted` on, progressive; None: all, and as many as promised.

        Raises :class:`_InexactError` where a place in the file doesn't lead to these frames.
        """
        with open_video(self.path) as container:
            if wanted is not None:
                self._seek(container, wanted)
            count = 0
            for frame in self._frames_of(container):
                if wanted is not None:
                    if frame.time is None or (not count and frame.time > wanted):
                        raise _InexactError
                    count += 1
                    if frame.time < wanted:
                        continue
                    if frame.is_corrupt:
                        raise _InexactError
                elif frame.is_corrupt:
                    raise MediaError(f"{self.path} is damaged: copy or make it again.")
                else:
                    count += 1
                yield frame
            if wanted is None and (self._packets.filled < self._due or not count):
                raise self._cut_short(count)

    def _seek(self, container: av.container.InputContainer, wanted: float) -> None:
        stream = self._stream(container)
        assert stream.time_base is not None  # FFmpeg gives every stream one
        place = round(wanted / stream.time_base)
        before = [key for key in self._packets.keys if key <= place]
        if not before:
            raise _InexactError
        container.seek(before[-1], stream=stream, backward=True, any_frame=False)

    def _frames_of(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """The stream's frames, interlaced ones made progressive."""
        stream = self._stream(container)
        graph: Graph | None = None
        for frame in container.decode(stream):
            if graph is None and frame.interlaced_frame and not frame.is_corrupt:
                self._note_once(f"{self.path} is interlaced: its lines are made whole frames.")
                graph = _deinterlacer(frame)
            if graph is None:
                yield frame
                continue
            graph.push(frame)
            yield from _pulled(graph)
        if graph is not None:
            graph.push(None)
            yield from _pulled(graph)

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _cut_short(self, count: int) -> MediaError:
        return MediaError(
            f"{self.path} is cut short, with {count} of {self._due} frames: copy or make it again."
        )


class _InexactError(Exception):
    """A place in a file that doesn't lead to the frames that it should."""


def _deinterlacer(frame: av.VideoFrame) -> Graph:
    """FFmpeg's bwdif, which gives a frame for a frame and leaves progressive ones alone."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    """What a graph has ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)  # the graph has no audio
        yield frame
