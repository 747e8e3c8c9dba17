"""How loud a voice is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.loudness import BLOCK, block_levels, speech_level


def test_level_of_a_tone_between_pauses() -> None:
    """Pauses and one click don't change the level of the speech between them."""
    tone = 0.2 * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    samples = np.concatenate([np.zeros(48_000), tone, np.zeros(16_000)]).astype(np.float32)
    samples[100] = 1.0
    assert speech_level(block_levels(samples)) == pytest.approx(0.2, rel=1e-3)


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, BLOCK - 1))
def test_pieces_are_the_whole(lengths: list[int], rest: int) -> None:
    """The levels of pieces of whole blocks, joined, are those of the recording."""
    count = sum(lengths) * BLOCK + rest
    samples = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    cuts = np.cumsum(lengths) * BLOCK
    pieces = np.split(samples, cuts)
    joined = np.concatenate([block_levels(piece) for piece in pieces])
    assert (joined == block_levels(samples)).all()


def test_too_short() -> None:
    """A recording shorter than a block has no level."""
    assert speech_level(block_levels(np.ones(BLOCK - 1, np.float32))) == 0.0
