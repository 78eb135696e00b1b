"""HEIC files as phones write them, made by hand: a grid of tiles, turned, with a colour profile.

The boxes are those of ISO/IEC 14496-12 and 23008-12; the tiles are x265's.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_heic(
    path: Path, picture: np.ndarray, tile: int, quarter_turns: int = 0, profile: bytes = b""
) -> Path:
    """Write uint8 [H, W, 3] in square tiles; it is shown turned left so many times."""
    height, width = picture.shape[:2]
    rows = -(-height // tile)
    columns = -(-width // tile)
    padded = np.pad(
        picture, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge"
    )
    coded = []
    for row in range(rows):
        for column in range(columns):
            part = padded[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
            config, data = _encoded(path.with_suffix(".mp4"), np.ascontiguousarray(part))
            coded.append(data)
    count = len(coded)
    main = count + 1
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    properties = [
        _box(b"hvcC", config),
        _full(b"ispe", struct.pack(">II", tile, tile)),
        _full(b"ispe", struct.pack(">II", width, height)),
        _box(b"irot", bytes([quarter_turns])),
    ]
    if profile:
        properties.append(_box(b"colr", b"prof" + profile))
    own = bytes(range(3, len(properties) + 1))
    links = struct.pack(">I", main)
    for item in range(1, main):
        links += struct.pack(">HBBB", item, 2, 0x81, 0x02)
    links += struct.pack(">HB", main, len(own)) + own
    infos = [_item(item, b"hvc1") for item in range(1, main)] + [_item(main, b"grid")]
    tiles = struct.pack(f">HH{count}H", main, count, *range(1, main))
    head = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(start: int) -> bytes:
        """The box with the places of the items, of which the first is at `start`."""
        places = b""
        for item, data in enumerate([*coded, grid], 1):
            places += struct.pack(">HHHII", item, 0, 1, start, len(data))
            start += len(data)
        content = [
            _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full(b"pitm", struct.pack(">H", main)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, main) + places),
            _full(b"iinf", struct.pack(">H", main) + b"".join(infos), 0),
            _full(b"iref", _box(b"dimg", tiles)),
            _box(b"iprp", _box(b"ipco", b"".join(properties)) + _full(b"ipma", links)),
        ]
        return _full(b"meta", b"".join(content))

    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + _box(b"mdat", b"".join(coded) + grid))
    return path


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _full(name: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(name, bytes([version, 0, 0, 0]) + content)


def _item(number: int, kind: bytes) -> bytes:
    return _full(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", 2)


def _encoded(scratch: Path, tile: np.ndarray) -> tuple[bytes, bytes]:
    """The decoder's configuration and the coded picture of a tile."""
    options = {"x265-params": "crf=8:keyint=1:log-level=none:pools=none"}
    with av.open(str(scratch), "w") as container:
        stream = container.add_stream("libx265", rate=Fraction(1), options=options)
        stream.width = stream.height = tile.shape[0]
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(tile, format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = scratch.read_bytes()
    at = data.index(b"hvcC")
    (length,) = struct.unpack_from(">I", data, at - 4)
    with av.open(str(scratch)) as container:
        packet = next(packet for packet in container.demux(video=0) if packet.size)
        coded = bytes(packet)
    scratch.unlink()
    return data[at + 4 : at - 4 + length], coded
