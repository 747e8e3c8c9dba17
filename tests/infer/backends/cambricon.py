"""Cambricon's MLUs through torch_mlu: all that another vendor's device takes, in one file.

It is the example of docs/backends.md, tried on a simulated device. Which of Cambricon's error
codes mean that a device is lost is not known here: any error of its runtime takes it out until it
answers again.
"""

import shutil
import subprocess
from pathlib import Path

from functions.infer.backends.accelerator import Accelerator
from functions.infer.backends.faults import BackendFault, DeviceLost
from functions.infer.backends.graph import DeviceBackend, Probe, Reading
from functions.infer.backends.torch_device import TorchDevice
from functions.infer.settings import InferSettings

_MIB = float(1 << 20)


def present(index: int) -> Probe:
    """Looks for the device file of a card."""
    device = Path(f"/dev/cambricon_dev{index}")
    if device.exists():
        return Probe(works=True, says=f"MLU {index}")
    return Probe(works=False, says=f"there is no {device}", fix="Install Cambricon's driver.")


def fault_of(_: Exception, said: str) -> BackendFault:
    """What an error of Cambricon's runtime or operators means."""
    known = any(library in said for library in ("CNRT", "CNNL", "CNDRV"))
    return DeviceLost(said) if known else BackendFault(said)


def parse_cnmon(index: int, text: str) -> Reading:
    """What `cnmon info -c INDEX` says: sections of `key : value unit`."""
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            section = key
        elif value:
            found.setdefault(f"{section}/{key}", value)
            found.setdefault(key, value)

    def number(key: str) -> float | None:
        try:
            return float(found.get(key, "").split()[0])
        except (IndexError, ValueError):
            return None

    total, used = number("Physical Memory Usage/Total"), number("Physical Memory Usage/Used")
    use = number("Utilization/MLU Average")
    return Reading(
        device=f"mlu:{index}",
        name=found.get("Product Name", ""),
        use=None if use is None else use / 100,
        memory_used=None if used is None else used * _MIB,
        memory_total=None if total is None else total * _MIB,
        temperature=number("Temperature/Chip"),
        power=number("Power/Usage"),
        power_of="card",
    )


def readings(index: int) -> tuple[Reading, ...]:
    """How a card is."""
    program = shutil.which("cnmon")
    if program is None:
        return ()
    command = [program, "info", "-c", str(index)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return (parse_cnmon(index, done.stdout),)


MLU = Accelerator(
    kind="mlu",
    extension="torch_mlu",
    fix="Install the torch_mlu that fits torch.",
    present=present,
    fault_of=fault_of,
    readings=readings,
)


def open_mlu(device: str, settings: InferSettings) -> DeviceBackend:
    """The entry for `functions.infer.backends.offered.BACKENDS`."""
    return TorchDevice(MLU, device, settings.precision, settings.threads, settings.batches)
