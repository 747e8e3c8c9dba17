import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.errors import Code, RejectedInput
from functions.layout import (
    FootageKeys,
    Group,
    InputFile,
    RequestKeys,
    RunKeys,
    RunObject,
    VoiceKeys,
    is_request,
    is_unfinished,
    output_stem,
    parse_input,
    parse_run_object,
    recent_prefix,
    run_of_recent,
    runs_prefix,
    upload_key,
    upload_prefix,
    uploaded_name,
)

# Anything that a file system or an object store takes as one part of a path.
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda name: name not in (".", ".."))
PEOPLE_NAMES = st.text("ab -+%#.中", min_size=1, max_size=6).filter(
    lambda name: name.strip(".") == name
)


@given(NAMES, st.none() | NAMES, NAMES)
def test_input_keys_round_trip(tenant: str, job: str | None, file: str) -> None:
    """Every file of every job is found again from its key, whatever the names contain."""
    made = InputFile(tenant, job, file)
    assert parse_input(made.key) == made


@pytest.mark.parametrize(
    "key", ["", "a", "/a", "a/", "a//b", "a/b/", "/a/b", "a/b/c/d", "../a", "a/../b", "a/./b"]
)
def test_keys_at_no_place_are_refused(key: str) -> None:
    """A key without a tenant, below a job's folder, or with parts that name no place is refused."""
    with pytest.raises(RejectedInput) as caught:
        parse_input(key)
    assert caught.value.code is Code.BAD_KEY


@pytest.mark.parametrize(
    ("name", "unfinished"),
    [
        ("voice.wav", False),
        ("voice.part.wav", False),
        ("take #2.mp4", False),
        ("中文 100%.mp4", False),
        (".hidden.mp4", True),
        (".voice.wav.Xa81f2", True),
        ("~$voice.wav", True),
        ("voice.wav~", True),
        ("voice.wav.part", True),
        ("voice.mp4.crdownload", True),
        ("voice.wav.partial", True),
        ("voice.wav.tmp", True),
        (".voice.wav.swp", True),
        ("voice.wav#1", True),
        ("two\nlines.tmp", True),
    ],
)
def test_unfinished_names(name: str, unfinished: bool) -> None:
    """What editors, browsers, copy tools and the store write meanwhile is told by its name."""
    assert is_unfinished(f"default/job/{name}") is unfinished
    assert is_unfinished(name) is unfinished


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


def test_groups() -> None:
    """Files of a job are one group; loose files are grouped by stem and never with a job's."""
    job = InputFile("t", "news", "a.wav").group
    assert job == InputFile("t", "news", "b.mp4").group == Group("t", "news")
    loose = InputFile("t", None, "news.wav").group
    assert loose == InputFile("t", None, "news.mp4").group == Group("t", "news", loose=True)
    assert loose != job
    assert loose.uploads != job.uploads
    assert job.output("a-b", ".mp4") == "t/news/a-b.mp4"
    assert loose.output("news", ".error.json") == "t/news.error.json"


@given(NAMES, NAMES, st.none() | st.text(), st.integers(0))
def test_uploads_are_told_apart(job: str, file: str, etag: str | None, size: int) -> None:
    """Another content of the same name has another record, the same content the same one."""
    made = InputFile("t", job, file)
    assert made.upload(etag, size) == InputFile("t", job, file).upload(etag, size)
    assert made.upload(etag, size) != made.upload(etag, size + 1)
    assert made.upload(etag, size).startswith(made.group.uploads)


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("a.wav", "a"),
        ("a.b.wav", "a.b"),
        ("noext", "noext"),
        (".wav", ".wav"),
        ("中 文.mp4", "中 文"),
    ],
)
def test_stems(file: str, stem: str) -> None:
    """The stem is the name without its last suffix; a name that is all suffix keeps it."""
    assert InputFile("t", "j", file).stem == stem


