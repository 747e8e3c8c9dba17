from collections.abc import Iterator
from itertools import chain, repeat

import numpy as np
import pytest

from functions.errors import BadModelError
from functions.infer.attempts import recording
from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceLost,
    DeviceOutOfMemory,
    NoBackendLeft,
    UnsupportedGraph,
)
from functions.infer.breaker import Recovery
from functions.infer.router import Router
from tests.infer.scripted import Scripted
from tests.infer.test_breaker import Clock

ROWS = np.arange(20, dtype=np.float32).reshape(10, 2)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "mouth.onnx"
    made.write_bytes(b"a graph")
    return made


@pytest.fixture
def route(clock, path):
    """Routes the graph over these backends."""

    def make(*backends):
        router = Router(backends, Recovery(first=5, most=60), clock)
        return router, router.load(path)

    return make


def then(*faults: BackendFault | None):
    """Fails so, run after run, and then no more."""
    script: Iterator[BackendFault | None] = chain(faults, repeat(None))
    return lambda *_: next(script)


def run(graph, rows=ROWS):
    """What the graph gives, and how often more it is than what it took."""
    with recording() as attempts:
        (made,) = graph.run({"x": rows})
    assert len(made) == len(rows)
    return (made[1:, 1] / rows[1:, 1]).tolist(), attempts


def outcomes(attempts):
    return [(each.backend, each.batch, each.outcome) for each in attempts.entries]


def test_the_first_device_that_works_serves(route):
    """The others aren't even asked to load."""
    npu, cpu = Scripted("npu"), Scripted("cpu", factor=3)
    _, graph = route(npu, cpu)
    factors, attempts = run(graph)
    assert set(factors) == {2}
    assert graph.backend == "npu"
    assert cpu.loads == 0
    assert outcomes(attempts) == [("npu", 10, "ok")]


def test_rows_are_cut_and_filled_up(route):
    """A device that was made for certain batches gets those and nothing else."""
    npu = Scripted("npu", batches=(1, 4))
    _, graph = route(npu)
    run(graph)
    assert npu.sizes == [4, 4, 4]


def test_a_device_lost_in_the_middle(route):
    """What it had done counts, the next device does the rest, and the report says so."""
    npu = Scripted("npu", batches=(4,), run_fault=then(None, DeviceLost("code 507901")))
    cpu = Scripted("cpu", batches=(4,), factor=3)
    _, graph = route(npu, cpu)
    factors, attempts = run(graph)
    assert factors == [2] * 3 + [3] * 6
    assert outcomes(attempts) == [("npu", 4, "ok"), ("npu", 4, "device-lost"), ("cpu", 4, "ok")]
    assert attempts.entries[1].says == "code 507901"
    assert npu.closed == 1
    assert graph.backend == "cpu"


def test_a_lost_device_is_left_alone_until_it_answers(route, clock):
    """It is asked in the background, not by segments; once it answers, it serves again."""
    npu = Scripted("npu", run_fault=then(DeviceLost("x")), alive=False)
    router, graph = route(npu, Scripted("cpu", factor=3))
    run(graph)
    assert router.recover() == 5
    clock.now += 5
    run(graph)
    assert npu.sizes == [10]
    assert router.recover() == 10, "it was asked and is still gone"
    clock.now += 10
    npu.alive = True
    assert router.recover() is None
    factors, attempts = run(graph)
    assert set(factors) == {2}
    assert npu.loads == 2
    assert outcomes(attempts) == [("npu", 10, "ok")]


def test_a_lost_device_is_lost_for_every_graph(route, path):
    """Another model's graph doesn't try it either."""
    npu = Scripted("npu", run_fault=then(DeviceLost("x")))
    router, graph = route(npu, Scripted("cpu", factor=3))
    other = router.load(path)
    run(graph)
    assert set(run(other)[0]) == {3}
    assert npu.sizes == [10]


def test_out_of_memory_halves_the_batch(route):
    """Until it fits; later runs begin where it fitted."""
    npu = Scripted("npu", run_fault=lambda rows: DeviceOutOfMemory("") if rows > 3 else None)
    _, graph = route(npu, Scripted("cpu", factor=3))
    factors, attempts = run(graph)
    assert set(factors) == {2}
    assert npu.sizes == [10, 5, 2, 2, 2, 2, 2]
    assert ("npu", 10, "out-of-memory") in outcomes(attempts)
    run(graph)
    assert npu.sizes[7:] == [2] * 5


