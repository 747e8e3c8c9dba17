import dataclasses
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import documents
from functions.check import (
    FARTHEST,
    Check,
    Tally,
    aperture,
    closures,
    judge,
    tally_closures,
    tally_sync,
    width,
)
from functions.check_evidence import Evidence
from functions.settings import CheckSettings

LIMITS = CheckSettings()


def speech(count: int, seed: int = 0) -> np.ndarray:
    """Openings as a voice has them: smooth, some syllables a second, `FARTHEST` more each side."""
    noise = np.random.default_rng(seed).normal(size=count + 2 * FARTHEST + 8)
    return np.convolve(noise, np.hanning(9), "valid")[: count + 2 * FARTHEST]


def synced(seen: np.ndarray, heard: np.ndarray) -> Tally:
    return tally_sync(seen, np.arange(len(seen)) + FARTHEST, heard)


def late(heard: np.ndarray, frames: int) -> np.ndarray:
    """A mouth that says all that is heard so many frames later."""
    return heard[FARTHEST - frames : len(heard) - FARTHEST - frames]


@pytest.mark.parametrize("frames", [-6, -2, 0, 1, 5])
def test_a_late_mouth_is_measured(frames: int) -> None:
    """The lag is the frames by which the mouth comes late; r is what it is without moving it."""
    heard = speech(300)
    check = judge(synced(0.03 + 0.05 * late(heard, frames), heard), LIMITS)
    assert check.lag == pytest.approx(frames, abs=0.2)
    wanted = np.corrcoef(late(heard, frames), heard[FARTHEST:-FARTHEST])[0, 1]
    assert check.r == pytest.approx(wanted, abs=1e-3)


def test_a_noisy_mouth_has_numpys_r() -> None:
    """The sums give Pearson's correlation as numpy computes it."""
    heard = speech(400, 1)
    seen = late(heard, 0) + np.random.default_rng(2).normal(size=400)
    wanted = np.corrcoef(seen, late(heard, 0))[0, 1]
    assert judge(synced(seen, heard), LIMITS).r == pytest.approx(wanted, abs=1e-3)


@given(st.lists(st.integers(1, 399), max_size=6), st.integers(0, 2**16))
def test_segments_add_up(cuts: list[int], seed: int) -> None:
    """However a video is cut, the sums of its segments are those of the whole."""
    heard = speech(400, seed)
    seen = late(heard, 2) + np.random.default_rng(seed).normal(size=400)
    edges = sorted({0, *cuts, 400})
    parts = [tally_sync(seen[a:b], np.arange(a, b) + FARTHEST, heard) for a, b in pairwise(edges)]
    joined, whole = judge(reduce(add, parts), LIMITS), judge(synced(seen, heard), LIMITS)
    assert joined.r == pytest.approx(whole.r, abs=2e-3)
    assert joined.frames == whole.frames == 400


def test_all_of_a_tally_is_added() -> None:
    """No field is forgotten when tallies are added."""
    lags = 2 * FARTHEST + 1
    values = {
        field.name: (2.0,) * lags if str(field.type).startswith("tuple") else 2
        for field in dataclasses.fields(Tally)
    }
    one = Tally(**values)  # type: ignore[arg-type]
    for field in dataclasses.fields(Tally):
        value = getattr(one + one, field.name)
        assert value == ((4.0,) * lags if isinstance(value, tuple) else 4)


def test_a_tally_is_kept_as_it_is() -> None:
    """A tally travels as JSON without losing a digit."""
    tally = synced(late(speech(50), 0) / 3, speech(50))
    assert documents.load(Tally, documents.dump(tally)) == tally


def test_closures_are_found_and_counted() -> None:
    """Each heard closure is due once; lips that close in it, or a frame beside it, make it."""
    close = np.zeros(40)
    close[5:7] = close[20] = close[30:33] = 0.9
    close[12] = 0.4
    due = closures(close)
    assert due == [(4, 8), (19, 22), (29, 34)]
    seen = np.full(40, 0.08)
    seen[7] = 0.01
    seen[30] = 0.03
    tally = tally_closures(seen, due)
    assert (tally.closures_due, tally.closures_made) == (3, 1)


def test_a_closure_that_was_not_seen_is_not_counted() -> None:
    """Where a frame has no face nobody can say whether its closure was made."""
    seen = np.full(20, 0.0)
    seen[6] = np.nan
    tally = tally_closures(seen, [(4, 8), (12, 15)])
    assert (tally.closures_due, tally.closures_made) == (1, 1)


def test_a_closure_at_either_end_is_no_error() -> None:
    """The leeway stays within the video."""
    assert closures(np.array([1.0, 0.0, 0.0, 1.0])) == [(0, 2), (2, 4)]


GOOD = synced(0.05 * late(speech(300), 0), speech(300)) + Tally(
    closures_due=20,
    closures_made=19,
    flicker=80.0,
    flickers=20,
    source_flicker=80.0,
    sharpness=90.0,
    source_sharpness=100.0,
)


