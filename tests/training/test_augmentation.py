"""What happens to a voice on its way to the ear."""

import numpy as np
import pytest

from training.augmentation import babble_over, damage, music, noise

TONE = np.sin(2 * np.pi * 200 * np.arange(32_000) / 16_000).astype(np.float32) * 0.3


@pytest.mark.parametrize("seed", range(12))
def test_damage_keeps_time_and_bounds(seed: int) -> None:
    """However a voice is damaged, it keeps its length and stays finite and within -1..1."""
    chance = np.random.default_rng(seed)
    heard = damage(TONE, [TONE, TONE[::-1], TONE * 0.5], chance)
    assert heard.shape == TONE.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1


@pytest.mark.parametrize("made", [noise, music])
def test_negatives_sound(made: object) -> None:
    """Noise and music have the wanted length and are not silence."""
    sound = made(16_000, np.random.default_rng(3))  # type: ignore[operator]
    assert sound.shape == (16_000,)
    assert np.sqrt(np.mean(sound**2)) > 1e-3


def test_babble_is_as_loud_as_told() -> None:
    """At 0 dB the murmur carries as much energy as the voice, at 20 dB a hundredth."""
    others = [np.random.default_rng(i).standard_normal(9_000).astype(np.float32) for i in range(4)]
    for decibels in (0.0, 20.0):
        mixed = babble_over(TONE, others, decibels, np.random.default_rng(1))
        ratio = np.mean(TONE**2) / np.mean((mixed - TONE) ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(decibels, abs=0.1)
