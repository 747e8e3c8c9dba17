"""A face to demonstrate and test with: NASA's portrait of Eileen Collins (public domain).

scikit-image carries the picture. The clip moves a camera gently over it, so that the head turns,
nears and wanders as a presenter's does.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from functions.ffmpeg_program import ffmpeg_path
from functions.process import Limits, run_supervised

FACE = (224, 120)
"""Where the face's centre is in the picture, pixels."""


def portrait(to: Path) -> Path:
    """Writes the still picture, 512 x 512, as PNG."""
    Image.fromarray(data.astronaut()).save(to)
    return to


def clip(
    to: Path,
    seconds: float = 8.0,
    size: tuple[int, int] = (1280, 720),
    rate: int = 25,
    options: tuple[str, ...] = (),
) -> Path:
    """Writes a moving clip as H.264 without sound.

    Args:
        to: an `.mp4`.
        seconds: of the clip.
        size: width and height, pixels, even.
        rate: frames a second.
        options: more of ffmpeg's output options.
    """
    width, height = size
    command = [
        *(str(ffmpeg_path()), "-y", "-nostdin", "-v", "error"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate)),
        *("-i", "pipe:0", "-c:v", "libx264", "-crf", "14", "-preset", "veryfast"),
        *("-pix_fmt", "yuv420p", *options, str(to)),
    ]
    count = round(seconds * rate)
    feed = (np.ascontiguousarray(frame).data for frame in frames(count, size, rate))
    run_supervised(command, feed=feed, limits=Limits(seconds=600))
    return to


def frames(count: int, size: tuple[int, int], rate: int) -> Iterator[NDArray[np.uint8]]:
    """The clip's frames, (H, W, 3) uint8 RGB."""
    picture = data.astronaut()
    width, height = size
    for index in range(count):
        moved = cv2.warpAffine(
            picture,
            _camera(index / rate, width, height),
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        yield np.asarray(moved, np.uint8)


def _camera(second: float, width: int, height: int) -> NDArray[np.float32]:
    """(2, 3): picture to frame; periods of some seconds that share no multiple."""
    turn = 2 * np.pi * second
    zoom = height / 306 * (1 + 0.05 * np.sin(turn / 6))
    matrix = cv2.getRotationMatrix2D(FACE, 4 * np.sin(turn / 5), zoom)
    matrix[0, 2] += width / 2 - FACE[0] + height * 0.042 * np.sin(turn / 7)
    matrix[1, 2] += height * 0.458 - FACE[1] + height * 0.021 * np.sin(turn / 4)
    return np.asarray(matrix, np.float32)
