import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from functions.logs import bound, logger, set_up
from functions.settings import LogSettings

log = logger()


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_event_is_a_line_of_json() -> None:
    """An event is one line: its name, its keys, a level and a time in UTC."""
    out = io.StringIO()
    set_up(LogSettings(), out)
    log.info("ingest.analysed", key="default/口播/a b.wav", seconds=1.5)
    log.warning("chain.failed", attempt=2)
    first, second = lines(out)
    assert first["event"] == "ingest.analysed"
    assert first["key"] == "default/口播/a b.wav"
    assert first["seconds"] == 1.5
    assert first["level"] == "info"
    assert str(first["timestamp"]).endswith("Z")
    assert second["level"] == "warning"
    assert "口播" in out.getvalue()


def test_bound_keys_stand_in_every_line_until_the_context_ends() -> None:
    """Tenant, run and segment are said once; they end with the event, also when that fails."""
    out = io.StringIO()
    set_up(LogSettings(), out)
    with bound(tenant="t", run="r"), bound(segment=3):
        log.info("inside")
    with pytest.raises(ZeroDivisionError), bound(tenant="t"):
        raise ZeroDivisionError
    log.info("outside")
    inside, outside = lines(out)
    assert (inside["tenant"], inside["run"], inside["segment"]) == ("t", "r", 3)
    assert "tenant" not in outside


def test_errors_stay_on_their_line_and_show_no_values() -> None:
    """A traceback is data on the event's own line; what variables held stays out of the log."""
    out = io.StringIO()
    set_up(LogSettings(), out)
    secret = "hunter" + "2"
    try:
        raise ValueError(f"a long story of {len(secret)} letters")
    except ValueError:
        log.exception("chain.gave_up")
    (line,) = lines(out)
    assert line["level"] == "error"
    assert "a long story" in json.dumps(line["exception"])
    assert secret not in out.getvalue()


def test_level_and_console() -> None:
    """Below the level nothing is said; the console's form is for people, without JSON."""
    out = io.StringIO()
    set_up(LogSettings(level="WARNING", format="console"), out)
    log.info("quiet")
    log.warning("loud", key="value")
    assert "quiet" not in out.getvalue()
    assert "loud" in out.getvalue()
    assert "key=value" in out.getvalue()


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """The log goes to the file that the settings name, after what was there."""
    path = tmp_path / "deep" / "koubo.log"
    for word in ("one", "two"):
        set_up(LogSettings(file=path))
        log.info(word)
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["one", "two"]
