from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.infer.backends import npu_smi as subject
from functions.infer.backends.graph import Reading

MIB = 1 << 20


def reading(index, name, use, share, total, temperature, power, of, healthy) -> Reading:
    """What is expected, with the memory in MiB and its use as npu-smi has them."""
    return Reading(
        f"npu:{index}",
        name,
        use=use / 100,
        memory_used=total * MIB * (share / 100),
        memory_total=total * MIB,
        temperature=temperature,
        power=power,
        power_of=of,
        healthy=healthy,
    )


EXPECTED = {
    "310": (
        reading(0, "Ascend 310", 0, 35, 7759, 46, 41.5, "card", True),
        reading(1, "Ascend 310", 97, 42, 7759, 53, 41.5, "card", True),
        reading(2, "Ascend 310", 0, 2, 7759, 44, 41.5, "card", True),
        reading(3, "Ascend 310", 0, 2, 7759, None, 41.5, "card", False),
    ),
    "310P": (
        reading(0, "Ascend 310P3", 62, 7, 44280, 51, 42.8, "card", True),
        reading(1, "Ascend 310P3", 0, 3, 44280, 47, 42.8, "card", True),
    ),
    "910": (
        reading(0, "Ascend 910", 99, 88, 32768, 61, 226.4, "chip", False),
        reading(1, "Ascend 910", 0, 0, 32768, 41, 67.1, "chip", True),
    ),
    "910B": (reading(0, "Ascend 910B3", 21, 5, 65536, 49, 103.5, "chip", None),),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_golden_outputs(kind: str, npu_smi: Callable[[str], None]) -> None:
    """Use, memory, temperature, power and health of each chip of four kinds of cards.

    A rated power is no measurement, what is `NA` is left out, and the controller's temperature is
    no chip's.
    """
    npu_smi(kind)
    assert subject.readings() == EXPECTED[kind]


def test_one_device(npu_smi: Callable[[str], None]) -> None:
    """A backend asks for its own device by the number that programs use."""
    npu_smi("910")
    assert subject.readings(1) == EXPECTED["910"][1:]
    assert subject.readings(7) == ()


def test_without_npu_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told where the program isn't, fails or talks about something else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert subject.readings() == ()
    program = tmp_path / "npu-smi"
    for script in ("exit 1", "echo dcmi model initialized failed"):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        assert subject.readings() == ()


@given(common=st.text(), usages=st.text(), health=st.text())
def test_whatever_it_prints(common: str, usages: str, health: str) -> None:
    """Outputs of versions that nobody has seen yet leave values out and end nothing."""
    chips = [subject.Chip(0, 0, 0, "Ascend 310P3")]
    (found,) = subject.parse_card(chips, common, usages, health)
    assert found.device == "npu:0"
    assert subject.parse_mapping(common) is not None
