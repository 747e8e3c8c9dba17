"""What is kept of a footage's mouths."""

import numpy as np
import pytest

from functions.infer.bank import Bank
from functions.infer.flow import MOUTH
from functions.infer.lips import DRAWN_CURVE


@pytest.fixture
def bank():
    dice = np.random.default_rng(3)
    rows, columns = MOUTH.at(256)
    shape = (5, rows.stop - rows.start, columns.stop - columns.start, 3)
    poses = np.array([[0.5, 0.8], [np.nan, np.nan], [0.4, 0.7], [0.5, 0.8]], np.float32)
    return Bank(
        size=256,
        rest=0.3,
        frames=np.arange(0, 10, 2),
        landmarks=dice.normal(size=(5, 109, 2)).astype(np.float32),
        features=dice.random((5, 8), np.float32),
        poses=poses,
        light=np.full(4, 120, np.float32),
        mouths=dice.integers(0, 256, shape, np.uint8),
    )


def test_a_bank_is_read_as_it_was_written(bank):
    """Pixels, landmarks and features come back to the bit, poses and light nearly."""
    again = Bank.load(bank.dump())
    assert (again.size, again.rest) == (256, pytest.approx(0.3))
    for name in ("frames", "landmarks", "features", "mouths"):
        assert np.array_equal(getattr(again, name), getattr(bank, name))
    assert np.allclose(again.poses, bank.poses, atol=1e-3, equal_nan=True)
    assert np.allclose(again.light, bank.light)


def test_equal_banks_are_equal_bytes(bank):
    """Two workers that gather the same mouths store the same object."""
    assert bank.dump() == bank.dump()


@pytest.mark.parametrize(("widest", "speaks"), [(0.0, False), (0.03, False), (0.2, True)])
def test_a_bank_speaks_where_some_mouths_are_open(bank, widest, speaks):
    """A face that keeps its mouth shut has drawn openings, whose sizes follow another curve."""
    bank.features[:, 0] = np.linspace(0, widest, 5)
    assert bank.speaks is speaks
    assert bank.curve == (1.0 if speaks else DRAWN_CURVE)