def test_output_names() -> None:
    """An output is named after its voice and face, by whole names where stems are not enough."""

    def named(*files: str, job: str | None = "job") -> str:
        group = [InputFile("t", job, file) for file in files]
        return output_stem(group[0], group[1], group)

    assert named("hello.wav", "anna.mp4") == "hello-anna"
    assert named("take.wav", "take.mp4") == "take-take"
    assert named("take.wav", "take.mp4", job=None) == "take"
    assert named("a.wav", "anna.mp4", "anna.png") == "a-anna.mp4"
    assert named("a.wav", "anna.mp4", "a.mp3") == "a.wav-anna"


@example({"a", "a-b"}, {"b-c", "c"})
@example({"a", "a-a"}, {"a", "a-a"})
@given(st.sets(PEOPLE_NAMES, min_size=1, max_size=3), st.sets(PEOPLE_NAMES, min_size=1, max_size=3))
def test_outputs_of_a_job_never_share_a_name(voices: set[str], faces: set[str]) -> None:
    """Whatever the files of a job are called, no two of its runs write to the same output."""
    heard = [InputFile("t", "j", f"{name}.wav") for name in sorted(voices)]
    seen = [InputFile("t", "j", f"{name}.mp4") for name in sorted(faces)]
    pairs = list(itertools.product(heard, seen))
    stems = [output_stem(voice, face, heard + seen) for voice, face in pairs]
    assert len(set(stems)) == len(pairs)


def test_loose_outputs_never_share_a_name() -> None:
    """Two loose recordings of one stem, with a face, are two outputs."""
    files = [InputFile("t", None, name) for name in ("a.mp3", "a.wav", "a.mp4")]
    assert output_stem(files[0], files[2], files) != output_stem(files[1], files[2], files)


@given(st.text("中文a", min_size=60, max_size=84), st.text("中文b", min_size=60, max_size=84))
def test_long_names_stay_names(voice: str, face: str) -> None:
    """Names that a disk takes give outputs and error documents that it takes: 255 bytes a part."""
    files = [InputFile("t", "j", f"{voice}.w"), InputFile("t", "j", f"{face}.m")]
    stem = output_stem(*files, files)
    for key in (
        files[0].group.output(stem, ".error.json"),
        files[0].error,
        files[0].upload("e", 1),
    ):
        assert all(len(part.encode()) <= 255 for part in key.split("/"))


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_requests_sort_newest_first(one: float, other: float) -> None:
    """Requests are listed by time, and each name tells its request."""
    keys = RequestKeys("t", "r0123456789abcdef0123")
    assert run_of_recent(keys.recent(one)) == keys.request
    if int(one * 1000) < int(other * 1000):
        assert keys.recent(other) < keys.recent(one)


@pytest.mark.parametrize(
    ("job", "request_"),
    [
        ("r0123456789abcdef0123", True),
        ("r0123456789abcdef0123\n", False),
        ("r0123456789ABCDEF0123", False),
        ("report", False),
        (None, False),
    ],
)
def test_jobs_of_requests(job: str | None, request_: bool) -> None:
    """A request's folder is told by its name."""
    assert is_request(job) == request_


@given(NAMES, NAMES)
def test_uploads_are_not_looked_at(upload: str, file: str) -> None:
    """A file that waits for its request has a hidden name, from which its own can be read."""
    key = upload_key("t", upload, file)
    assert is_unfinished(key)
    assert uploaded_name(key) == file
    assert key.startswith(upload_prefix("t", upload))


@given(NAMES, NAMES, NAMES, NAMES)
def test_pairs_are_told_apart(voice: str, face: str, other: str, another: str) -> None:
    """Two pairs of files have two places among what was planned."""
    group = Group("t", "job")
    same = (voice, face) == (other, another)
    assert (group.planned_pair(voice, face) == group.planned_pair(other, another)) == same
    assert group.planned_pair(voice, face).startswith(group.planned)
