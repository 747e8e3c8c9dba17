"""`koubo models`, in the words of whoever types it."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from functions import cli
from functions.infer.manifest import MANIFEST
from tests.infer.wav2lip_graphs import write_wav2lip

Run = Callable[..., tuple[int, str, str]]
LICENCE = "for research only"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `koubo models` on a data folder; returns exit code, output and complaints."""
    monkeypatch.setenv("KOUBO_STORE_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("KOUBO_CACHE_WEIGHTS", str(tmp_path / "weights"))

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["koubo", "models", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            sys.exit(cli.main())  # type: ignore[func-returns-value]  # it may end of itself
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return write_wav2lip(tmp_path / "Wav2Lip_GAN.onnx")


def test_files_that_are_missing_are_named(run: Run) -> None:
    """Before anything else is asked for."""
    assert run("add", "no-such.onnx") == (3, "", "koubo: there is no no-such.onnx.\n")


def add(run: Run, *arguments: object) -> tuple[int, str, str]:
    return run("add", *arguments, "--family", "wav2lip", "--licence", LICENCE)


def test_add_list_check_remove(run: Run, graph: Path, tmp_path: Path) -> None:
    """A model comes, is listed with its licence, is checked, and goes."""
    assert add(run, graph) == (
        0,
        f"wav2lip-gan 1 (wav2lip), licence: {LICENCE}\nkoubo-models/wav2lip-gan/1/\n",
        "",
    )
    code, out, _ = run("list")
    assert code == 0
    assert "viseme 1  package" in out
    assert f"wav2lip-gan 1  koubo-models  wav2lip  0.0 MB  {LICENCE}" in out
    rows = [json.loads(line) for line in run("list", "--json")[1].splitlines()]
    assert {"name": "wav2lip-gan", "licence": LICENCE}.items() <= rows[-1].items()
    assert run("check", "wav2lip-gan/1") == (0, "wav2lip-gan 1 (wav2lip) is whole and works\n", "")
    assert run("remove", "wav2lip-gan", "1")[0] == 0
    assert "wav2lip-gan" not in run("list")[1]
    code, _, err = run("check", "wav2lip-gan")
    assert code == 3
    assert "there is no model 'wav2lip-gan'" in err
    assert run("remove", "wav2lip-gan", "1")[0] == 4


def test_a_second_one_wants_another_version(run: Run, graph: Path) -> None:
    """The same name and version are refused, before anything is tried."""
    assert add(run, graph)[0] == 0
    code, _, err = add(run, graph)
    assert code == 3
    assert "there is a model wav2lip-gan 1 already" in err
    assert "--version" in err


def test_a_folder_of_models(run: Run, graph: Path, tmp_path: Path) -> None:
    """`--to` makes a model's folder, which can be added, listed and checked itself."""
    models = tmp_path / "models"
    assert add(run, graph, "--to", models, "--set", "offset=-2", "--set", "colours=rgb")[0] == 0
    folder = models / "wav2lip-gan" / "1"
    text = (folder / MANIFEST).read_text("utf-8")
    assert '"offset" = -2' in text
    assert '"colours" = "rgb"' in text
    assert sorted(path.name for path in models.iterdir()) == ["wav2lip-gan"]
    assert run("add", folder)[1].endswith("koubo-models/wav2lip-gan/1/\n")


def test_a_name_is_made_of_the_file(run: Run, tmp_path: Path) -> None:
    """Or of its folder, where the file is called like any model's."""
    folder = tmp_path / "Anna 2"
    folder.mkdir()
    path = write_wav2lip(folder / "generator.onnx", gain=float("nan"))
    assert "model anna-2 1: " in add(run, path)[2]


def test_artefacts_come_with_their_graph(run: Run, graph: Path, tmp_path: Path) -> None:
    """What other backends run goes by the name of the graph that it was made of."""
    offline = graph.with_suffix(".om")
    offline.write_bytes(b"an offline model")
    models = tmp_path / "models"
    assert add(run, graph, offline, "--to", models)[0] == 0
    folder = models / "wav2lip-gan" / "1"
    assert (folder / "generator.om").read_bytes() == b"an offline model"
    assert '"generator.om"' in (folder / MANIFEST).read_text("utf-8")
    stray = tmp_path / "other.om"
    stray.write_bytes(b"x")
    for files, said in (((graph, stray), "belongs to none"), ((offline,), "ONNX graph")):
        code, _, err = add(run, *files, "--version", "2")
        assert code == 3
        assert said in err


def test_a_folder_of_models_is_looked_through(
    run: Run, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KOUBO_MODELS_FOLDER's models are listed with their folder, broken ones with the reason."""
    models = tmp_path / "models"
    assert add(run, graph, "--to", models)[0] == 0
    broken = models / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / MANIFEST).write_text("family = 3")
    monkeypatch.setenv("KOUBO_MODELS_FOLDER", str(models))
    out = run("list")[1]
    assert f"wav2lip-gan 1  {models}  wav2lip" in out
    assert f"broken 1  {models}  {broken / MANIFEST} can't be read" in out
    assert run("check", "wav2lip-gan")[0] == 0


def test_the_licence_is_asked_for(run: Run, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the question names what is usual; elsewhere the option is required."""
    code, _, err = run("add", graph, "--family", "wav2lip")
    assert code == 2
    assert "every report will repeat it" in err.replace("\n", " ").replace("│ ", "")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda _: "  bought from the author ")
    code, out, _ = run("add", graph, "--family", "wav2lip")
    assert code == 0
    assert "not commercial" in out
    assert "licence: bought from the author\n" in out


def test_a_family_is_asked_for(run: Run, graph: Path, tmp_path: Path) -> None:
    """A bare graph doesn't say what it is, and an empty folder is no model."""
    code, _, err = run("add", graph, "--licence", LICENCE)
    assert code == 2
    assert "which family" in err
    (tmp_path / "empty").mkdir()
    code, _, err = run("add", tmp_path / "empty", "--licence", LICENCE)
    assert code == 3
    assert "there is no model.toml in" in err


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10_000_000_000)


BAD = {
    "text": (lambda p: p.write_bytes(b"not a model"), "not an ONNX file"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps({"w": [1]})), "is a pickle"),
    "10 GB": (sparse, "10.0 GB"),
    "shapes": (lambda p: write_wav2lip(p, channels=3), "this family has"),
    "external": (lambda p: write_wav2lip(p, external="w").with_name("w").unlink(), "missing"),
    "nan": (lambda p: write_wav2lip(p, gain=float("nan")), "not finite"),
    "missing": (lambda p: None, "No such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_models_are_refused(run: Run, tmp_path: Path, name: str) -> None:
    """Exit code 3, one sentence that says what is wrong, no traceback, and nothing is kept."""
    make, said = BAD[name]
    path = tmp_path / "model.onnx"
    make(path)
    code, out, err = add(run, path)
    assert code == 3
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert "koubo.toml" not in err
    assert not list((tmp_path / "data").rglob("*.onnx"))


@pytest.mark.parametrize("pair", ["offset", "=1", "a b=1"])
def test_a_value_has_a_name(run: Run, graph: Path, pair: str) -> None:
    """`--set` without a name or a value is wrong usage."""
    code, _, err = add(run, graph, "--set", pair)
    assert code == 2
    assert "KEY=VALUE" in err


def test_an_unknown_key_is_named(run: Run, graph: Path) -> None:
    """A key that the family doesn't know is found by the trial."""
    code, _, err = add(run, graph, "--set", "ofset=1")
    assert code == 3
    assert "ofset" in err
