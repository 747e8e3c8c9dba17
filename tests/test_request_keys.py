import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.input_keys import (
    is_unfinished,
)
from functions.layout import (
    run_of_recent,
)
from functions.request_keys import (
    RequestKeys,
    is_request,
    upload_key,
    upload_prefix,
    uploaded_name,
)

# Anything that a file system or an object store takes as one part of a path.
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda name: name not in (".", ".."))


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
