"""Lossless video of small pictures: how face windows and patches are kept.

x264 at qp 0, in process through PyAV: docs/decisions/ says how it was chosen. These files are our
own, so they need none of the precautions that uploads do.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import av
import numpy as np
from av.video.stream import VideoStream

from functions.picture import Plane

PixelFormat = Literal["yuv420p", "yuv444p"]

_TICK = Fraction(1, 1000)
_TICKS_PER_FRAME = 40
_OPTIONS = {"preset": "ultrafast", "qp": "0", "g": "25", "threads": "1"}


class FrameWriter:
    """Writes frames of one size to a file; a context manager.

    Args:
        path: a new `.mkv`.
        pixel_format: `yuv420p` takes (H * 3 / 2, W) arrays, `yuv444p` takes (3, H, W).
        width: pixels; even for yuv420p.
        height: pixels; even for yuv420p.
    """

    def __init__(self, path: Path, pixel_format: PixelFormat, width: int, height: int) -> None:
        self._format = pixel_format
        # Without bitexact the file gets a random id: equal frames are to be equal bytes.
        self._container = av.open(str(path), "w", format="matroska", options={"fflags": "bitexact"})
        self._stream: VideoStream = self._container.add_stream("libx264", rate=25, options=_OPTIONS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = pixel_format
        self._count = 0

    def __enter__(self) -> "FrameWriter":
        return self

    def write(self, planes: Plane) -> None:
        """Adds a frame."""
        frame = av.VideoFrame.from_ndarray(planes, format=self._format)
        frame.pts, frame.time_base = self._count * _TICKS_PER_FRAME, _TICK
        self._container.mux(self._stream.encode(frame))
        self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def read_frames(
    video: bytes, pixel_format: PixelFormat, first: int = 0, last: int | None = None
) -> Iterator[Plane]:
    """The frames of a lossless video in order, in the arrays that `FrameWriter` takes.

    Args:
        video: the file's content.
        pixel_format: the one that it was written with.
        first: the first frame wanted; reading starts at the keyframe before it.
        last: the frame after the last one wanted; None for all.
    """
    with av.open(io.BytesIO(video), "r", format="matroska") as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        if first:
            container.seek(first * _TICKS_PER_FRAME, stream=stream)
        for frame in container.decode(stream):
            index = (frame.pts or 0) // _TICKS_PER_FRAME
            if last is not None and index >= last:
                return
            if index >= first:
                planes: Plane = frame.to_ndarray(format=pixel_format).astype(np.uint8, copy=False)
                yield planes