def test_what_is_good_passes() -> None:
    """In step, closed where it should be, steady and sharp: nothing falls short."""
    check = judge(GOOD, LIMITS)
    assert (check.verdict, check.why) == ("passed", ())
    assert (check.closures_due, check.closures_made) == (20, 19)
    assert (check.flicker, check.sharpness) == (1.0, 0.9)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"closures_made": 3}, "3 of 20 closures"),
        ({"flicker": 180.0}, "flicker is 2.25"),
        ({"sharpness": 20.0}, "sharpness is 0.20"),
        ({"both": (0.0,) * (2 * FARTHEST + 1)}, "r is"),
    ],
)
def test_what_falls_short_is_named(changed: dict[str, object], said: str) -> None:
    """Each limit can fail by itself, and the reason says the figure."""
    check = judge(dataclasses.replace(GOOD, **changed), LIMITS)  # type: ignore[arg-type]
    assert check.verdict == "failed"
    assert any(said in reason for reason in check.why), check.why


def test_a_late_mouth_fails() -> None:
    """A mouth five frames late is called so, though it says the right words."""
    heard = speech(300)
    check = judge(synced(late(heard, 5), heard), LIMITS)
    assert any("off by +5" in reason for reason in check.why)


@pytest.mark.parametrize(
    "tally",
    [
        Tally(),
        synced(late(speech(10), 0), speech(10)),
        synced(np.full(300, 0.04), speech(300)),
        synced(late(speech(300), 0), np.zeros(300 + 2 * FARTHEST)),
    ],
    ids=["nothing", "short", "still mouth", "silence"],
)
def test_too_little_is_no_verdict(tally: Tally) -> None:
    """A few frames, a mouth that never moves, or silence: nothing is measured, nothing fails."""
    check = judge(tally, LIMITS)
    assert check.verdict == "unmeasured"
    assert check.why
    assert check.r is None


NATURAL = synced(late(speech(300), 0) + 2 * late(speech(300, 7), 0), speech(300))
"""A third of what this mouth does is what is said: r is .45 or so."""


@pytest.mark.parametrize(
    ("evidence", "verdict", "lag"),
    [
        (Evidence(5.0, 0.4, 12.0), "passed", 0.4),
        (Evidence(5.0, 0.4, 5.0), "passed", 0.4),
        (Evidence(5.0, -4.6, 12.0), "failed", -4.6),
        (Evidence(2.0, 0.4, 12.0), "failed", None),
        (Evidence(3.4, 0.4, 12.0), "unmeasured", None),
        (Evidence(2.0, 0.4, 5.0), "unmeasured", None),
        (None, "unmeasured", None),
    ],
    ids=["in time", "short and in time", "early", "other words", "neither", "short", "very short"],
)
def test_people_as_they_were_filmed(
    evidence: Evidence | None, verdict: str, lag: float | None
) -> None:
    """What nobody made passes where it stands out from chance in time, however low its r."""
    check = judge(NATURAL, CheckSettings(min_r=0.6), evidence, made=False)
    assert check.verdict == verdict, check
    if lag is not None:
        assert check.lag == lag
    assert check.confidence == (evidence and evidence.confidence)
    assert bool(check.why) == (verdict != "passed")


def test_what_was_made_is_held_to_more() -> None:
    """The same low r and the same open closures fail a mouth that was made to follow."""
    tally = NATURAL + Tally(closures_due=20, closures_made=3)
    evidence = Evidence(9.0, 0.0, 12.0)
    limits = CheckSettings(min_r=0.6)
    assert judge(tally, limits, evidence, made=False).verdict == "passed"
    check = judge(tally, limits, evidence)
    assert check.verdict == "failed"
    assert len(check.why) == 2


def test_a_mouth_in_step_needs_no_evidence() -> None:
    """A high r says enough, of the shortest video, too."""
    assert judge(GOOD, LIMITS, made=False).verdict == "passed"


def test_width_is_in_eye_distances() -> None:
    """Corners sixty pixels apart under eyes a hundred apart: .6."""
    landmarks = np.zeros((1, 468, 2))
    landmarks[:, 263, 0] = 100
    landmarks[:, 291, 0] = 60
    assert width(landmarks) == pytest.approx([0.6])


def test_a_still_source_has_no_flicker_to_compare() -> None:
    """A portrait's own flicker is nothing, so no multiple of it is reported."""
    assert judge(dataclasses.replace(GOOD, source_flicker=0.0), LIMITS).flicker is None


def test_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes is the operator's to say."""
    monkeypatch.setenv("KOUBO_CHECK_MIN_CLOSURES", "0.99")
    monkeypatch.setenv("KOUBO_CHECK_GATE", "true")
    limits = CheckSettings()
    assert limits.gate
    assert judge(GOOD, limits).verdict == "failed"


def test_aperture_is_in_eye_distances() -> None:
    """Lips ten pixels apart under eyes a hundred apart: a tenth, at any size of the face."""
    landmarks = np.zeros((2, 468, 2))
    landmarks[:, 263, 0] = 100
    landmarks[:, [14, 87, 317], 1] = 10
    landmarks[1] *= 3
    assert aperture(landmarks) == pytest.approx([0.1, 0.1])


def test_a_check_is_a_document() -> None:
    """The report's check reads back as it was written."""
    check = judge(GOOD, LIMITS)
    assert documents.load(Check, documents.dump(check)) == check
