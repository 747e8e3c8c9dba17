"""PyTorch's backend on a simulated NPU, or on the real device that KOUBO_TEST_DEVICE names."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from functions import documents
from functions.infer.attempts import recording
from functions.infer.backends.accelerator import ACCELERATORS
from functions.infer.backends.faults import BackendAbsent, UnsupportedGraph
from functions.infer.backends.graph import TensorSpec
from functions.infer.backends.onnx_runtime import OnnxRuntime
from functions.infer.backends.torch_device import TorchDevice
from functions.infer.breaker import Recovery
from functions.infer.families.wav2lip import Wav2Lip
from functions.infer.handler import Infer
from functions.infer.manifest import Manifest
from functions.infer.router import Router
from functions.patches import Patches
from functions.plans import Model
from functions.progress import silent
from tests.infer.backends import small_model, small_program
from tests.infer.test_breaker import Clock
from tests.infer.test_handler import BUCKETS, WORK, event

pytestmark = pytest.mark.backends("torch")

ROOM_FOR_TWO = 3 << 20
CPU = "onnxruntime/CPUExecutionProvider"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The small network as a program and as an ONNX file."""
    folder = tmp_path_factory.mktemp("model")
    small_program.write_torch(folder / "generator.pt2")
    return small_model.seal(folder)


@pytest.fixture
def device():
    from tests.infer.backends.accelerators import open_device

    opened = open_device()
    with opened.around:
        yield opened
    opened.mend()


@pytest.fixture
def path(model) -> Path:
    return model.folder / "generator.onnx"


def question(rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shapes = {"audio": small_program.AUDIO, "face": small_program.FACE}
    return {name: random.random((rows, *shape), np.float32) for name, shape in shapes.items()}


def test_probe(device) -> None:
    """It computes one plus one on the device, and keeps torch from loading vendors' packages."""
    found = device.backend().probe()
    assert found.works, found.says
    assert found.says.startswith("torch 2.")
    assert os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] == "0"
    device.lose(after=0)
    found = device.backend().probe()
    assert not found.works
    assert f"{device.name} fails" in found.says


def test_a_device_that_is_not_there(device, path) -> None:
    """A number too high is absent, not an error of torch's."""
    kind = device.accelerator.kind
    backend = TorchDevice(device.accelerator, f"{kind}:63")
    assert not backend.probe().works
    with pytest.raises(BackendAbsent):
        backend.load(path.with_suffix(".pt2"))


def test_what_a_program_takes_and_gives(device, path) -> None:
    """By its own names, None where any size goes; in the types that callers have."""
    graph = device.backend("fp16").load(path.with_suffix(".pt2"))
    assert graph.inputs == (
        TensorSpec("audio", (None, *small_program.AUDIO), "float32"),
        TensorSpec("face", (None, *small_program.FACE), "float32"),
    )
    assert [(spec.shape, spec.dtype) for spec in graph.outputs] == [
        ((None, *small_program.OUT), "float32")
    ]
    assert (graph.backend, graph.precision) == (f"torch/{device.name}", "fp16")


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("fp16", 5e-3)])
def test_the_same_numbers_as_onnxruntime(device, path, precision: str, bound: float) -> None:
    """Within 1e-5 in fp32 and 5e-3 in fp16, at any batch."""
    graph = device.backend(precision).load(path.with_suffix(".pt2"))
    truth = OnnxRuntime().load(path)
    for rows in (1, 4):
        (ours,), (theirs,) = graph.run(question(rows)), truth.run(question(rows))
        assert ours.dtype == np.float32
        assert np.abs(ours - theirs).max() < bound


@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("fp16", 2)])
def test_the_same_patches(device, model, precision: str, levels: int) -> None:
    """A Wav2Lip-shaped model renders what it renders in onnxruntime, to 1 or 2 levels of 8 bits."""
    assert small_model.largest_difference(model, device.backend(precision)) <= levels


def test_the_cpu_renders_the_same_patches(model) -> None:
    """So does torch without any device."""
    assert small_model.largest_difference(model, TorchDevice(ACCELERATORS["cpu"], "cpu")) <= 1


def run(router: Router, path: Path, rows: int = 4):
    """One run, where it can; what came of it, and the attempts."""
    truth = OnnxRuntime().load(path).run(question(rows))[0]
    with recording() as attempts:
        graph = router.load(path)
        (made,) = graph.run(question(rows))
    assert np.abs(made - truth).max() < 1e-5
    return attempts.entries


