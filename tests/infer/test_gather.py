"""Looking through a footage for its mouths."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analysis import Chunk
from functions.errors import RejectedInput
from functions.infer.flow import MOUTH
from functions.infer.gather import MOST, gather, patch_size, spread_out, visits
from functions.infer.manifest import Crop
from functions.picture import Picture

CROP = Crop(256, 1.85, 0.78)


@pytest.mark.parametrize(
    ("side", "size"), [(60, 256), (256, 256), (320, 256), (330, 384), (480, 384), (900, 512)]
)
def test_a_larger_face_gets_a_larger_patch(side, size):
    """A patch is at most a quarter smaller than what it replaces, up to the largest size."""
    assert patch_size(side, "video") == size


@pytest.mark.parametrize(("side", "size"), [(110, 256), (200, 384), (320, 512), (2000, 512)])
def test_a_portrait_gets_a_finer_patch(side, size):
    """A photograph is sharper than video: its patch has half as many pixels again as its face."""
    assert patch_size(side, "portrait") == size


@given(count=st.integers(1, 400), most=st.integers(1, 120), seed=st.integers(0, 2**32 - 1))
def test_what_is_kept_is_spread_over_all_shapes(count, most, seed):
    """At most so many, in order, none twice, and with room for all of them the rare ones too."""
    dice = np.random.default_rng(seed)
    shapes = dice.integers(0, 2, (count, 1)) + dice.uniform(0, 0.01, (count, 4))
    shapes[0] = 4  # one that is like no other
    kept = spread_out(shapes, most)
    assert len(kept) == min(count, most)
    assert (np.diff(kept) > 0).all()
    assert np.array_equal(kept, spread_out(shapes, most))
    if most > 100:
        assert kept[0] == 0


def test_a_bank_holds_what_the_frames_show(studio):
    """A mouth's pixels are the crop's, and its frame, pose and light are known."""
    footage = studio([6, 6], faceless=[3])
    bank = gather(footage, CROP)
    assert bank.size == 256
    assert bank.frames.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    rows, columns = MOUTH.at(256)
    assert bank.mouths.shape[1:3] == (rows.stop - rows.start, columns.stop - columns.start)
    assert bank.mouths.std() > 10
    assert np.isnan(bank.poses[3]).all()
    assert np.isfinite(np.delete(bank.poses, 3, 0)).all()
    assert 60 < bank.light.mean() < 220
    assert 0.2 < bank.rest < 0.5


def test_chunks_do_not_show(studio):
    """However ingest cut the footage, the same mouths are kept."""
    whole, parts = (gather(studio(chunks), CROP) for chunks in ([12], [5, 7]))
    assert np.array_equal(whole.frames, parts.frames)
    assert np.array_equal(whole.landmarks, parts.landmarks)
    assert np.allclose(whole.features, parts.features, rtol=0.02, atol=1e-3)


def test_a_hand_before_the_mouth_is_left_out(studio):
    """A mouth that looks like none of the others is hidden by something."""
    footage = studio([24])
    hidden = footage.shots[11].picture
    y = hidden.y.copy()
    x0, y0 = footage.shots[11].landmarks[[61, 291, 0, 17]].min(0).astype(int) - 20
    x1, y1 = footage.shots[11].landmarks[[61, 291, 0, 17]].max(0).astype(int) + 20
    y[y0:y1:2, x0:x1] = 20
    y[y0 : (y0 + y1) // 2, x0:x1] = 240
    # A shot of its own: those of the studio are shared by all tests.
    footage.shots[11] = replace(footage.shots[11], picture=Picture(y, hidden.u, hidden.v))
    assert set(range(24)) - set(gather(footage, CROP).frames.tolist()) == {11}


@pytest.mark.slow
def test_a_long_footage_costs_little(studio):
    """Only the windows that are looked at are decoded, and a bank has a fixed size at most."""
    footage = studio([40] * 14)
    bank = gather(footage, CROP)
    assert len(bank.frames) <= MOST
    assert len(bank.poses) == 560
    assert len(footage.decoded) <= 1.5 * MOST < 560


def test_a_doubtful_face_gives_no_mouth(studio):
    """Landmarks that ingest interpolated say nothing about the lips in that frame."""
    footage = studio([12])
    footage.tracks[0].confidence[5] = 0.3
    assert 5 not in gather(footage, CROP).frames


def test_footage_without_any_face_is_refused(studio):
    """There is nothing to gather, and the sender is told."""
    with pytest.raises(RejectedInput, match="no_face"):
        gather(studio([3], faceless=[0, 1, 2]), CROP)


@given(counts=st.lists(st.integers(1, 250), min_size=1, max_size=400))
def test_of_an_hour_some_chunks_are_opened(counts):
    """All chunks of a short footage; of a long one every so many, to some 3000 frames."""
    chunks = [Chunk(index, 0, count, 16, 16) for index, count in enumerate(counts)]
    visited = visits(chunks)
    if sum(counts) <= 3000:
        assert visited == chunks
    assert visited[0] == chunks[0]
    assert len({b.index - a.index for a, b in itertools.pairwise(visited)}) <= 1
    assert len(visited) <= -(-3000 * len(chunks) // sum(counts)) + 1
