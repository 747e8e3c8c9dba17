from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.cursor import Cursor, read_cursor
from functions.gateway.problems import ProblemError

entries = st.from_regex(r"[0-9]{13}-[0-9a-f]{20}", fullmatch=True) | st.just("")


@given(entries, st.integers(0, 9999))
def test_cursors_come_back(after: str, shown: int) -> None:
    """What a cursor writes is read as the same place, and needs no escaping in a URL."""
    cursor = Cursor(after, shown)
    word = cursor.write()
    assert read_cursor(word) == cursor
    assert word.replace("-", "").replace("_", "").isalnum()


@given(st.text())
def test_other_words_are_refused(word: str) -> None:
    """Any word is a cursor or an invalid request, never a crash."""
    with suppress(ProblemError):
        cursor = read_cursor(word)
        assert read_cursor(cursor.write()) == cursor


@pytest.mark.parametrize("plain", ["../../x+0", "+", "1795511264985-zz+0", "+99999", "+1\n"])
def test_forged_places_are_refused(plain: str) -> None:
    """A cursor that was made up leads nowhere."""
    import base64

    with pytest.raises(ProblemError, match="cursor"):
        read_cursor(base64.urlsafe_b64encode(plain.encode()).decode())


def test_none_is_the_start() -> None:
    """Without a cursor a list begins at its newest."""
    assert read_cursor(None) == Cursor()
