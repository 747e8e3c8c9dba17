"""Which parts `python -m bench` measures, and what it leaves of the others' results."""

import json
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import mouths


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where results go instead, with mouths made short."""
    monkeypatch.setattr(bench, "WORK", tmp_path / "tree" / "bench" / "made")
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(mouths, "_SECONDS", 1)
    monkeypatch.setattr(mouths, "_PICTURES", ((1280, 720),))
    return tmp_path / "results.json"


def test_help_names_every_part_and_measures_nothing(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who asks what there is gets the parts' names and an end."""
    with pytest.raises(SystemExit) as ended:
        bench.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    listed = [line.split()[0] for line in said.splitlines() if line.startswith("  ")]
    assert [name for name in listed if name in bench.PARTS] == list(bench.PARTS)
    assert not results.exists()


def test_an_unknown_part_is_refused(results: Path) -> None:
    """A slip of the pen doesn't start the measuring of everything."""
    with pytest.raises(SystemExit) as ended:
        bench.main(["mouth"])
    assert ended.value.code == 2
    assert not results.exists()


def test_results_of_other_parts_are_kept(results: Path) -> None:
    """A part that is measured alone renews its own figures and leaves the others'."""
    results.write_text(json.dumps({"minio_cpu_ratio": 1.07, "infer_ms_a_frame_256": -1.0}))
    assert bench.main(["mouths"]) == 0
    kept = json.loads(results.read_text())
    assert kept["minio_cpu_ratio"] == 1.07
    assert kept["infer_ms_a_frame_256"] > 0
    assert kept["bank_ms_a_source_frame_256"] > 0


def test_without_names_all_parts_are_measured() -> None:
    """Whoever names none means all, in their order whatever order is asked for."""
    assert bench._chosen([]) == list(bench.PARTS)
    assert bench._chosen(["mouths", "costs"]) == ["costs", "mouths"]
