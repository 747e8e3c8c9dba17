"""What a bank holds of all that speech needs."""

from dataclasses import replace

import numpy as np
import pytest

from functions.infer.gather import gather
from functions.infer.manifest import Crop
from functions.infer.showing import showing


@pytest.fixture
def bank(studio):
    return gather(studio([12]), Crop(256, 1.85, 0.78))


def seen(bank):
    return {need.what: need.seen for need in showing(bank)}


def test_a_smile_shows_teeth_and_no_closed_lips(bank):
    """The swaying astronaut shows teeth in every frame, and nothing else of speech."""
    found = seen(bank)
    assert found["teeth"]
    assert not found["closed mouth"]
    assert not found["rounded lips"]
    assert not found["many mouths"]


def test_a_speaker_shows_all(bank):
    """Mouths from shut to wide open, some of them narrow: nothing has to be made up."""
    many = 80
    features = np.tile(bank.features[:1], (many, 1))
    features[:, 0] = np.linspace(0, 0.6, many) * bank.rest
    features[:, 1] = np.linspace(0.7, 1.1, many) * bank.rest
    speaker = replace(bank, features=features, frames=np.arange(many))
    assert all(seen(speaker).values())
