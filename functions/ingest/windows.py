"""Face windows: cut on whole pixels while the footage is decoded, kept losslessly in chunks.

All windows of a chunk have one size, so that a chunk is a video. A window stays where it is while
the face moves inside it: a still background costs next to nothing to keep, and most of a moving
one's cost is the codec not seeing that it moved.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Track
from functions.ingest.plain_sight import PlainSight
from functions.ingest.track import TrackEntry
from functions.lossless import SUFFIX, FrameWriter
from functions.picture import Picture

_MAX_CHUNK_BYTES = 64 << 20
_MARGIN = 0.24  # of the face's longer side, left, right and above
_MARGIN_BELOW = 0.36  # an opening mouth takes the chin down
_SLACK = 1.12  # room in which the face may move before the window must
_SHRUNK = 1.6  # a window this many times too large is replaced


class Sink(Protocol):
    """Takes each finished chunk."""

    def __call__(self, chunk: Chunk, windows: Path, track: Track) -> None:
        """`windows` is the chunk's video; it is deleted afterwards."""


@dataclass
class _OpenChunk:
    first: int
    width: int
    height: int
    limit: int
    writer: FrameWriter
    path: Path
    origins: list[tuple[int, int]]
    faceless: int = 0


@dataclass
class _ClosedChunk:
    chunk: Chunk
    path: Path
    origins: NDArray[np.int32]


class WindowCutter:
    """Cuts windows frame by frame; the smoothed track, which comes some frames later, joins them.

    Args:
        size: width and height of the footage, pixels, even.
        max_frames: of a chunk.
        scratch: an empty folder.
        sink: takes each chunk once its track is whole.
    """

    def __init__(self, size: tuple[int, int], max_frames: int, scratch: Path, sink: Sink) -> None:
        self._size = size
        self._max_frames = max_frames
        self._scratch = scratch
        self._sink = sink
        self._open: _OpenChunk | None = None
        self._waiting: deque[_ClosedChunk] = deque()
        self._frame = 0
        self._tracked = 0
        self._early: deque[TrackEntry] = deque()
        self._sight = PlainSight()
        self.chunks: list[Chunk] = []

    @property
    def hidden(self) -> int:
        """Frames so far that show a face whose mouth is not in plain sight."""
        return self._sight.hidden

    def cut(self, picture: Picture, landmarks: NDArray[np.float32] | None) -> None:
        """Takes the next frame, with the face as it was found in it."""
        needed = None if landmarks is None else _needed(landmarks)
        if self._open is not None and self._must_close(self._open, needed):
            self._close()
        if self._open is None and needed is not None:
            self._begin(needed)
        if self._open is not None:
            self._add(self._open, picture, needed)
        self._frame += 1

    def track(self, entry: TrackEntry) -> None:
        """Takes the next frame's smoothed face; never ahead of `cut`."""
        self._early.append(entry)
        self._deliver()

    def finish(self) -> None:
        """Ends the last chunk; every frame's track must have come."""
        if self._open is not None:
            self._close()
        self._deliver()

    def _must_close(self, chunk: _OpenChunk, needed: NDArray[np.float32] | None) -> bool:
        if len(chunk.origins) >= chunk.limit:
            return True
        if needed is None:
            return chunk.faceless >= chunk.limit // 4
        width, height = (needed[2:] - needed[:2]).tolist()
        grown = (width > chunk.width < self._size[0]) or (height > chunk.height < self._size[1])
        shrunk = max(chunk.width, chunk.height) > _SHRUNK * _SLACK * max(width, height)
        return bool(grown or shrunk)

    def _begin(self, needed: NDArray[np.float32]) -> None:
        # A multiple of 16 is the codec's own block size.
        wanted = np.ceil((needed[2:] - needed[:2]) * _SLACK / 16).astype(int) * 16
        width, height = (min(int(w), limit) for w, limit in zip(wanted, self._size, strict=True))
        path = self._scratch / f"{len(self.chunks):04d}{SUFFIX}"
        writer = FrameWriter(path, "yuv420p", width, height)
        room = _MAX_CHUNK_BYTES // (width * height * 3 // 2)
        limit = max(1, min(self._max_frames, room))
        self._open = _OpenChunk(self._frame, width, height, limit, writer, path, [])

    def _add(self, chunk: _OpenChunk, picture: Picture, needed: NDArray[np.float32] | None) -> None:
        chunk.faceless = 0 if needed is not None else chunk.faceless + 1
        last = chunk.origins[-1] if chunk.origins else None
        origin = _place(needed, last, (chunk.width, chunk.height), self._size)
        chunk.origins.append(origin)
        chunk.writer.write(picture.cut(*origin, chunk.width, chunk.height).packed())

    def _close(self) -> None:
        done = self._open
        if done is None:
            return
        done.writer.__exit__(None, None, None)
        count = len(done.origins)
        chunk = Chunk(len(self.chunks), done.first, count, done.width, done.height)
        self.chunks.append(chunk)
        origins = np.array(done.origins, np.int32)
        self._waiting.append(_ClosedChunk(chunk, done.path, origins))
        self._open = None

    def _deliver(self) -> None:
        while self._waiting:
            closed = self._waiting[0]
            self._skip_to(closed.chunk.first)
            if len(self._early) < closed.chunk.count:
                return
            early = [self._early.popleft() for _ in range(closed.chunk.count)]
            entries = self._sight.judge(early)
            self._tracked += closed.chunk.count
            self._waiting.popleft()
            self._sink(closed.chunk, closed.path, _joined(entries, closed, self._size))
            closed.path.unlink()
        self._skip_to(self._frame if self._open is None else self._open.first)

    def _skip_to(self, frame: int) -> None:
        while self._early and self._tracked < frame:
            self._early.popleft()
            self._tracked += 1


