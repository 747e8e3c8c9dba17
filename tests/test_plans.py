import dataclasses
import itertools
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analysis import Footage, Voice
from functions.input_keys import Group, InputFile
from functions.options import Options
from functions.plans import (
    Model,
    Plan,
    make_plan,
    run_id,
    source_frames,
)
from tests.sample_documents import FOOTAGE

GROUP = Group("t", "news")
VOICE, FACE = InputFile("t", "news", "a.wav"), InputFile("t", "news", "b.mp4")
MODEL = Model("viseme", "1")
RATES = [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60), Fraction(59, 2)]


def footage(rate: Fraction, kind: str = "video") -> Footage:
    return dataclasses.replace(
        FOOTAGE,
        kind=kind,  # type: ignore[arg-type]
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        frames=100,
        faces=100,
    )


def plan(
    seconds: float = 20.0,
    rate: Fraction = RATES[0],
    kind: str = "video",
    options: Options = Options(),  # noqa: B008 -- frozen
    segment_seconds: float = 8.0,
    made_at: float = 1.7e9,
    keyframe_distance: int = 1,
) -> Plan:
    return make_plan(
        GROUP,
        (VOICE, Voice("v-1", "v", seconds, 0.1, "wav")),
        (FACE, dataclasses.replace(footage(rate, kind), keyframe_distance=keyframe_distance)),
        MODEL,
        options,
        segment_seconds=segment_seconds,
        portrait_rate=25,
        output="a-b",
        made_at=made_at,
    )


@given(st.floats(0.001, 7200), st.sampled_from(RATES), st.floats(1, 60))
def test_frames_are_the_voice_times_the_rate(
    seconds: float, rate: Fraction, segment_seconds: float
) -> None:
    """An output has round(seconds x rate) frames, at least one, each in exactly one segment."""
    made = plan(seconds, rate, segment_seconds=segment_seconds)
    assert made.rate == rate
    assert abs(made.frames - Fraction(seconds) * rate) <= Fraction(1, 2) or made.frames == 1
    assert made.frames >= 1
    segments = [made.segment(index) for index in range(made.segments)]
    assert segments[0].start == 0
    assert segments[-1].stop == made.frames
    assert all(len(segment) > 0 for segment in segments)
    assert all(one.stop == other.start for one, other in itertools.pairwise(segments))
    assert all(len(segment) == made.segment_frames for segment in segments[:-1])


@pytest.mark.parametrize(
    ("distance", "frames"), [(1, 200), (12, 204), (50, 200), (250, 250), (300, 200), (9000, 200)]
)
def test_segments_begin_at_keyframes_where_these_are_near(distance: int, frames: int) -> None:
    """A segment is a whole number of keyframe distances, unless that would be far too long."""
    made = plan(60.0, Fraction(25), keyframe_distance=distance)
    assert made.segment_frames == frames


def test_portraits_get_the_rate_of_portraits() -> None:
    """A portrait, whose own rate means nothing, becomes video of the configured rate."""
    made = plan(4.0, Fraction(1), "portrait")
    assert (made.rate, made.frames) == (25, 100)


def naive_pingpong(frames: int, count: int) -> list[int]:
    place, step, shown = 0, 1, []
    for _ in range(count):
        shown.append(place)
        if frames > 1:
            if not 0 <= place + step < frames:
                step = -step
            place += step
    return shown


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 60))
def test_pingpong_walks_forth_and_back(frames: int, first: int, count: int) -> None:
    """Footage is walked frame by frame, turning at its ends; any segment sees its own part."""
    shown = list(source_frames(range(first, first + count), frames, "pingpong"))
    assert shown == naive_pingpong(frames, first + count)[first:]


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 60))
def test_restart_begins_again(frames: int, first: int, count: int) -> None:
    """Footage is played from its start again and again."""
    shown = list(source_frames(range(first, first + count), frames, "restart"))
    played = [frame for _ in range(first + count) for frame in range(frames)]
    assert shown == played[first : first + count]


def test_the_same_inputs_are_the_same_run() -> None:
    """The id tells voice, footage, job, model, options and cut; the time is no part of it."""
    base = plan()
    assert plan(made_at=1.0).run == base.run
    others = [
        plan(options=Options(loop="restart")),
        plan(segment_seconds=4.0),
        dataclasses.replace(
            base, run=run_id(Group("u", "news"), ("v-1", "f-1"), MODEL, Options(), 200)
        ),
        dataclasses.replace(base, run=run_id(GROUP, ("w-1", "f-1"), MODEL, Options(), 200)),
        dataclasses.replace(base, run=run_id(GROUP, ("f-1", "v-1"), MODEL, Options(), 200)),
        dataclasses.replace(
            base, run=run_id(GROUP, ("v-1", "f-1"), Model("viseme", "2"), Options(), 200)
        ),
    ]
    assert len({base.run, *(other.run for other in others)}) == len(others) + 1


def test_ids_are_the_same_in_every_process() -> None:
    """Two processes, with other hash seeds, give a run the same id."""
    code = (
        "from functions.plans import *; from functions.input_keys import Group\n"
        "from functions.options import Options\n"
        "print(run_id(Group('t','news'),('v-1','f-1'),Model('viseme','1'),Options(),200))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    assert said == plan().run
