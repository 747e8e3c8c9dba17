import json
import stat
from pathlib import Path

import pytest

from functions.errors import KouboError, NotSetUpError
from functions.infer.convert import atc
from functions.infer.onnx_file import read_onnx
from functions.process import ProgramFailedError
from tests.infer.musetalk_graphs import unet
from tests.infer.small_graphs import write_convolutions

STAND_IN = """#!/usr/bin/env python3
import json, os, pathlib, sys
record = pathlib.Path(__file__).with_suffix(".json")
record.write_text(json.dumps(sys.argv[1:]))
given = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[1:])
if os.environ.get("ATC_FAILS"):
    sys.stderr.write("E10016: [opname] is not supported\\n")
    sys.exit(1)
if not os.environ.get("ATC_MAKES_NOTHING"):
    pathlib.Path(given["output"] + os.environ.get("ATC_SUFFIX", "") + ".om").write_bytes(b"offline")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program `atc` that writes down its command line and makes a file, as ATC does."""
    program = tmp_path / "bin" / "atc"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program.with_suffix(".json")


@pytest.fixture
def graph(tmp_path):
    return read_onnx(write_convolutions(tmp_path / "m.onnx"), 1 << 20)


def test_the_command_line_is_the_documented_one(stand_in, graph, tmp_path):
    """To the letter: framework 5 is ONNX, shapes with -1 for the batch, its sizes beside."""
    made = tmp_path / "out" / "m.om"
    line = atc.command(graph, made, atc.Target("Ascend310P3", (1, 4, 8)))
    assert atc.run(line, made) == made
    assert made.read_bytes() == b"offline"
    assert json.loads(stand_in.read_text()) == [
        "--framework=5",
        f"--model={tmp_path}/m.onnx",
        f"--output={tmp_path}/out/m",
        "--soc_version=Ascend310P3",
        "--input_format=NCHW",
        "--input_shape=x:-1,2,8,8",
        "--dynamic_batch_size=1,4,8",
        "--precision_mode_v2=origin",
    ]


def test_inputs_that_are_no_pictures_have_one_batch(tmp_path):
    """Any other rank makes the format ND, for which ATC has no dynamic batch."""
    path = tmp_path / "unet.onnx"
    path.write_bytes(unet().SerializeToString())
    read, made = read_onnx(path, 1 << 20), tmp_path / "unet.om"
    target = atc.Target("Ascend910B4", (4,), "fp16", tmp_path / "off.cfg")
    assert atc.command(read, made, target)[5:] == [
        "--input_format=ND",
        "--input_shape=text:4,50,384;sample:4,8,32,32",
        "--precision_mode_v2=fp16",
        f"--fusion_switch_file={tmp_path}/off.cfg",
    ]
    with pytest.raises(KouboError, match="--batches 4"):
        atc.command(read, made, atc.Target("Ascend910B4", (1, 4)))


@pytest.mark.parametrize(("batch", "sizes"), [(4, (1, 2)), ("n", (4,))])
def test_one_batch_is_a_fixed_shape(tmp_path, batch, sizes):
    """ATC asks for two profiles at least, so one size is no profile."""
    read = read_onnx(write_convolutions(tmp_path / "m.onnx", batch=batch), 1 << 20)
    line = atc.command(read, tmp_path / "m.om", atc.Target("Ascend310", sizes))
    assert "--input_shape=x:4,2,8,8" in line
    assert not any(part.startswith("--dynamic") for part in line)


@pytest.mark.parametrize(
    "target",
    [
        atc.Target("310P3"),
        atc.Target("Ascend310P3 --op_debug_level=4"),
        atc.Target("Ascend310P3", ()),
        atc.Target("Ascend310P3", (4, 1)),
        atc.Target("Ascend310P3", (0, 1)),
        atc.Target("Ascend310P3", tuple(range(1, 102))),
        atc.Target("Ascend310P3", (1,), "int4"),
    ],
)
def test_what_atc_would_not_take_is_refused(graph, tmp_path, target):
    """Before minutes of compiling, and nothing of it reaches a command line."""
    with pytest.raises(KouboError):
        atc.command(graph, tmp_path / "m.om", target)


def test_a_size_that_is_not_fixed_is_refused(tmp_path):
    """Only the batch may be open."""
    path = write_convolutions(tmp_path / "m.onnx")
    read = read_onnx(path, 1 << 20)
    spec = read.inputs[0]
    loose = type(read)(path, (type(spec)("x", (None, 2, None, 8), "float32"),), read.outputs, ())
    with pytest.raises(KouboError, match="fixed"):
        atc.command(loose, tmp_path / "m.om", atc.Target("Ascend310"))


def test_a_name_after_the_machine_is_put_right(stand_in, graph, tmp_path, monkeypatch):
    """For graphs of many batches ATC adds the machine to the name it was given."""
    monkeypatch.setenv("ATC_SUFFIX", "_linux_aarch64")
    made = tmp_path / "m.om"
    assert atc.run(atc.command(graph, made, atc.Target("Ascend310P3")), made) == made
    assert made.exists()


def test_a_failure_says_what_atc_said(stand_in, graph, tmp_path, monkeypatch):
    """Its last lines; and where it claims success without a file, that there is none."""
    made = tmp_path / "m.om"
    line = atc.command(graph, made, atc.Target("Ascend310P3"))
    monkeypatch.setenv("ATC_FAILS", "1")
    with pytest.raises(ProgramFailedError, match="E10016"):
        atc.run(line, made)
    monkeypatch.delenv("ATC_FAILS")
    monkeypatch.setenv("ATC_MAKES_NOTHING", "1")
    with pytest.raises(KouboError, match=r"no m\.om"):
        atc.run(line, made)


def test_a_machine_without_atc_says_so(graph, tmp_path, monkeypatch):
    """And what to do about it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    line = atc.command(graph, tmp_path / "m.om", atc.Target("Ascend310P3"))
    with pytest.raises(NotSetUpError, match="--dry-run"):
        atc.run(line, Path(tmp_path / "m.om"))
