from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import documents
from functions.analysis import Chunk, Footage, Voice
from functions.errors import ErrorDocument, RetryableError
from functions.input_keys import Group
from functions.options import Options
from functions.picture import Colour
from functions.plans import (
    Model,
    Plan,
    Segment,
    Source,
)
from functions.runs import Attempt, Done, Failure

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHOLE = st.integers(0, 2**53)
SECONDS = st.floats(0, 1e9)

GROUPS = st.builds(Group, TEXT, TEXT, st.booleans())
SOURCES = st.builds(Source, TEXT, TEXT, TEXT)
ATTEMPTS = st.builds(Attempt, SECONDS, TEXT, TEXT)
CHUNKS = st.builds(Chunk, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE)
COLOURS = st.builds(
    Colour, st.sampled_from(["bt601", "bt709", "bt2020"]), st.booleans(), TEXT, TEXT
)
OPTIONS = st.builds(
    Options,
    TEXT,
    st.sampled_from(["pingpong", "restart"]),
    st.sampled_from(["speed", "standard", "quality"]),
    st.sampled_from(["zh", "en"]),
    st.booleans(),
)
DOCUMENTS = st.one_of(
    st.builds(Voice, TEXT, TEXT, SECONDS, SECONDS, TEXT),
    st.builds(
        Footage,
        *(TEXT, TEXT, st.sampled_from(["video", "portrait"])),
        *(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, COLOURS, WHOLE, WHOLE),
        *(st.lists(CHUNKS, max_size=3).map(tuple), WHOLE, TEXT, TEXT),
    ),
    st.builds(
        Plan,
        *(TEXT, GROUPS, SECONDS, SOURCES, SOURCES, st.builds(Model, TEXT, TEXT), OPTIONS),
        *(SECONDS, WHOLE, WHOLE, WHOLE, WHOLE, TEXT),
    ),
    st.builds(Segment, TEXT, WHOLE, WHOLE, WHOLE),
    st.builds(Failure, TEXT, TEXT, TEXT, TEXT, st.lists(ATTEMPTS, max_size=3).map(tuple)),
    st.builds(Done, TEXT, TEXT, TEXT, TEXT, WHOLE, SECONDS),
    st.builds(ErrorDocument, TEXT, TEXT, TEXT, TEXT),
)


@given(DOCUMENTS)
def test_documents_round_trip(document: object) -> None:
    """Every record of the store is read back as it was written, to the last bit of each number."""
    data = documents.dump(document)
    assert documents.load(type(document), data) == document
    assert documents.dump(document) == data


@dataclass(frozen=True)
class _Small:
    name: str
    count: int


def test_documents_are_for_people_too() -> None:
    """A document is indented JSON in UTF-8, Chinese as Chinese, with a newline at its end."""
    assert documents.dump(_Small("口播", 3)).decode() == '{\n "name": "口播",\n "count": 3\n}\n'


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"name": "a"}', b'{"name": "a", "count": "many"}', b"\xff"]
)
def test_other_bytes_come_again(data: bytes) -> None:
    """What is no such document is an error that a retry may mend, not a crash of its own kind."""
    with pytest.raises(RetryableError, match="_Small"):
        documents.load(_Small, data)
