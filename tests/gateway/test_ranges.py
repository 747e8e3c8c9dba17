import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.ranges import UnsatisfiableError, parse_range

CONTENT = bytes(range(256)) * 2


@given(st.integers(0, 600), st.integers(0, 600) | st.none())
def test_from_and_to(first: int, last: int | None) -> None:
    """A range holds both its ends, and stops at the object's."""
    header = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert parse_range(header, len(CONTENT)) is None
        return
    wanted = CONTENT[first:] if last is None else CONTENT[first : last + 1]
    if not wanted:
        with pytest.raises(UnsatisfiableError):
            parse_range(header, len(CONTENT))
        return
    span = parse_range(header, len(CONTENT))
    assert span is not None
    assert CONTENT[span[0] : span[1]] == wanted


@given(st.integers(1, 600))
def test_the_last_bytes(count: int) -> None:
    """`-n` is the last n bytes."""
    span = parse_range(f"bytes=-{count}", len(CONTENT))
    assert span is not None
    assert CONTENT[span[0] : span[1]] == CONTENT[-count:]


@given(st.text())
def test_anything_else_gets_the_whole(header: str) -> None:
    """What is no single range of bytes is passed over; nothing crashes."""
    try:
        span = parse_range(header, 10)
    except UnsatisfiableError:
        assert header.startswith("bytes")
    else:
        assert span is None or 0 <= span[0] < span[1] <= 10


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"])
def test_several_ranges_and_other_units(header: str | None) -> None:
    """Several ranges, other units and nonsense get all of it."""
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_nothing_of_nothing(header: str) -> None:
    """An empty object has no range."""
    with pytest.raises(UnsatisfiableError):
        parse_range(header, 0)
