from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from functions.lossless import FrameWriter, PixelFormat, read_frames


def round_trip(path: Path, pixel_format: PixelFormat, frames: NDArray[np.uint8]) -> None:
    height, width = frames.shape[-2:]
    if pixel_format == "yuv420p":
        height = height * 2 // 3
    with FrameWriter(path, pixel_format, width, height) as writer:
        for frame in frames:
            writer.write(frame)
    back = list(read_frames(path.read_bytes(), pixel_format))
    assert len(back) == len(frames)
    assert all(np.array_equal(one, other) for one, other in zip(back, frames, strict=True))


@pytest.mark.parametrize("size", [(16, 16), (34, 46), (2, 2), (46, 34), (98, 130), (384, 400)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_bit_exact(tmp_path: Path, pixel_format: PixelFormat, size: tuple[int, int]) -> None:
    """Noise comes back bit for bit, also where halves are odd or lines are padded."""
    width, height = size
    shape = (height * 3 // 2, width) if pixel_format == "yuv420p" else (3, height, width)
    frames = np.random.default_rng(width).integers(0, 256, (3, *shape), np.uint8)
    round_trip(tmp_path / "frames.avi", pixel_format, frames)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pixel_format=st.sampled_from(["yuv420p", "yuv444p"]),
    half=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    count=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_and_count(
    tmp_path: Path, pixel_format: PixelFormat, half: tuple[int, int], count: int, seed: int
) -> None:
    """Any even size and any number of frames comes back, moving or still."""
    width, height = 2 * half[0], 2 * half[1]
    shape = (height * 3 // 2, width) if pixel_format == "yuv420p" else (3, height, width)
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 256, shape, np.uint8)
    frames = np.stack([still if rng.random() < 0.5 else np.roll(still, i) for i in range(count)])
    round_trip(tmp_path / "frames.avi", pixel_format, frames)


def test_odd_sides_of_444(tmp_path: Path) -> None:
    """4:4:4 has no half planes, so odd sides are kept too."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 33, 47), np.uint8)
    round_trip(tmp_path / "frames.avi", "yuv444p", frames)


def test_extremes_keep_their_range(tmp_path: Path) -> None:
    """0 and 255 in all planes come back: nothing takes the numbers for video or full range."""
    for pixel_format, shape in (("yuv420p", (24, 16)), ("yuv444p", (3, 16, 16))):
        frames = np.zeros((2, *shape), np.uint8)
        frames[1] = 255
        round_trip(tmp_path / f"{pixel_format}.avi", pixel_format, frames)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.sets(st.integers(0, 119)))
def test_any_frames_alone(tmp_path: Path, wanted: set[int]) -> None:
    """Whichever are wanted come back in their order, those and no others."""
    frames = np.arange(120, dtype=np.uint8)[:, None, None] * np.ones((24, 16), np.uint8)
    path = tmp_path / "frames.avi"
    with FrameWriter(path, "yuv420p", 16, 16) as writer:
        for frame in frames:
            writer.write(frame)
    read = read_frames(path.read_bytes(), "yuv420p", sorted(wanted))
    assert [int(frame[0, 0]) for frame in read] == sorted(wanted)


def test_equal_frames_are_equal_bytes(tmp_path: Path) -> None:
    """What is kept by its content doesn't change from one time to the next."""
    frame = np.random.default_rng(0).integers(0, 256, (24, 16), np.uint8)
    for name in ("one.avi", "other.avi"):
        with FrameWriter(tmp_path / name, "yuv420p", 16, 16) as writer:
            writer.write(frame)
    assert (tmp_path / "one.avi").read_bytes() == (tmp_path / "other.avi").read_bytes()
