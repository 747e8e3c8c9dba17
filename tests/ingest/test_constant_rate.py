import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ingest.constant_rate import at_constant_rate, choose_rate

RATES = [
    *(Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(50), Fraction(60000, 1001), Fraction(60)),
]
BASES = [Fraction(1, n) for n in (90_000, 12_800, 15_360, 1_000_000, 1000, 600)]


def spread(times: list[int], base: Fraction, rate: Fraction) -> list[tuple[int, int, int]]:
    return list(at_constant_rate(((t, n) for n, t in enumerate(times)), base, rate))


@given(
    st.sampled_from(RATES),
    st.sampled_from(BASES),
    st.integers(1, 400),
    st.integers(-10_000, 10_000),
    st.sampled_from(["down", "near", "up"]),
)
def test_constant_frames_are_shown_once(
    rate: Fraction, base: Fraction, count: int, start: int, rounding: str
) -> None:
    """Frames at the constant rate are each shown once, however their times were rounded."""
    exact = [Fraction(i) / rate / base + start for i in range(count)]
    shift = {"down": Fraction(0), "near": Fraction(1, 2), "up": Fraction(999, 1000)}[rounding]
    times = [(time + shift).__floor__() for time in exact]
    assert spread(times, base, rate) == [(time, i, 1) for i, time in enumerate(times)]


@given(st.lists(st.integers(-50, 4000), min_size=1, max_size=60), st.sampled_from(RATES))
def test_any_times(times: list[int], rate: Fraction) -> None:
    """Whatever the times: counts are positive, order is kept, the length is that of the times."""
    base = Fraction(1, 1000)
    shown = spread(times, base, rate)
    assert all(count >= 1 for *_, count in shown)
    items = [item for _, item, _ in shown]
    assert items == sorted(set(items))
    assert all(times[item] == pts for pts, item, _ in shown)
    total = sum(count for *_, count in shown)
    # From the first frame to the last one that came in order, which itself is shown once.
    length = (max(times) - times[0]) * base * rate
    assert Fraction(-1, 3) <= total - 1 - max(length, 0) < Fraction(2, 3)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=60).map(
        lambda gaps: [sum(gaps[:n]) for n in range(len(gaps))]
    ),
    st.sampled_from(RATES),
)
def test_uneven_frames_are_shown_at_their_time(times: list[int], rate: Fraction) -> None:
    """Output frame i shows the last source frame that begins in the first third of i's time."""
    base = Fraction(1, 1000)
    shown = [item for _, item, count in spread(times, base, rate) for _ in range(count)]
    for i, item in enumerate(shown[:-1]):
        third = (Fraction(i) + Fraction(1, 3)) / rate / base + times[0]
        assert item == max(n for n, time in enumerate(times) if time <= third)
    assert shown[-1] == len(times) - 1


def test_nothing_gives_nothing() -> None:
    """No frames, no output."""
    assert spread([], Fraction(1, 25), Fraction(25)) == []


@given(
    st.sampled_from(RATES),
    st.sampled_from([2, 4]),
    st.sampled_from(["down", "near", "up"]),
    st.integers(0, 1000),
)
def test_faster_footage_is_thinned_evenly(
    rate: Fraction, times: int, rounding: str, start: int
) -> None:
    """Of footage at a multiple of the rate every n-th frame is shown, whatever the rounding."""
    base = Fraction(1, 1000)  # the coarsest that is usual
    shift = {"down": Fraction(0), "near": Fraction(1, 2), "up": Fraction(999, 1000)}[rounding]
    stamps = [(Fraction(i) / (rate * times) / base + start + shift).__floor__() for i in range(240)]
    shown = spread(stamps, base, rate)
    assert {count for *_, count in shown} == {1}
    places = [item for _, item, _ in shown[:-1]]
    assert {after - before for before, after in itertools.pairwise(places)} == {times}
    assert places[0] < times / 2


@pytest.mark.parametrize(
    ("nominal", "rate"),
    [
        *((rate, rate) for rate in RATES),
        (Fraction(12), Fraction(12)),
        (Fraction(25, 2), Fraction(25, 2)),
        (Fraction(15), Fraction(15)),
        (Fraction(120), Fraction(60)),
        (Fraction(240), Fraction(60)),
        (Fraction(120_000, 1001), Fraction(60_000, 1001)),
        (Fraction(100), Fraction(50)),
        (Fraction(2997, 100), Fraction(30_000, 1001)),
        (Fraction(24_003, 997), Fraction(24)),
        (Fraction(5337, 233), Fraction(23)),
        (Fraction(1, 10), Fraction(1)),
        (Fraction(1, 2), Fraction(1)),
        (Fraction(90_000), Fraction(44)),
    ],
)
def test_rates(nominal: Fraction, rate: Fraction) -> None:
    """Exact rates stay, averaged ones become the usual one beside them, high ones are halved."""
    assert choose_rate(nominal, 60) == rate


@given(st.fractions(Fraction(1, 100), 100_000), st.integers(1, 120))
def test_any_rate_becomes_one_within_the_limit(nominal: Fraction, limit: int) -> None:
    """Whatever a file states, the rate is at least 1 and no more than the limit."""
    assert 1 <= choose_rate(nominal, limit) <= limit
