from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from functions import runs
from functions.chain import give_up
from functions.errors import KouboError
from functions.events import ObjectCreated
from functions.operate import add_to
from functions.runs import Attempt
from functions.settings import BucketSettings
from functions.storage import Store

from .test_chain import KEYS, PLAN

BUCKETS = BucketSettings()
APP = typer.Typer()
add_to(APP)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("KOUBO_STORE_ROOT", str(tmp_path))
    made = Store.folder(tmp_path)
    runs.start(made, BUCKETS.work, PLAN)
    event = ObjectCreated(BUCKETS.work, KEYS.segment(1))
    give_up(made, BUCKETS, "infer", event, (Attempt(1.7e9, "infer", "the disk was full"),))
    return made


def test_dead_letters_are_listed_and_replayed(store: Store) -> None:
    """`list` shows where a letter lies and why; `replay` takes it up, and then it is gone."""
    listed = CliRunner().invoke(APP, ["dead", "list"]).stdout
    assert "the disk was full" in listed
    assert KEYS.segment(1) in listed
    key = listed.split()[0]
    assert '"letter"' in CliRunner().invoke(APP, ["dead", "list", "--json"]).stdout
    for wrong in (["dead", "replay"], ["dead", "replay", "t/dead/infer/none.json"]):
        assert isinstance(CliRunner().invoke(APP, wrong).exception, KouboError)
    assert KEYS.segment(1) in CliRunner().invoke(APP, ["dead", "replay", key]).stdout
    assert CliRunner().invoke(APP, ["dead", "list"]).stdout == ""
    assert not store.exists(BUCKETS.work, KEYS.failed)
    assert CliRunner().invoke(APP, ["dead", "replay", "--all"]).exit_code == 0


def test_a_folder_that_is_not_there_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped folder is wrong usage, not a store without letters, and is not made."""
    monkeypatch.delenv("KOUBO_STORE_ROOT", raising=False)
    missing = tmp_path / "data"
    for command in (["list"], ["replay", "--all"]):
        arguments = ["dead", *command, "--data", str(missing)]
        assert CliRunner().invoke(APP, arguments).exit_code == 2
    assert not missing.exists()


def test_a_folder_needs_no_wiring(store: Store) -> None:
    """`koubo wire` on a folder says what to set instead."""
    result = CliRunner().invoke(APP, ["wire"])
    assert isinstance(result.exception, KouboError)
    assert "KOUBO_STORE_KIND" in str(result.exception)