def test_out_of_memory(device, path) -> None:
    """The batch is halved until it fits, on the device itself, and the answer is whole."""
    router = Router((device.backend(batches=()), OnnxRuntime()))
    graph = router.load(path)
    device.leave(ROOM_FOR_TWO)
    with recording() as attempts:
        (made,) = graph.run(question(8))
    assert made.shape == (8, *small_program.OUT)
    tried = [(each.backend, each.batch, each.outcome) for each in attempts.entries]
    assert tried[0] == (f"torch/{device.name}", 8, "out-of-memory")
    assert tried[-1][0] == f"torch/{device.name}"
    assert 1 <= tried[-1][1] < 8
    assert tried[-1][2] == "ok"
    device.leave(1 << 29)


def test_an_unsupported_operator(device, path) -> None:
    """The CPU runs the graph, and the device stays in use for others."""
    router = Router((device.backend(batches=()), OnnxRuntime()))
    device.forbid("aten.sigmoid")
    tried = run(router, path)
    assert [(each.backend, each.outcome) for each in tried] == [
        (f"torch/{device.name}", "unsupported"),
        (CPU, "ok"),
    ]
    assert "aten.sigmoid" in tried[0].says
    assert router.recover() is None


def test_a_device_lost_in_the_middle_of_a_segment(device, model, path) -> None:
    """The segment is finished on the CPU; once the device answers again, it serves again."""
    clock = Clock()
    router = Router((device.backend(batches=(1,)), OnnxRuntime()), Recovery(5, 60), clock)
    graph = router.load(path)
    truth = OnnxRuntime().load(path).run(question(4))[0]
    device.lose(after=40)
    with recording() as attempts:
        (made,) = graph.run(question(4))
    assert np.abs(made - truth).max() < 1e-5
    outcomes = [(each.backend, each.outcome) for each in attempts.entries]
    assert outcomes == [
        (f"torch/{device.name}", "ok"),
        (f"torch/{device.name}", "device-lost"),
        (CPU, "ok"),
    ], outcomes
    clock.now += 5
    assert router.recover() == 10, "it is still lost"
    clock.now += 10
    device.mend()
    assert router.recover() is None
    with recording() as attempts:
        graph.run(question(4))
    assert [(each.backend, each.outcome) for each in attempts.entries] == [
        (f"torch/{device.name}", "ok")
    ]


def served(store, plan, index: int):
    """Who rendered a segment, and what each backend's outcome was."""
    patches = Patches.load(store.get(WORK, plan.keys.patches(index)))
    assert len(list(patches.frames())) == patches.header.last - patches.header.first
    told = patches.header.served
    outcomes = dict.fromkeys((each.backend, each.outcome) for each in told.attempts)
    return told.backend, list(outcomes)


def test_every_segment_of_a_run_is_finished(device, model, plan, store, tmp_path: Path) -> None:
    """Lost in the first segment, well again for the second, without an operator in the third."""
    clock, npu = Clock(), f"torch/{device.name}"
    router = Router((device.backend(batches=(1,)), OnnxRuntime()), Recovery(5, 60), clock)
    family = Wav2Lip.load(model, router, 4)
    store.put(WORK, plan.keys.plan, documents.dump(replace(plan, model=Model("small", "1"))))
    infer = Infer(store, BUCKETS, lambda _: family, tmp_path, silent)
    device.lose(after=100)
    infer.handle(event(plan, 0))
    assert served(store, plan, 0) == (
        f"{npu}, {CPU}",
        [(npu, "ok"), (npu, "device-lost"), (CPU, "ok")],
    )
    device.mend()
    clock.now += 5
    router.recover()
    infer.handle(event(plan, 1))
    assert served(store, plan, 1) == (npu, [(npu, "ok")])
    device.forbid("aten.sigmoid")
    infer.handle(event(plan, 2))
    assert served(store, plan, 2) == (CPU, [(npu, "unsupported"), (CPU, "ok")])


def test_inputs_of_other_shapes() -> None:
    """On the CPU a run that fails would fail for ever."""
    error = RuntimeError("size mismatch")
    backend = TorchDevice(ACCELERATORS["cpu"], "cpu")
    import torch

    assert isinstance(backend.fault(torch, error), UnsupportedGraph)


@pytest.mark.parametrize("content", [b"", b"this is no program", b"\x80\x04N."])
def test_a_file_that_is_no_program(tmp_path: Path, content: bytes) -> None:
    """Nothing, noise and a pickle are refused by name."""
    path = tmp_path / "broken.pt2"
    path.write_bytes(content)
    with pytest.raises(UnsupportedGraph, match=r"broken\.pt2"):
        TorchDevice(ACCELERATORS["cpu"], "cpu").load(path)
