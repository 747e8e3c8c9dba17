from dataclasses import replace

from functions.infer.attempts import recording, took_place
from functions.patches import GraphRuns

FINE = GraphRuns("mouth", "torch/npu:0", "fp16", 4, 1, 0.25)
LOST = replace(FINE, outcome="device-lost", says="error code is 507901")


def recorded(*runs):
    with recording() as attempts:
        for run in runs:
            took_place(run)
    return attempts


def test_runs_that_went_alike_are_one_entry():
    """With how many they were and how long they took together."""
    other = replace(FINE, graph="ear")
    attempts = recorded(FINE, other, FINE, other, FINE)
    assert attempts.entries == [
        replace(FINE, runs=3, seconds=0.75),
        replace(other, runs=2, seconds=0.5),
    ]


def test_a_fault_parts_what_came_before_from_what_came_after():
    """So that a report tells in which order a device was lost, replaced and regained."""
    cpu = replace(FINE, backend="onnxruntime/CPUExecutionProvider", precision="fp32")
    attempts = recorded(FINE, FINE, LOST, cpu, cpu, FINE)
    assert [(entry.backend, entry.runs, entry.outcome) for entry in attempts.entries] == [
        ("torch/npu:0", 2, "ok"),
        ("torch/npu:0", 1, "device-lost"),
        ("onnxruntime/CPUExecutionProvider", 2, "ok"),
        ("torch/npu:0", 1, "ok"),
    ]
    assert attempts.servers == ["torch/npu:0", "onnxruntime/CPUExecutionProvider"]


def test_a_backend_that_only_failed_served_nothing():
    """Only successes make a server."""
    assert recorded(LOST).servers == []


def test_long_sayings_are_cut():
    """A library's whole stack doesn't belong into a report."""
    (entry,) = recorded(replace(LOST, says="x" * 10_000)).entries
    assert len(entry.says) == 300


def test_nobody_has_to_record():
    """Runs outside a segment are counted and forgotten; recordings don't see each other."""
    took_place(FINE)
    assert recorded().entries == []
