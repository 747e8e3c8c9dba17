import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from functions.infer.backends import ascend
from functions.infer.backends.faults import (
    BackendAbsent,
    DeviceLost,
    DeviceOutOfMemory,
    UnsupportedGraph,
)
from functions.infer.backends.om import Om
from functions.infer.router import Router
from tests.infer.backends.stand_ins import Ascend, InferSession, make_acl

X = np.arange(18, dtype=np.float32).reshape(6, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "generator.om"
    made.write_bytes(b"compiled")
    return made


@pytest.fixture
def npu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver sees one NPU."""
    monkeypatch.setattr(ascend, "device_count", lambda: 1)


@pytest.fixture
def state(npu: None, monkeypatch: pytest.MonkeyPatch) -> Ascend:
    """A machine with pyACL and no ais_bench."""
    made = Ascend()
    monkeypatch.setitem(sys.modules, "acl", make_acl(made))
    return made


def test_pyacl(state: Ascend, path: Path) -> None:
    """A model of certain batches runs any number of rows through the documented calls."""
    graph = Router((Om(),)).load(path)
    (made,) = graph.run({"x": X})
    assert np.array_equal(made, 2 * X)
    assert graph.backend == "om/npu:0 (acl)"
    assert state.calls[:4] == ["init", "set_device", "create_context", "load_from_file"]
    assert state.calls.count("execute") == 4, "warmed up with 1 and 4, then 4 and 4 rows"
    assert state.calls.count("set_dynamic_batch_size") == 4


def test_a_model_for_one_batch(state: Ascend, path: Path) -> None:
    """No batch is set where there is nothing to choose."""
    state.batches = ()
    sys.modules["acl"] = make_acl(state)
    (made,) = Router((Om(),)).load(path).run({"x": X})
    assert np.array_equal(made, 2 * X)
    assert "set_dynamic_batch_size" not in state.calls


def test_what_was_taken_is_given_back(state: Ascend, path: Path) -> None:
    """Closing frees every buffer and handle; memory for outputs is freed at once."""
    graph = Om().load(path)
    held = len(state.memory)
    graph.run({"x": X[:4]})
    assert len(state.memory) == held
    graph.close()
    assert state.memory == {}
    assert state.open == set()


def test_an_acl_that_somebody_else_started(state: Ascend, path: Path) -> None:
    """Being initialised already is no error."""
    state.fails = {"init": 100002}
    assert Om().load(path).batches == (1, 4)


@pytest.mark.parametrize(
    ("call", "code", "fault"),
    [
        ("execute", 507901, DeviceLost),
        ("execute", 207001, DeviceOutOfMemory),
        ("malloc", 207001, DeviceOutOfMemory),
        ("set_device", 107001, BackendAbsent),
        ("load_from_file", 500002, UnsupportedGraph),
        ("load_from_file", 507899, DeviceLost),
    ],
)
def test_codes_are_mapped(
    state: Ascend, path: Path, call: str, code: int, fault: type[Exception]
) -> None:
    """A call's error code decides; one that only loading has is the file's."""
    state.fails = {call: code}
    with pytest.raises(fault, match=f"error code is {code}"):
        Om().load(path)


def test_ais_bench(npu: None, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """It is taken where it is there, with the batches that the settings say."""
    interface = ModuleType("ais_bench.infer.interface")
    interface.InferSession = InferSession  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ais_bench", ModuleType("ais_bench"))
    monkeypatch.setitem(sys.modules, "ais_bench.infer", ModuleType("ais_bench.infer"))
    monkeypatch.setitem(sys.modules, "ais_bench.infer.interface", interface)
    backend = Om(batches=(1, 4))
    assert backend.probe().says == "ais_bench.infer.interface, NPU 0 of 1"
    graph = backend.load(path)
    (made,) = graph.run({"x": X[:4]})
    assert np.array_equal(made, 2 * X[:4])
    assert graph.backend == "om/npu:0 (ais_bench)"
    assert set(graph.session.modes) == {"dymbatch"}  # type: ignore[attr-defined]
    with pytest.raises(DeviceLost):
        backend.load(path.rename(path.with_stem("lost")))


def test_no_npu(path: Path) -> None:
    """Without a driver the fault says so, and nothing is imported."""
    with pytest.raises(BackendAbsent, match="no Ascend driver"):
        Om().load(path)


def test_an_npu_without_cann(npu: None, path: Path) -> None:
    """With a driver and no library the probe says which."""
    found = Om().probe()
    assert not found.works
    assert "neither ais_bench nor CANN's acl" in found.says
    assert "set_env.sh" in found.fix
