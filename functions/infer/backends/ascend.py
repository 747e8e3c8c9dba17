"""What every backend on an Ascend NPU needs: is one there, and what do its error codes mean.

Codes: CANN's runtime error codes as torch_npu and AscendCL report them.
"""

import ctypes
import os
import re
from collections.abc import Callable
from pathlib import Path

from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceLost,
    DeviceOutOfMemory,
)
from functions.infer.backends.graph import Probe

_DRIVER = "libascend_hal.so"
_DRIVER_PLACES = (
    _DRIVER,
    f"/usr/local/Ascend/driver/lib64/driver/{_DRIVER}",
    f"/usr/local/Ascend/driver/lib64/{_DRIVER}",
)
_CONFIGURATION = frozenset({107001, 107002})
_MEMORY = frozenset({207001, 207005, 207018})
_LOST = frozenset(
    {107022, 207004, 507010, 507034, 507035, 507899, 507901, *range(507013, 507019), 507033}
)
_CODE = re.compile(
    r"(?:error code is|error code:?|errorCode=|CANN error|ret=|return)\s*:?\s*(\d{6})"
)

DRIVER_FIX = (
    "Install Ascend's driver and firmware on the host. In a container pass its devices in: "
    "/dev/davinci0, /dev/davinci_manager, /dev/devmm_svm, /dev/hisi_hdc, and mount "
    "/usr/local/Ascend/driver; see docs/backends.md."
)
CANN_FIX = (
    "Install the CANN toolkit or its runtime and source its set_env.sh, or use an image that has "
    "it; see docs/backends.md."
)


def device_count(open_library: Callable[[str], ctypes.CDLL] = ctypes.CDLL) -> int | None:
    """How many NPUs the driver sees; None where there is no driver.

    Asks `drvGetDevNum`, as torch_npu itself does, without loading any of CANN.
    """
    for place in _DRIVER_PLACES:
        try:
            ask = open_library(place).drvGetDevNum
        except (OSError, AttributeError):
            continue
        count = ctypes.c_uint(0)
        return int(count.value) if ask(ctypes.byref(count)) == 0 else 0
    return None


def probe_device(index: int, count: int | None) -> Probe:
    """Whether the driver has this NPU.

    Args:
        index: of the device.
        count: see `device_count`.
    """
    if count is None:
        return Probe(works=False, says=f"there is no Ascend driver ({_DRIVER})", fix=DRIVER_FIX)
    if index >= count:
        return Probe(
            works=False,
            says=f"the Ascend driver sees {count} NPUs, none of them number {index}",
            fix="Choose another device in KOUBO_INFER_BACKENDS, or pass this one into the "
            "container. ASCEND_RT_VISIBLE_DEVICES must list devices in ascending order.",
        )
    return Probe(works=True, says=f"NPU {index} of {count}")


def toolkit() -> Path | None:
    """Where CANN is installed, going by its environment variables and its usual place."""
    named = (os.environ.get(name) for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"))
    places = (
        *(Path(place) for place in named if place),
        Path("/usr/local/Ascend/ascend-toolkit/latest"),
    )
    return next((place for place in places if place.is_dir()), None)


def code_of(message: str) -> int | None:
    """The CANN error code that a library's message carries, if it does."""
    match = _CODE.search(message)
    return int(match[1]) if match else None


def fault_of(code: int | None, message: str) -> BackendFault:
    """What an error of CANN's means.

    Args:
        code: see `code_of`.
        message: what the library said.
    """
    said = " ".join(message.split())
    if code in _MEMORY:
        return DeviceOutOfMemory(said)
    if code in _LOST:
        return DeviceLost(said)
    if code in _CONFIGURATION:
        return BackendAbsent(said)
    return BackendFault(said)
