from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import Code, RejectedInput
from functions.options import FaceChoice, Label, Options, parse_face, parse_options, write_options


def refusal(text: bytes) -> str:
    with pytest.raises(RejectedInput) as caught:
        parse_options(text)
    assert caught.value.code is Code.BAD_OPTIONS
    return caught.value.what


def test_nothing_said_means_the_defaults() -> None:
    """An empty file asks for what no file asks for."""
    assert parse_options(b"") == Options()
    assert Options().label == Label("zh", whole=False)


def test_everything_said_is_taken() -> None:
    """Each option can be chosen; comments and a byte order mark, as editors leave it, are fine."""
    text = """
        # our morning show
        model = "wav2lip"
        loop = "restart"
        quality = "quality"
        label_language = "en"
        label_whole = true
    """
    wanted = Options("wav2lip", "restart", "quality", "en", label_whole=True)
    assert parse_options(b"\xef\xbb\xbf" + text.encode()) == wanted
    assert wanted.label == Label("en", whole=True)


names = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(
    st.builds(
        Options,
        model=names,
        loop=st.sampled_from(["pingpong", "restart"]),
        quality=st.sampled_from(["speed", "standard", "quality"]),
        label_language=st.sampled_from(["zh", "en"]),
        label_whole=st.booleans(),
    )
)
def test_what_is_written_is_read(options: Options) -> None:
    """Options written as koubo.toml are the same when they are read, whatever a model is called."""
    assert parse_options(write_options(options)) == options


def test_a_misspelt_key_is_named_with_the_right_one() -> None:
    """The refusal says which key is unknown and which one was probably meant."""
    said = refusal(b'qualty = "speed"\nlop = "restart"')
    assert "'qualty'" in said
    assert "'quality'" in said
    assert "'loop'" in said


def test_a_foreign_key_gets_the_list() -> None:
    """Where nothing is near, all known keys are listed."""
    said = refusal(b"zzz = 1")
    assert "'zzz'" in said
    assert all(name in said for name in Options.__dataclass_fields__)


@pytest.mark.parametrize("text", ['loop = "backwards"', "quality = 3", 'label_whole = "perhaps"'])
def test_a_wrong_value_is_named(text: str) -> None:
    """The refusal names the option and what stands there."""
    name, _, value = text.partition(" = ")
    said = refusal(text.encode())
    assert name in said
    assert value.strip('"') in said


@pytest.mark.parametrize(
    "text",
    [
        b"loop = ",
        b"\xff\xfe\x00",
        b"model = 'a'\nmodel = 'b'",
        b"model = " + b"9" * 5000,
        b"model = " + b"[" * 5000,
    ],
    ids=["half", "bytes", "twice", "digits", "nested"],
)
def test_no_toml_is_refused(text: bytes) -> None:
    """What is no TOML, or more than TOML readers stand, is refused in words."""
    assert "koubo.toml" in refusal(text)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_text_gets_past(text: bytes) -> None:
    """Any content is either options or a refusal; nothing else ever comes out."""
    with suppress(RejectedInput):
        assert isinstance(parse_options(text), Options)


@pytest.mark.parametrize(
    ("text", "choice"), [("largest", "largest"), ("left", "left"), ("2", 2), ("99", 99)]
)
def test_a_face_is_named_on_a_command_line(text: str, choice: FaceChoice) -> None:
    """The same names as in a `koubo.toml`."""
    assert parse_face(text) == choice


@pytest.mark.parametrize("text", ["", "0", "100", "-1", "middle", "²", "1.5"])
def test_no_face_by_another_name(text: str) -> None:
    """What names no face is refused with the names that do."""
    with pytest.raises(ValueError, match="counted from the left"):
        parse_face(text)
