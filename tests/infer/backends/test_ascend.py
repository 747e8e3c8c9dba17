import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.infer.backends import ascend
from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceLost,
    DeviceOutOfMemory,
)


@pytest.fixture
def driver(tmp_path: Path) -> Callable[[str], Callable[[str], ctypes.CDLL]]:
    """Compiles a `libascend_hal.so` whose `drvGetDevNum` has this body."""

    def build(body: str) -> Callable[[str], ctypes.CDLL]:
        source, library = tmp_path / "hal.c", tmp_path / "libascend_hal.so"
        source.write_text(f"int drvGetDevNum(unsigned int *count) {{ {body} }}\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        return lambda name: ctypes.CDLL(str(library) if name == library.name else name)

    return build


def test_no_driver() -> None:
    """Where the driver's library isn't, there are not even zero devices."""
    assert ascend.device_count(lambda name: ctypes.CDLL(f"nowhere-{name}")) is None


def test_devices_of_a_driver(driver: Callable[[str], Callable[[str], ctypes.CDLL]]) -> None:
    """The driver is asked itself, before anything big is imported."""
    assert ascend.device_count(driver("*count = 4; return 0;")) == 4


def test_a_driver_that_fails(driver: Callable[[str], Callable[[str], ctypes.CDLL]]) -> None:
    """It is there, and has no device for us."""
    assert ascend.device_count(driver("return 87;")) == 0


def test_probe_says_what_to_do() -> None:
    """Each way of not having the device has its own words."""
    assert "devmm_svm" in ascend.probe_device(0, None).fix
    found = ascend.probe_device(2, 2)
    assert not found.works
    assert "2 NPUs" in found.says
    assert "ASCEND_RT_VISIBLE_DEVICES" in found.fix
    assert ascend.probe_device(1, 2).works


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("operator():NPUQueue.cpp NPU function error: aclnnAdd, error code is 507901", 507901),
        ("acl's execute: error code is 207001", 207001),
        ("CANN error 107001: invalid device", 107001),
        ("EZ9999: Inner Error, ret=507035", 507035),
        ("no code in 12345 words", None),
    ],
)
def test_codes_in_messages(message: str, code: int | None) -> None:
    """A code is told by what stands before it, not by being a number."""
    assert ascend.code_of(message) == code


@pytest.mark.parametrize(
    ("codes", "fault"),
    [
        ((207001, 207005, 207018), DeviceOutOfMemory),
        ((207004, 507010, 507899, 507901, 507033), DeviceLost),
        ((*range(507013, 507019), 507034, 507035, 107022), DeviceLost),
        ((107001, 107002), BackendAbsent),
        ((123456, None), BackendFault),
    ],
)
def test_what_codes_mean(codes: tuple[int | None, ...], fault: type[BackendFault]) -> None:
    """Memory, lost devices and core faults, configuration, and what nobody knows."""
    assert {type(ascend.fault_of(code, "x")) for code in codes} == {fault}
