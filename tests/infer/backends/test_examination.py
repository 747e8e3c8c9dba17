import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.infer.backends import ascend, examination
from functions.infer.settings import InferSettings


def found(**settings) -> dict[str, examination.Examined]:
    return {each.name: each for each in examination.examine(InferSettings(**settings))}


def test_every_backend_is_looked_at() -> None:
    """Those that the settings ask for come first and are marked; each has words of its own."""
    looked = found(backends=("onnxruntime/cann:3",))
    assert list(looked)[:2] == ["onnxruntime/cann:3", "onnxruntime/cpu"]
    assert [name for name, each in looked.items() if each.wanted] == list(looked)[:2]
    assert looked["onnxruntime/cpu"].found.works
    assert "CPUExecutionProvider" in looked["onnxruntime/cpu"].found.says
    assert "no CANNExecutionProvider" in looked["onnxruntime/cann:3"].found.says
    assert looked["torch/npu:0"].found.says == "no torch"
    assert "koubo[tvm]" in looked["tvm/cpu"].found.fix


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with code -11"),
        ("raise SystemError('bad ABI')", "bad ABI"),
        ("print('E onnxruntime: EP Error'); get_available_providers = list", "has no CPU"),
    ],
)
def test_a_broken_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, says: str
) -> None:
    """One that crashes, raises or prints what it likes harms nobody who asks about it."""
    (tmp_path / "onnxruntime.py").write_text(f"__version__ = '0'\n{body}\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    probe = found()["onnxruntime/cpu"].found
    assert not probe.works
    assert says in probe.says
    assert probe.fix


def test_a_library_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for only so long."""
    (tmp_path / "onnxruntime.py").write_text("import threading; threading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    monkeypatch.setattr(examination, "_SECONDS", 3.0)
    assert "didn't answer within 3 s" in found()["onnxruntime/cpu"].found.says


def test_npus(monkeypatch: pytest.MonkeyPatch, npu_smi: Callable[[str], None]) -> None:
    """Driver, devices and toolkit are told apart, unwell devices named."""
    assert examination.examine_npus().says == "no Ascend driver, no CANN toolkit"
    npu_smi("310")
    monkeypatch.setattr(ascend, "device_count", lambda: 4)
    npus = examination.examine_npus()
    assert not npus.works
    assert npus.says.startswith("4 NPUs (Ascend 310; ")
    assert npus.says.endswith("Ascend 310, unwell), no CANN toolkit")
    monkeypatch.setenv("ASCEND_HOME_PATH", "/")
    assert examination.examine_npus().works
