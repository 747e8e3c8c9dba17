"""The footage's own frames, exactly: told apart by integer time stamps and checked one by one.

Forwards they are streamed from a keyframe early enough. Where the order turns (footage shorter than
the voice plays forth and back), the frames between are decoded once, forwards, into a file of raw
frames, and read from there in any order.
"""

import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from functions.analysis import Footage, FrameMap, checksum
from functions.errors import RetryableError
from functions.media import decoder_version, open_video
from functions.picture import Picture
from functions.stills import read_portrait

_LEAST_KEPT = 8
_END: tuple[int, Picture | None] = (0, None)


@dataclass(frozen=True, eq=False)
class SourceFrames:
    """Reads frames of a footage by their number.

    Args:
        path: the uploaded file.
        footage: its analysis.
        frame_map: its frames.
        scratch: a folder for raw frames.
        scratch_bytes: how many bytes of raw frames may lie there at a time; never fewer than those
            of eight frames.
    """

    path: Path
    footage: Footage
    frame_map: FrameMap
    scratch: Path
    scratch_bytes: int = 1 << 30

    def pictures(self, frames: Iterable[int]) -> Iterator[Picture]:
        """Upright pictures of footage frames, in the order asked for.

        A picture's planes hold until the next step only.

        Raises:
            RetryableError: a frame is not the one that was analysed, or is not there.
        """
        if self.footage.kind == "portrait":
            picture = read_portrait(self.path)
            if not self._is(0, picture):
                raise self._wrong(0)
            yield from (picture for _ in frames)
            return
        frame_bytes = self.footage.width * self.footage.height * 3 // 2
        kept = max(_LEAST_KEPT, self.scratch_bytes // frame_bytes)
        for stretch in stretches(frames, kept):
            if is_forward(stretch):
                yield from self._forward(stretch)
            else:
                yield from self._any_order(stretch)

    def _any_order(self, frames: list[int]) -> Iterator[Picture]:
        wanted = sorted(set(frames))
        place = {frame: index for index, frame in enumerate(wanted)}
        # One buffer for all: to allocate a frame costs more than to copy it.
        buffer = np.empty((self.footage.height * 3 // 2, self.footage.width), np.uint8)
        kept, data = Picture.unpack(buffer), buffer.reshape(-1).data
        with tempfile.TemporaryFile(dir=self.scratch) as file:
            for picture in self._forward(wanted):
                kept.take(picture)
                file.write(data)
            for frame in frames:
                file.seek(place[frame] * buffer.nbytes)
                file.readinto(data)
                yield kept

    def _forward(self, frames: list[int]) -> Iterator[Picture]:
        shown = 0
        for start in seek_times(self.frame_map, frames[0]):
            for picture in self._decode(frames[shown:], start):
                shown += 1
                yield picture
            if shown == len(frames):
                return
        raise self._wrong(frames[shown])

    def _decode(self, frames: list[int], start: int | None) -> Iterator[Picture]:
        """The pictures of rising frames, up to the first that is not as it was."""
        with open_video(self.path) as video:
            decoded: Iterator[tuple[int, Picture | None]] = iter(video.pictures(start))
            pts, picture = next(decoded, _END)
            for frame in frames:
                wanted = int(self.frame_map.pts[frame])
                while pts < wanted and picture is not None:
                    pts, picture = next(decoded, _END)
                if picture is None or pts != wanted or not self._is(frame, picture):
                    return
                yield picture

    def _is(self, frame: int, picture: Picture) -> bool:
        size = (picture.width, picture.height) == (self.footage.width, self.footage.height)
        return size and checksum(picture) == int(self.frame_map.checksums[frame])

    def _wrong(self, frame: int) -> RetryableError:
        return RetryableError(
            f"frame {frame} of the footage is not the one that was analysed "
            f"(analysed with {self.footage.decoder}, read with {decoder_version()})"
        )


def seek_times(frame_map: FrameMap, frame: int) -> list[int | None]:
    """Where decoding may begin to show a frame, the cheapest first; None is the file's start.

    From the last keyframe before it, as a rule. That one can belong to an open GOP or be one that
    the container's index puts elsewhere; then the one before it was right in every format tried.
    What a seek breaks in a damaged file, a whole pass shows as the analysis saw it.
    """
    before = bisect_right(frame_map.keyframes.tolist(), int(frame_map.pts[frame]))
    near = frame_map.keyframes[max(0, before - 2) : before][::-1].tolist()
    # The first keyframe is where a whole pass begins anyway.
    return [*near[: before - 1], None]


def is_forward(frames: list[int]) -> bool:
    """Whether the frames never step back."""
    return all(a <= b for a, b in pairwise(frames))


def stretches(frames: Iterable[int], kept: int) -> Iterator[list[int]]:
    """Cuts an order of frames into pieces that step forward only or span at most `kept` frames."""
    piece: list[int] = []
    forward, low, high = True, 0, 0
    for frame in frames:
        if piece:
            still = forward and frame >= piece[-1]
            span = max(high, frame) - min(low, frame) + 1
            if still or span <= kept:
                forward, low, high = still, min(low, frame), max(high, frame)
                piece.append(frame)
                continue
            yield piece
        piece, forward, low, high = [frame], True, frame, frame
    if piece:
        yield piece
