"""Another vendor's device takes one file and one line."""

import subprocess
import sys

import pytest

from functions.infer.backends.faults import BackendFault, DeviceLost
from functions.infer.backends.graph import Reading
from functions.infer.backends.offered import BACKENDS, order
from functions.infer.settings import InferSettings
from tests.infer.backends import cambricon

CNMON = """
Card 0
    Product Name                   : MLU370-X4
    Utilization
        MLU Average                : 37 %
    Physical Memory Usage
        Total                      : 23308 MiB
        Used                       : 1024 MiB
    Virtual Memory Usage
        Total                      : 1048576 MiB
        Used                       : 2048 MiB
    Temperature
        Board                      : 41 C
        Chip                       : 45 C
    Power
        Usage                      : 38 W
        Cap                        : 150 W
"""

SCRIPT = """
import dataclasses, pathlib, sys, tempfile
from functions.infer.backends.graph import Probe
from functions.infer.backends.offered import BACKENDS, order
from functions.infer.settings import InferSettings
from functions.infer.router import Router
from tests.infer.backends import cambricon, small_model, small_program
from tests.infer.backends.simulated_device import install

condition = install("mlu")
cambricon.MLU = dataclasses.replace(cambricon.MLU, present=lambda _: Probe(works=True, says=""))
backends = order(
    InferSettings(backends=("cambricon/mlu:0",), precision="fp32"),
    BACKENDS | {"cambricon": cambricon.open_mlu},
)
with tempfile.TemporaryDirectory() as folder:
    small_program.write_torch(pathlib.Path(folder, "generator.pt2"))
    manifest = small_model.seal(pathlib.Path(folder))
    print(small_model.largest_difference(manifest, *backends))
    print(Router(backends).load(pathlib.Path(folder, "generator.onnx")).backend)
print(condition.operators > 0)
"""


def test_it_is_found_by_its_name() -> None:
    """One more line in the table, and settings know it; the CPU still stands behind it."""
    settings = InferSettings(backends=("cambricon/mlu:0",))
    backends = order(settings, BACKENDS | {"cambricon": cambricon.open_mlu})
    assert [backend.name for backend in backends] == ["torch/mlu:0", "onnxruntime/cpu"]
    assert cambricon.present(0).says == "there is no /dev/cambricon_dev0"
    assert backends[0].readings() == ()


def test_errors_of_its_runtime() -> None:
    """Those take the device out; others are nobody's."""
    assert type(cambricon.fault_of(RuntimeError(), "CNRT error: device lost")) is DeviceLost
    assert type(cambricon.fault_of(RuntimeError(), "shape mismatch")) is BackendFault


def test_cnmon() -> None:
    """Use, physical memory, the chip's temperature and the card's power."""
    mib = 1 << 20
    assert cambricon.parse_cnmon(0, CNMON) == Reading(
        *("mlu:0", "MLU370-X4", 0.37, 1024.0 * mib, 23308.0 * mib, 45.0, 38.0, "card", None)
    )
    assert cambricon.parse_cnmon(1, "no such card") == Reading("mlu:1", power_of="card")


@pytest.mark.backends("torch")
def test_it_renders() -> None:
    """On a simulated MLU a Wav2Lip-shaped model renders what onnxruntime does."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    difference, backend, used = done.stdout.split()
    assert int(difference) <= 1
    assert backend == "torch/mlu:0"
    assert used == "True"
