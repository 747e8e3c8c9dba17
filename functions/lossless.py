"""Lossless video of small pictures: how face windows, patches and banks of mouths are kept.

Ut Video, in process through PyAV: docs/decisions/ says how it was chosen. Every frame stands alone,
so any of them is read without those around it. These files are our own, so they need none of the
precautions that uploads do.
"""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from functions.picture import Plane

PixelFormat = Literal["yuv420p", "yuv444p"]

SUFFIX: Final = ".avi"
"""Of the files."""
_RATE = 25  # of frames that have no time, only numbers
# One slice and one thread: equal frames are equal bytes on every machine.
_OPTIONS = {"pred": "median", "slices": "1", "threads": "1"}
# The header tells all. Without this, opening a file decodes some frames to find out more.
_NO_PROBING = {"probesize": "32", "analyzeduration": "0"}


class FrameWriter:
    """Writes frames of one size to a file; a context manager.

    Args:
        path: a new file, named with `SUFFIX`.
        pixel_format: `yuv420p` takes (H * 3 / 2, W) arrays, `yuv444p` takes (3, H, W).
        width: pixels; even for yuv420p.
        height: pixels; even for yuv420p.
    """

    def __init__(self, path: Path, pixel_format: PixelFormat, width: int, height: int) -> None:
        self._format = pixel_format
        # Without bitexact the file names the version of FFmpeg.
        self._container = av.open(str(path), "w", format="avi", options={"fflags": "bitexact"})
        self._stream: VideoStream = self._container.add_stream(
            "utvideo", rate=_RATE, options=_OPTIONS
        )
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = pixel_format
        self._count = 0

    def __enter__(self) -> "FrameWriter":
        return self

    def write(self, planes: Plane) -> None:
        """Adds a frame."""
        frame = VideoFrame.from_ndarray(planes, format=self._format)
        frame.pts, frame.time_base = self._count, Fraction(1, _RATE)
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
    video: bytes, pixel_format: PixelFormat, frames: Sequence[int] | None = None
) -> Iterator[Plane]:
    """Frames of a lossless video in order, in the arrays that `FrameWriter` takes.

    Args:
        video: the file's content.
        pixel_format: the one that it was written with.
        frames: numbers of those wanted, rising; only they are decoded. None for all.
    """
    if frames is not None and not len(frames):
        return
    wanted = None if frames is None else set(frames)
    with av.open(io.BytesIO(video), "r", format="avi", options=_NO_PROBING) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        if frames is not None and frames[0]:
            container.seek(frames[0], stream=stream)
        for packet in container.demux(stream):
            if wanted is not None and packet.dts not in wanted:
                continue
            for frame in packet.decode():
                yield _planes(frame, pixel_format)
            if frames is not None and packet.dts == frames[-1]:
                return


def _planes(frame: VideoFrame, pixel_format: PixelFormat) -> Plane:
    """A frame's planes in one array; PyAV's own way copies them twice."""
    rows = frame.height * 3 // 2 if pixel_format == "yuv420p" else frame.height * 3
    flat, at = np.empty(rows * frame.width, np.uint8), 0
    for plane in frame.planes:
        size = plane.height * plane.width
        padded = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        shape = (plane.height, plane.width)
        flat[at : at + size].reshape(shape)[:] = padded[: plane.height, : plane.width]
        at += size
    if pixel_format == "yuv420p":
        return flat.reshape(rows, frame.width)
    return flat.reshape(3, frame.height, frame.width)