def test_the_batch_grows_again_after_a_while(route, clock):
    """Whoever else had the memory may be gone."""
    npu = Scripted("npu", run_fault=then(DeviceOutOfMemory("")))
    _, graph = route(npu)
    run(graph)
    clock.now += 60
    run(graph)
    assert npu.sizes == [10, 5, 5, 10]


def test_no_room_for_a_single_row(route):
    """The next device takes over, and this one is out for a while."""
    npu = Scripted("npu", batches=(1, 4), run_fault=lambda _: DeviceOutOfMemory("full"))
    router, graph = route(npu, Scripted("cpu", factor=3))
    factors, attempts = run(graph)
    assert set(factors) == {3}
    assert npu.sizes == [4, 1]
    assert [outcome for *_, outcome in outcomes(attempts)] == ["out-of-memory"] * 2 + ["ok"]
    assert router.recover() == 5


def test_an_unsupported_graph_is_not_tried_again(route):
    """The device stays in use for others: only this graph goes elsewhere for good."""
    npu = Scripted("npu", run_fault=lambda _: UnsupportedGraph("aten.grid_sampler"))
    router, graph = route(npu, Scripted("cpu", factor=3))
    run(graph)
    factors, attempts = run(graph)
    assert set(factors) == {3}
    assert npu.sizes == [10]
    assert outcomes(attempts) == [("cpu", 10, "ok")]
    assert router.recover() is None


def test_unknown_faults_are_blamed_on_the_graph_in_the_end(route, clock):
    """A device that fails in ways that nobody knows comes back twice, and no third time."""
    npu = Scripted("npu", run_fault=lambda _: BackendFault("code 123456"))
    router, graph = route(npu, Scripted("cpu", factor=3))
    for _ in range(6):
        assert set(run(graph)[0]) == {3}
        clock.now += 60
        router.recover()
    assert npu.sizes == [10, 10, 10]


def test_numbers_that_are_none_go_elsewhere(route):
    """A graph that overflows in one precision may do well in another."""
    npu = Scripted("npu", factor=np.inf)
    _, graph = route(npu, Scripted("cpu", factor=3))
    factors, attempts = run(graph, ROWS + 1)
    assert set(factors) == {3}
    assert outcomes(attempts) == [("npu", 10, "not-finite"), ("cpu", 10, "ok")]


def test_what_is_absent_is_found_while_loading(route, path):
    """A backend whose device isn't here is passed over, and the report says why."""
    npu = Scripted("npu", load_fault=lambda: BackendAbsent("no Ascend driver"), alive=False)
    router = Router((npu, Scripted("cpu")))
    with recording() as attempts:
        graph = router.load(path)
    assert graph.backend == "cpu"
    assert [(each.batch, each.outcome, each.says) for each in attempts.entries] == [
        (0, "absent", "no Ascend driver")
    ]


def test_when_nobody_is_left(route):
    """The caller hears of it with every cause; a lost device is not the model's fault."""
    _, graph = route(Scripted("npu", run_fault=lambda _: DeviceLost("code 507901")))
    with pytest.raises(NoBackendLeft, match=r"mouth\.onnx.*npu: code 507901") as caught:
        run(graph)
    assert not caught.value.is_models_fault
    with pytest.raises(NoBackendLeft, match="507901"):
        run(graph)


def test_a_graph_that_nobody_can_run_is_the_models_fault(path):
    """Told apart from devices that are absent, for no retry helps."""
    absent = Scripted("npu", load_fault=lambda: BackendAbsent("no driver"))
    refuses = Scripted("cpu", load_fault=lambda: UnsupportedGraph("no protobuf"))
    with pytest.raises(NoBackendLeft) as caught:
        Router((absent, refuses)).load(path)
    assert caught.value.is_models_fault
    with pytest.raises(NoBackendLeft) as caught:
        Router((absent,)).load(path)
    assert not caught.value.is_models_fault


def test_each_backend_takes_its_own_artefact(path):
    """Beside `mouth.onnx` lies `mouth.pt2`; a backend without a file is passed over for good."""
    path.with_suffix(".pt2").write_bytes(b"a program")
    om = Scripted("om", suffixes=(".om",))
    torch = Scripted("torch", suffixes=(".pt2",))
    router = Router((om, torch, Scripted("cpu")))
    assert router.load(path).backend == "torch"
    assert om.loads == 0
    assert router.recover() is None, "that a model lacks a file says nothing of the device"


def test_a_missing_file_is_a_bad_model(tmp_path):
    """It is named."""
    with pytest.raises(BadModelError, match=r"gone\.onnx"):
        Router((Scripted("cpu"),)).load(tmp_path / "gone.onnx")
