import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.encode.composite import draw_mask
from functions.lossless import FrameWriter
from functions.patches import (
    GraphRuns,
    Header,
    Mask,
    Patches,
    Placement,
    Served,
    write_patches,
)

COUNT, SIZE = 7, 34
HEADER = Header(
    *(200, 200 + COUNT, SIZE, Mask((0.5, 0.6))),
    Served(
        *("viseme 1", "Apache-2.0", "cpu", 1.25, 1.5),
        attempts=(GraphRuns("mouth", "npu", "fp16", 4, 1, 0.5, "device-lost", "507901"),),
        instead_of="wav2lip 1",
    ),
)


@pytest.fixture
def frames() -> NDArray[np.uint8]:
    """(7, 3, 34, 34): noise."""
    return np.random.default_rng(5).integers(0, 256, (COUNT, 3, SIZE, SIZE), np.uint8)


@pytest.fixture
def placement() -> Placement:
    """Anything."""
    rng = np.random.default_rng(6)
    return Placement(
        rng.normal(size=(COUNT, 2, 3)).astype(np.float32),
        np.linspace(0, 1, COUNT, dtype=np.float32),
    )


def written(folder: Path, frames: NDArray[np.uint8], placement: Placement) -> bytes:
    video, to = folder / "frames.avi", folder / "patches.zip"
    with FrameWriter(video, "yuv444p", SIZE, SIZE) as writer:
        for frame in frames:
            writer.write(frame)
    write_patches(to, HEADER, placement, video)
    return to.read_bytes()


def test_patches_round_trip(
    tmp_path: Path, frames: NDArray[np.uint8], placement: Placement
) -> None:
    """Encode reads what infer wrote: the header, each patch bit for bit, and where it goes."""
    patches = Patches.load(written(tmp_path, frames, placement))
    assert patches.header == HEADER
    assert np.array_equal(patches.placement.affine, placement.affine)
    assert np.array_equal(patches.placement.opacity, placement.opacity)
    assert patches.placement.affine.dtype == np.float32
    assert np.array_equal(np.stack(list(patches.frames())), frames)
    assert len(list(patches.frames())) == COUNT, "they can be read again"


def test_equal_patches_are_equal_bytes(
    tmp_path: Path, frames: NDArray[np.uint8], placement: Placement
) -> None:
    """The same patches, written at another time, are the same object; others are not."""
    first = written(tmp_path, frames, placement)
    assert written(tmp_path, frames, placement) == first
    moved = dataclasses.replace(placement, affine=placement.affine + 1)
    assert written(tmp_path, frames, moved) != first


@pytest.mark.parametrize("size", [96, 160, 384])
@pytest.mark.parametrize("mask", [Mask(), Mask((0.5, 0.74), (0.36, 0.2), 0.025), Mask(feather=0.0)])
def test_what_is_outside_of_a_mask_has_no_weight(mask: Mask, size: int) -> None:
    """Pixels that are called outside get nothing of the patch, nor do their neighbours."""
    weights = draw_mask(mask, size).plane
    outside = mask.outside(size)
    assert outside.any()
    assert not weights[outside].any()
    beside = np.zeros_like(outside)
    for axis in (0, 1):
        for step in (-1, 1):
            beside |= np.roll(outside, step, axis)
    assert not weights[beside].any()
