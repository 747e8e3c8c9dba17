"""What the tracks make of a face's landmarks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.infer.lips import (
    CHIN,
    DRAWN_CURVE,
    LIPS,
    LOWER,
    LOWER_OUTER,
    MIDDLE,
    SKULL,
    UPPER,
    UPPER_OUTER,
    gap,
    goal,
    half_width,
    inside_lips,
    place,
    seam,
    shape,
)

REST = 0.3
SHUT = np.array([0, 0, 0, 0], np.float32)


def mouth(opened=0.0, width=0.0, close=0.0, teeth=0.0):
    return np.array([opened, width, close, teeth], np.float32)


def shown(lm, wanted, like=None):
    return place(lm, lm, shape(lm) if like is None else like, wanted).target


@given(opened=st.floats(0, 1), width=st.floats(-1, 1), close=st.floats(0, 1), teeth=st.floats(0, 1))
def test_lips_are_as_open_and_as_wide_as_asked(smile, opened, width, close, teeth):
    """Whatever the face does itself, the opening has the wanted height and width."""
    wanted = goal(mouth(opened, width, close, teeth), REST)
    target = shown(smile, wanted)
    assert gap(target) == pytest.approx(wanted.aperture, abs=1e-4)
    assert half_width(target) == pytest.approx(wanted.half_width, abs=1e-4)
    assert np.isfinite(target).all()


def test_an_open_mouth_closes_all_along(smile):
    """A smile that shows teeth has no gap anywhere when it is to be shut."""
    assert gap(smile) > 0.05
    target = shown(smile, goal(mouth(close=1), REST))
    assert np.abs(target[LOWER, 1] - target[UPPER, 1]).max() < 1e-3


def test_the_skull_stays_and_the_jaw_drops(smile):
    """Opening moves the chin down and leaves nose and cheekbones where they are."""
    shut, wide = (shown(smile, goal(mouth(opened), REST)) for opened in (0, 1))
    assert np.array_equal(shut[SKULL], smile[SKULL])
    assert np.array_equal(wide[SKULL], smile[SKULL])
    assert (
        wide[LIPS.stop + 13 : LIPS.stop + 27, 1] > shut[LIPS.stop + 13 : LIPS.stop + 27, 1]
    ).all()


def test_upper_lip_moves_less_than_the_lower(smile):
    """The upper lip makes a fifth of an opening, the jaw the rest."""
    shut, wide = (shown(smile, goal(mouth(opened), REST)) for opened in (0, 1))
    up = shut[UPPER, 1][5] - wide[UPPER, 1][5]
    down = wide[LOWER, 1][5] - shut[LOWER, 1][5]
    assert 0 < up < 0.4 * down


def test_rounding_narrows_and_shows_more_lip(smile):
    """A fully rounded mouth is at most two thirds as wide as at rest, and its lips are fuller."""
    rest, rounded = (shown(smile, goal(mouth(0.2, width), REST)) for width in (0, -1))
    assert half_width(rounded) <= 0.67 * half_width(rest)

    def full(target):
        above = target[UPPER, 1] - target[UPPER_OUTER, 1]
        below = target[LOWER_OUTER, 1] - target[LOWER, 1]
        return (above + below)[5]

    assert full(rounded) > 1.05 * full(rest)


def test_lip_to_teeth_leaves_a_slit(smile):
    """An f shows a slit where an m shows none, and its lower lip is raised."""
    sealed = shown(smile, goal(mouth(close=1), REST))
    touching = shown(smile, goal(mouth(teeth=1), REST))
    assert gap(sealed) < 1e-4
    assert 0.01 < gap(touching) < 0.05
    assert touching[LOWER, 1][5] < sealed[LOWER, 1][5] + 0.01


def test_lip_to_teeth_tucks_the_lower_lip(smile):
    """At an f less is seen of the lower lip than at as small an opening."""

    def thickness(wanted):
        target = shown(smile, wanted)
        return float((target[LOWER_OUTER, 1] - target[LOWER, 1])[MIDDLE])

    bitten = goal(mouth(teeth=1), REST)
    assert thickness(bitten) < 0.95 * thickness(replace(bitten, teeth=0.0))


def test_drawn_teeth_are_seen_at_an_f():
    """Lips' edges take half of a slit whose teeth are drawn, so it is wider; real ones will do."""
    real, drawn = (goal(mouth(teeth=1), REST, curve).aperture for curve in (1.0, DRAWN_CURVE))
    assert drawn > 1.5 * real


def test_an_f_opens_no_vowel_wider(smile):
    """A mouth that is open already is not opened by the teeth on its lip."""
    assert goal(mouth(0.3, teeth=0.5), 0.3).aperture == goal(mouth(0.3), 0.3).aperture


def test_a_drawn_opening_is_smaller_above_all_for_small_sounds():
    """Drawn mouths open less than real ones, and slits lose the most."""
    shares = [
        goal(mouth(opened), REST, DRAWN_CURVE).aperture / goal(mouth(opened), REST).aperture
        for opened in (0.1, 0.4, 1)
    ]
    assert shares == sorted(shares)
    assert shares[-1] < 0.9
    assert shares[0] < 0.6 * shares[-1]


def test_a_jaw_may_lag_behind_the_lips(smile):
    """Lips shut as told while the chin is still down, as in a p between two vowels."""
    quick, slow = (goal(mouth(close=1), REST, lowered=lowered) for lowered in (None, 0.5))
    shut, late = shown(smile, quick), shown(smile, slow)
    assert gap(late) == pytest.approx(0, abs=1e-4)
    assert np.array_equal(late[LIPS], shut[LIPS])
    assert (late[CHIN, 1] > shut[CHIN, 1] + 0.05).all()


def test_the_widest_mouth_is_wider_than_at_rest_by_what_speech_needs():
    """A spread mouth is as much wider as presenters' own are, and a round one narrow."""
    rounded, rest, spread = (goal(mouth(0, width), REST).half_width for width in (-1, 0, 1))
    assert rest == pytest.approx(REST)
    assert 1.1 < spread / rest < 1.2
    assert rounded < 0.7 * rest


def test_lips_follow_the_shape_of_others(smile):
    """Where real lips are thick, thick lips are wanted, but where this face's own lips meet."""
    other = shape(smile)
    other[1, :, 1] += 0.1
    wanted = goal(SHUT, REST)
    plain, thick = shown(smile, wanted), shown(smile, wanted, other)
    lower = slice(LOWER_OUTER.start + 1, LOWER_OUTER.stop - 1)
    assert np.allclose(thick[lower, 1] - plain[lower, 1], 0.1, atol=1e-5)
    assert seam(thick) == pytest.approx(seam(smile), abs=1e-4)


def test_edges_are_drawn_into_the_red(smile):
    """Lips that part are fetched from inside their edges; corners stay."""
    drawn = inside_lips(smile, 0.3)
    assert (drawn[UPPER, 1][1:-1] < smile[UPPER, 1][1:-1]).all()
    assert (drawn[LOWER, 1][1:-1] > smile[LOWER, 1][1:-1]).all()
    assert np.array_equal(drawn[UPPER][[0, -1]], smile[UPPER][[0, -1]])