def _joined(entries: list[TrackEntry], closed: _ClosedChunk, size: tuple[int, int]) -> Track:
    known = [entry.landmarks for entry in entries if entry.landmarks is not None]
    held = [known[0] if e.landmarks is None else e.landmarks for e in entries]
    landmarks = np.stack(held).astype(np.float32)
    confidence = np.array([entry.confidence for entry in entries], np.float32)
    # While a face is lost its window waits where it was, and what is made out afterwards to have
    # been the face's way can lead out of it. There is nothing to show such a mouth on.
    seen = np.clip(landmarks, 0, np.subtract(size, 1))
    low = closed.origins[:, None]
    high = low + np.array([closed.chunk.width - 1, closed.chunk.height - 1])
    inside = ((seen >= low) & (seen <= high)).all(axis=(1, 2))
    return Track(landmarks, np.where(inside, confidence, 0).astype(np.float32), closed.origins)


def _needed(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rectangle x0, y0, x1, y1 that any model's crop of this face lies in."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    side = float((high - low).max())
    centre = float(low[0] + high[0]) / 2
    half = side * (0.5 + _MARGIN)
    top, bottom = float(low[1]) - side * _MARGIN, float(high[1]) + side * _MARGIN_BELOW
    return np.array([centre - half, top, centre + half, bottom], np.float32)


def _place(
    needed: NDArray[np.float32] | None,
    last: tuple[int, int] | None,
    window: tuple[int, int],
    picture: tuple[int, int],
) -> tuple[int, int]:
    """Where the window's corner goes: where it was, unless what is needed has left it."""
    if needed is None:
        return last or (0, 0)
    low = np.clip(needed[:2], 0, None)
    high = np.minimum(needed[2:], picture)
    if last is not None and all(low >= last) and all(high <= np.add(last, window)):
        return last
    corner = (needed[:2] + needed[2:] - np.array(window)) / 2
    x, y = (
        int(np.clip(round(float(c)) // 2 * 2, 0, limit - side))
        for c, side, limit in zip(corner, window, picture, strict=True)
    )
    return x, y
