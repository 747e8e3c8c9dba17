"""Which mouths are shown, and how one gives way to another."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.infer.bank import Bank
from functions.infer.choice import BLOCK, NEAR, Wanted, blend, choose, inert, reach
from functions.infer.flow import MOUTH
from functions.plans import source_frames

REST = 0.3
FRAMES = 60


def make_bank(apertures, widths=None, *, teeth=0.5, step=2):
    count = len(apertures)
    features = np.zeros((count, 8), np.float32)
    features[:, 0] = apertures
    features[:, 1] = REST if widths is None else widths
    features[:, 2:4] = 0.5, 0.8
    features[:, 4:7] = 120, teeth, 3
    rows, columns = MOUTH.at(256)
    return Bank(
        size=256,
        rest=REST,
        frames=np.arange(count) * step,
        landmarks=np.zeros((count, 109, 2), np.float32),
        features=features,
        poses=np.tile(np.float32((0.5, 0.8)), (FRAMES, 1)),
        light=np.full(FRAMES, 120, np.float32),
        mouths=np.zeros((count, rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8),
    )


def chosen_for(bank, mouth, first, last):
    """The choice for some frames of a timeline with these tracks, and silence after them."""
    low, high = reach(first, last)
    tracks = np.zeros((high - low, 4), np.float32)
    part = mouth[low:high]
    tracks[: len(part)] = part
    shown = np.array(list(source_frames(range(low, high), FRAMES, "pingpong")))
    return choose(bank, Wanted(low, tracks, shown), first, last)


def speech(frames, seed=0):
    dice = np.random.default_rng(seed)
    at = np.arange(frames)
    opened = np.clip(0.4 + 0.4 * np.sin(at / 2.1) + 0.1 * dice.normal(size=frames), 0, 1)
    shut = (at % 11 < 2).astype(float)
    tracks = np.stack([opened * (1 - shut), 0.5 * np.sin(at / 5), shut, 0 * at], 1)
    return tracks.astype(np.float32)


@given(cuts=st.lists(st.integers(1, 199), max_size=6, unique=True))
@settings(max_examples=12)
def test_a_choice_does_not_depend_on_how_the_timeline_is_cut(cuts):
    """Each frame shows the same mouth in one long segment and in any short one."""
    bank, tracks = make_bank(np.linspace(0, 0.25, 40)), speech(200)
    whole = chosen_for(bank, tracks, 0, 200)[NEAR:-NEAR]
    edges = [0, *sorted(cuts), 200]
    parts = [chosen_for(bank, tracks, a, b)[NEAR:-NEAR] for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_neighbours_of_a_segment_are_the_neighbouring_segments():
    """What a blend looks at beyond a segment's end is what the next segment shows there."""
    bank, tracks = make_bank(np.linspace(0, 0.25, 40)), speech(200)
    whole = chosen_for(bank, tracks, 0, 200)
    part = chosen_for(bank, tracks, BLOCK - 3, BLOCK + 9)
    assert np.array_equal(part, whole[BLOCK - 3 : BLOCK + 9 + 2 * NEAR])


def test_closed_lips_show_a_closed_mouth():
    """At a p, b or m the mouth that is chosen is shut, however open its neighbours are."""
    bank = make_bank(np.linspace(0.0, 0.25, 40))
    tracks = speech(96)
    chosen = chosen_for(bank, tracks, 0, 96)[NEAR:-NEAR]
    shut = tracks[:, 2] > 0.5
    assert bank.features[chosen[shut], 0].max() <= 0.02
    seen = np.corrcoef(bank.features[chosen, 0], tracks[:, 0])[0, 1]
    assert seen > 0.95


def test_a_rounded_mouth_is_a_narrow_one():
    """Of equally open mouths the narrow ones are shown where the lips are rounded."""
    bank = make_bank(np.full(20, 0.06), np.linspace(0.18, 0.33, 20))
    tracks = np.tile(np.float32((0.3, -1, 0, 0)), (48, 1))
    tracks[24:, 1] = 0.3
    width = bank.features[chosen_for(bank, tracks, 0, 48)[NEAR:-NEAR], 1]
    assert width[4:20].max() < 0.22
    assert width[28:].min() > 0.28


def test_the_same_pose_is_preferred():
    """Of mouths alike the one is shown whose head is turned as in the frame."""
    bank = make_bank(np.full(10, 0.05))
    bank.features[:, 2] = np.linspace(0.2, 0.8, 10)
    bank.poses[:, 0] = 0.75
    chosen = chosen_for(bank, np.tile(np.float32((0.25, 0, 0, 0)), (30, 1)), 0, 30)
    assert bank.features[chosen, 2].min() > 0.65


