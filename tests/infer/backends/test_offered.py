import subprocess
import sys

import pytest

from functions.errors import WrongSettingError
from functions.infer.backends.offered import BACKENDS, DEVICES, open_backend, order
from functions.infer.settings import InferSettings


def names(**settings) -> list[str]:
    return [backend.name for backend in order(InferSettings(**settings))]


def test_every_device_can_be_opened() -> None:
    """Each backend says its own name again, whether its library is here or not."""
    assert set(DEVICES) == set(BACKENDS)
    for library, devices in DEVICES.items():
        for device in devices:
            name = (
                f"{library}/{device}" if device in ("cpu", "openvino") else f"{library}/{device}:1"
            )
            assert open_backend(name, InferSettings()).name == name


def test_the_same_model_on_the_cpu() -> None:
    """By default the CPU stands at the end, for whatever files a model has."""
    npu = ("torch/npu:0", "onnxruntime/cann:0")
    assert names() == ["onnxruntime/cpu"]
    assert names(backends=npu) == [*npu, "onnxruntime/cpu", "torch/cpu"]
    assert names(backends=("om/npu:0",)) == ["om/npu:0", "onnxruntime/cpu"]


@pytest.mark.parametrize("policy", ["default-model", "fail"])
def test_other_policies_add_nothing(policy: str) -> None:
    """What was not asked for is not used."""
    assert names(backends=("om/npu:0",), policy=policy) == ["om/npu:0"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tensorrt/cuda:0", "no backend; known are onnxruntime, torch, om, mindspore, tvm"),
        ("torch/tpu", "no device of torch: cpu, npu, cuda"),
        ("torch/npu:first", "no device of torch"),
    ],
)
def test_what_does_not_exist(name: str, says: str) -> None:
    """A name that nobody has is refused with those that there are."""
    with pytest.raises(WrongSettingError, match=says):
        open_backend(name, InferSettings())


def test_importing_koubo_imports_no_backend() -> None:
    """Every backend's module can be imported where none of their libraries is."""
    script = (
        "import sys, functions.infer.main, functions.infer.backends.examination\n"
        "print([name for name in ('onnxruntime', 'torch', 'acl', 'ais_bench', 'mindspore', 'tvm',"
        " 'onnx') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
