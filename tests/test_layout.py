from hypothesis import given
from hypothesis import strategies as st

from functions.input_keys import (
    is_unfinished,
)
from functions.layout import (
    FootageKeys,
    RunKeys,
    RunObject,
    VoiceKeys,
    parse_run_object,
    recent_prefix,
    run_of_recent,
    runs_prefix,
)

# Anything that a file system or an object store takes as one part of a path.
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda name: name not in (".", ".."))


@given(NAMES, NAMES, st.integers(0, 99_999))
def test_run_keys_round_trip(tenant: str, run: str, index: int) -> None:
    """What fires a function is read back from its key; all else of a run fires nothing."""
    keys = RunKeys(tenant, run)
    assert parse_run_object(keys.segment(index)) == RunObject(tenant, run, index, "segment")
    assert parse_run_object(keys.patches(index)) == RunObject(tenant, run, index, "patches")
    assert parse_run_object(keys.part(index)) == RunObject(tenant, run, index, "part")
    others = (keys.plan, keys.failed, keys.cancelled, keys.done, keys.part_report(index))
    assert [parse_run_object(key) for key in others] == [None] * 5
    assert all(key.startswith(keys.prefix) for key in others)
    assert keys.prefix.startswith(runs_prefix(tenant))
    assert not is_unfinished(keys.part(index))


@given(NAMES, st.text("0123456789abcdef", min_size=1), st.floats(0, 4e9), st.floats(0, 4e9))
def test_recent_runs_sort_newest_first(tenant: str, run: str, one: float, other: float) -> None:
    """In the order of their names, runs come newest first; the run is read back from the name."""
    keys = RunKeys(tenant, run)
    names = sorted([keys.recent(one), keys.recent(other)])
    assert names == [keys.recent(max(one, other)), keys.recent(min(one, other))]
    assert all(run_of_recent(name) == run for name in names)
    assert all(name.startswith(recent_prefix(tenant)) for name in names)


@given(NAMES, NAMES)
def test_analysis_keys_lie_together(tenant: str, digest: str) -> None:
    """All of an analysis lies under one prefix of its tenant, each object under its own key."""
    voice, footage = VoiceKeys(tenant, digest), FootageKeys(tenant, digest)
    keys = [
        *(voice.document, voice.samples, voice.sound),
        *(footage.document, footage.poster, footage.frames),
        *(footage.window(0), footage.window(1), footage.track(0), footage.track(1)),
        footage.prepared("viseme", "1", "bank.npz"),
    ]
    assert len(set(keys)) == len(keys)
    for key in keys:
        assert key.startswith((f"{tenant}/voice/{digest}/", f"{tenant}/footage/{digest}/"))
