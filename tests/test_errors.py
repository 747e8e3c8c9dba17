import json

import pytest

from functions import documents
from functions.errors import Code, KouboError, NotSetUpError, RejectedInput, RetryableError


@pytest.mark.parametrize("code", Code)
def test_each_code_says_what_to_do(code: Code) -> None:
    """Each reason has a public name, a status of a refusal, and a way out in a full sentence."""
    assert code.public == code.name.lower()
    assert 400 <= code.value.status <= 500
    assert code.value.fix.endswith(".")
    written = RejectedInput(code, "So it is.").written("t/news/口播.mp4")
    assert json.loads(documents.dump(written)) == {
        "file": "t/news/口播.mp4",
        "code": code.public,
        "what": "So it is.",
        "fix": code.value.fix,
    }


def test_codes_are_told_apart() -> None:
    """No two reasons are one: equal status and advice would make them aliases."""
    assert len(Code) == len(Code.__members__)


def test_kinds_are_kept_apart() -> None:
    """A refusal is never worth a retry; all of them are Koubo's own."""
    for kind in (RejectedInput, RetryableError, NotSetUpError):
        assert issubclass(kind, KouboError)
    assert not issubclass(RejectedInput, RetryableError)
    assert not issubclass(NotSetUpError, RetryableError)