def test_teeth_are_looked_for_at_an_f():
    """Of mouths alike the one that shows teeth is shown with the lip under them."""
    bank = make_bank(np.full(10, 0.02))
    bank.features[:, 5] = [0, 0, 0, 0.6, 0, 0, 0, 0, 0, 0]
    chosen = chosen_for(bank, np.tile(np.float32((0.05, 0, 0, 1)), (20, 1)), 0, 20)
    assert set(chosen[NEAR : NEAR + 16].tolist()) == {3}


def test_a_wider_mouth_lends_its_teeth_to_an_f():
    """Teeth are worth a mouth that is opened wider; where nothing is bitten it isn't taken."""
    bank = make_bank([0.01 * REST, 0.3 * REST], teeth=0.5, step=7)
    bitten = np.tile(np.float32((0.05, 0, 0, 1)), (80, 1))
    assert np.all(chosen_for(bank, bitten, 0, 20)[NEAR:-NEAR] == 1)
    assert np.all(chosen_for(bank, bitten * (1, 1, 1, 0), 0, 20)[NEAR:-NEAR] == 0)


def test_natural_motion_is_kept():
    """A face that says already what it is to say keeps its own frames, one after the other."""
    opened = 0.5 + 0.4 * np.sin(np.arange(FRAMES) / 3)
    bank = make_bank(opened * 0.66 * REST, step=1)
    tracks = np.zeros((FRAMES, 4), np.float32)
    tracks[:, 0] = opened
    chosen = chosen_for(bank, tracks, 0, FRAMES)[NEAR:-NEAR]
    assert (np.abs(np.diff(chosen)) <= 1).mean() > 0.75


def test_a_footage_of_one_mouth_shows_that():
    """A portrait has one mouth and no choice."""
    chosen = chosen_for(make_bank([0.01]), speech(10), 0, 10)
    assert chosen.tolist() == [0] * (10 + 2 * NEAR)


@pytest.mark.parametrize("seed", range(3))
def test_weights_add_up_and_change_gently(seed):
    """Every frame's weights make 1, and no mouth appears or goes by more than a third at once."""
    bank, tracks = make_bank(np.linspace(0, 0.25, 40)), speech(150, seed)
    blends = list(blend(chosen_for(bank, tracks, 0, 150), bank))
    assert len(blends) == 150
    table = np.zeros((150, 40))
    for at, mouths in enumerate(blends):
        for place, weight in mouths:
            table[at, place] = weight
    assert np.allclose(table.sum(1), 1, atol=1e-5)
    # Mouths next to each other in the footage go on from one another, as they were filmed.
    assert (table > 0).sum(1).max() <= 2 * NEAR + 1
    assert (table > 0).sum(1).min() >= 1


def test_a_jump_fades():
    """Around a jump both mouths are shown, the new one more and more."""
    bank = make_bank([0, 0.1], step=20)
    places = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    share = [dict(mouths).get(1, 0.0) for mouths in blend(places, bank)]
    assert share == pytest.approx([0, 1 / 9, 3 / 9, 6 / 9, 8 / 9, 1], abs=1e-6)


def test_the_jaw_follows_without_delay_and_less_abruptly():
    """A jaw rises for a short closure only in part, moves less suddenly, and keeps what is held."""
    opened = np.full(21, 0.6, np.float32)
    opened[10] = 0
    jaw = inert(opened)
    assert jaw[10] == jaw.min()
    assert np.allclose(jaw, jaw[::-1])
    assert 0.3 < jaw[10] < 0.6
    assert np.abs(np.diff(jaw, 2)).max() < 0.3 * np.abs(np.diff(opened, 2)).max()
    assert np.allclose(jaw[[0, -1]], 0.6)


def test_rounded_lips_take_a_mouth_without_teeth():
    """Of mouths that fit as well, a pout shows one whose teeth are hidden; a vowel any."""
    bank = make_bank([0.03] * 8, [0.2] * 8)
    bank.features[1::2, 5] = 0.0
    round_mouth, plain = (np.tile(np.float32((0.12, width, 0, 0)), (8, 1)) for width in (-0.8, 0))
    pouted = chosen_for(bank, round_mouth, 0, 8)
    assert (bank.features[pouted, 5] == 0).all()
    assert (bank.features[chosen_for(bank, plain, 0, 8)[:NEAR], 5] > 0).all()
