import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.errors import Code, RejectedInput
from functions.input_keys import (
    Group,
    InputFile,
    is_unfinished,
    output_stem,
    parse_input,
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


@given(NAMES, NAMES, st.text(), st.text())
def test_uploads_are_told_apart(job: str, file: str, identity: str, other: str) -> None:
    """Another upload of the same name has another record, the same one has the same."""
    made = InputFile("t", job, file)
    assert made.upload(identity) == InputFile("t", job, file).upload(identity)
    assert (made.upload(identity) == made.upload(other)) == (identity == other)
    assert made.upload(identity) != made.handled(identity)
    assert made.upload(identity).startswith(made.uploads)
    assert made.uploads.startswith(made.group.uploads)


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
        files[0].upload("e"),
    ):
        assert all(len(part.encode()) <= 255 for part in key.split("/"))


@given(NAMES, NAMES, NAMES, NAMES)
def test_pairs_are_told_apart(voice: str, face: str, other: str, another: str) -> None:
    """Two pairs of files have two places among what was planned."""
    group = Group("t", "job")
    same = (voice, face) == (other, another)
    assert (group.planned_pair(voice, face) == group.planned_pair(other, another)) == same
    assert group.planned_pair(voice, face).startswith(group.planned)
