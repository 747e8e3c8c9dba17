"""Ascend's real packages on a machine that has neither a driver nor CANN."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from functions.analysis import dump_arrays, load_arrays
from functions.infer.backends.faults import BackendAbsent
from functions.infer.backends.offered import open_backend, order
from functions.infer.router import Router
from functions.infer.settings import InferSettings
from tests.infer.backends import small_model, small_program

NAMES = {"cann": "onnxruntime/cann:0", "torch-npu": "torch/npu:0"}
ENVIRONMENT = os.environ.get("KOUBO_TEST_ENVIRONMENT", "")
EACH = [pytest.param(name, marks=pytest.mark.backends(name)) for name in NAMES]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The small network, made here as Koubo would have torch imported."""
    monkeypatch.setenv("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    if ENVIRONMENT == "torch-npu":
        small_program.write_torch(tmp_path / "generator.pt2")
    return small_model.seal(tmp_path)


@pytest.mark.parametrize("environment", EACH)
def test_the_package_is_there(environment: str) -> None:
    """What follows is said by the real package, which is installed and can do nothing here."""
    import importlib.metadata

    package = {"cann": "onnxruntime-cann", "torch-npu": "torch-npu"}[environment]
    assert importlib.metadata.version(package)


@pytest.mark.parametrize("environment", EACH)
def test_doctor_explains(environment: str, tmp_path: Path) -> None:
    """What is missing and what to do, in words: no traceback, whatever the packages print."""
    command = [sys.executable, "-m", "functions.cli", "doctor", "--data", str(tmp_path)]
    settings = {"KOUBO_INFER_BACKENDS": NAMES[environment], "COLUMNS": "400"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | settings
    )
    assert done.returncode == 5
    lines = done.stdout.splitlines()
    (at,) = (number for number, line in enumerate(lines) if NAMES[environment] in line)
    found, fix = lines[at : at + 2]
    assert found.split()[0] == "no"
    assert "there is no Ascend driver (libascend_hal.so)" in found
    assert "/dev/davinci_manager" in fix
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "EP Error" not in said


@pytest.mark.parametrize("environment", EACH)
def test_infer_serves_from_the_cpu(environment: str, model) -> None:
    """The NPU's backend is absent, the model renders on the CPU, and says that it does."""
    settings = InferSettings(backends=(NAMES[environment],), precision="fp32")
    backends = order(settings)
    graph = Router(backends).load(model.folder / "generator.onnx")
    assert graph.backend == "onnxruntime/CPUExecutionProvider"
    assert small_model.largest_difference(model, *backends) <= 1


@pytest.mark.parametrize("environment", EACH)
def test_a_driver_without_cann(
    environment: str, model, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a driver alone the packages still can't work; each says what it lacks."""
    from functions.infer.backends import ascend

    monkeypatch.setattr(ascend, "device_count", lambda: 1)
    backend = open_backend(NAMES[environment], InferSettings())
    lacks = {"cann": "no CANN toolkit", "torch-npu": "libhccl.so"}[environment]
    found = backend.probe()
    assert not found.works
    assert lacks in found.says
    assert "set_env.sh" in found.fix
    suffix = {"cann": ".onnx", "torch-npu": ".pt2"}[environment]
    with pytest.raises(BackendAbsent, match=lacks):
        backend.load(model.folder / f"generator{suffix}")


@pytest.mark.backends("cann")
def test_a_toolkit_that_is_none(model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when all else seems to be there, a session that can't use the NPU is refused."""
    from functions.infer.backends import ascend

    monkeypatch.setattr(ascend, "device_count", lambda: 1)
    monkeypatch.setattr(ascend, "toolkit", lambda: Path("/"))
    backend = open_backend("onnxruntime/cann:0", InferSettings(compiled=model.folder / "kept"))
    with pytest.raises(Exception, match=r"(?i)cann|provider") as caught:
        backend.load(model.folder / "generator.onnx")
    assert caught.type.__name__ in ("BackendFault", "BackendAbsent")


@pytest.mark.backends("cann")
def test_the_numpy_that_it_wants() -> None:
    """What functions hand each other is read and written by the older numpy as by the newer."""
    import numpy as np

    assert np.__version__.startswith("1.")
    given = {"a": np.arange(3), "b": np.zeros((0, 2), np.float32)}
    read = load_arrays(dump_arrays(**given))
    assert set(read) == set(given)
    assert all(np.array_equal(read[name], given[name]) for name in given)


@pytest.mark.backends("torch-npu")
def test_torch_can_be_imported_at_all(tmp_path: Path) -> None:
    """Its own autoload of torch_npu would fail here; Koubo keeps it from trying."""
    code = "import functions.infer.backends.offered as o, functions.infer.settings as s;"
    code += "print(o.open_backend('torch/cpu', s.InferSettings()).probe().works)"
    environment = {name: value for name, value in os.environ.items() if "AUTOLOAD" not in name}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.stdout.split() == ["True"], done.stderr
