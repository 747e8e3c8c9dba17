from hypothesis import example, given
from hypothesis import strategies as st

from functions.gateway.names import free_names, safe_name
from functions.input_keys import OPTIONS_FILE, is_unfinished, parse_input
from functions.request_keys import RequestKeys

anything = st.text(st.characters(exclude_categories=()), max_size=300)


@given(anything)
@example("koubo.toml")
@example("../../etc/passwd")
@example("..")
@example("C:\\fakepath\\李.mp4")
@example(".hidden.wav.part")
@example("~ . spaced.wav")
@example("a#1")
@example("x" * 300 + ".mp4")
@example("\ud800")
def test_any_name_becomes_one_that_works(wanted: str) -> None:
    """Whatever a file was called, its name is one part of a key, seen by the chain, and short."""
    name = safe_name(wanted)
    key = RequestKeys("t", "r0").input(name).key
    assert parse_input(key).file == name
    assert not is_unfinished(key)
    assert 0 < len(name.encode()) <= 100
    assert name.isprintable()
    assert safe_name(name) == name


@given(st.lists(anything, max_size=12))
@example(["a.mp4", "A.MP4", "a-2.mp4", "a.mp4"])
@example(["koubo.toml", "koubo.toml"])
def test_names_in_a_folder_differ(wanted: list[str]) -> None:
    """Files of one request never overwrite each other or its options, on any disk."""
    names = free_names(wanted)
    assert len(names) == len(wanted)
    assert len({name.casefold() for name in (*names, OPTIONS_FILE)}) == len(names) + 1
    assert not any(map(is_unfinished, names))


def test_good_names_stay() -> None:
    """A name that works is kept, with spaces, signs and any script."""
    names = ["新闻 主播+1%.mp4", "voice (2).wav", "Ünïcödé.mov"]
    assert free_names(names) == names
    assert free_names(["face.mp4", "face.mp4"]) == ["face.mp4", "face-2.mp4"]
