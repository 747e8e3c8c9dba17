import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analysis import (
    FrameMap,
    Track,
    checksum,
    content_digest,
    dump_arrays,
    load_arrays,
)
from functions.picture import Picture


@given(st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_tracks_round_trip(count: int, seed: int) -> None:
    """A track is read back number for number, and equal tracks are equal bytes."""
    rng = np.random.default_rng(seed)
    track = Track(
        rng.normal(size=(count, 468, 2)).astype(np.float32),
        rng.random(count, np.float32),
        rng.integers(0, 2000, (count, 2), np.int32),
    )
    back = Track.load(track.dump())
    assert np.array_equal(back.landmarks, track.landmarks)
    assert np.array_equal(back.confidence, track.confidence)
    assert np.array_equal(back.origins, track.origins)
    assert back.dump() == track.dump()


def test_frame_maps_round_trip() -> None:
    """A frame map keeps times beyond 32 bits, and negative ones."""
    frames = FrameMap(
        np.array([-512, 0, 2**40], np.int64),
        np.array([0, 2**32 - 1, 7], np.uint32),
        np.array([-512], np.int64),
        np.array([1, 90_000], np.int64),
    )
    back = FrameMap.load(frames.dump())
    for name in ("pts", "checksums", "keyframes", "time_base"):
        assert np.array_equal(getattr(back, name), getattr(frames, name))
        assert getattr(back, name).dtype == getattr(frames, name).dtype


@given(st.lists(st.integers(1, 40), max_size=8), st.integers(1, 40))
def test_keyframe_distance_is_that_of_regular_keyframes(gaps: list[int], last: int) -> None:
    """Only keyframes that all come after the same number of frames have a distance."""
    places = np.cumsum([0, *gaps])
    pts = np.arange(places[-1] + last, dtype=np.int64) * 512
    marks, base = np.zeros(len(pts), np.uint32), np.array([1, 12800])
    frames = FrameMap(pts, marks, pts[places], base)
    assert frames.keyframe_distance == (gaps[0] if len(set(gaps)) == 1 else 1)


def test_arrays_are_data_only() -> None:
    """Nothing that is read can run code: objects are neither written nor read."""
    arrays = load_arrays(dump_arrays(a=np.arange(3), b=np.zeros((0, 2))))
    assert arrays["a"].tolist() == [0, 1, 2]
    assert arrays["b"].shape == (0, 2)


def test_checksums_tell_frames_apart() -> None:
    """Another picture, or the same one a row lower, has another checksum; a copy has the same."""
    packed = np.random.default_rng(0).integers(0, 256, (48 * 3 // 2, 64), np.uint8)
    one = Picture.unpack(packed)
    assert checksum(one) == checksum(Picture.unpack(packed.copy()))
    assert checksum(one) != checksum(Picture(np.roll(one.y, 1, axis=0), one.u, one.v))
    flipped = Picture(one.y[:, ::-1], one.u, one.v)
    assert checksum(flipped) == checksum(Picture(flipped.y.copy(), one.u, one.v))
    assert checksum(flipped) != checksum(one)


def test_digests_name_content_and_version() -> None:
    """An analysis is named by its content; it is a name that any file system takes."""
    assert content_digest("ab" * 32) == content_digest("ab" * 32)
    assert content_digest("ab" * 32) != content_digest("ac" * 32)
    assert content_digest("ab" * 32).startswith("ab" * 16 + "-")


def test_objects_are_not_written() -> None:
    """What would have to be pickled is refused."""
    with pytest.raises(ValueError, match="objects"):
        dump_arrays(a=np.array([{}], object))
