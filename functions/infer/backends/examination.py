"""Looks at every backend of this machine without letting any of them harm the one that looks.

Each library is looked at in a process of its own, which may hang, crash or print what it likes:
`python -m functions.infer.backends.examination LIBRARY`.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec

from functions.errors import NotSetUpError
from functions.infer.backends import ascend, npu_smi
from functions.infer.backends.graph import Probe
from functions.infer.backends.offered import DEVICES, open_backend, order
from functions.infer.settings import InferSettings

_SECONDS = 120.0
_MARK = "koubo-probe "
_LIBRARIES = {
    "onnxruntime": (("onnxruntime",), "Install koubo[infer]."),
    "torch": (("torch",), "Install koubo[torch]; on an NPU the torch_npu that fits it, too."),
    "om": (("ais_bench", "acl"), ascend.CANN_FIX),
    "mindspore": (("mindspore",), "Install koubo[mindspore]."),
    "tvm": (("tvm",), "Install koubo[tvm]."),
}
"""The packages of each library, one of which must be there."""


@dataclass(frozen=True)
class Examined:
    """A backend and what was found.

    Args:
        name: of the backend.
        wanted: whether the settings ask for it, so that a run may need it.
        found: see `Probe`.
    """

    name: str
    wanted: bool
    found: Probe


def examine(settings: InferSettings) -> list[Examined]:
    """Looks at all backends that Koubo knows, those that the settings ask for first.

    Raises:
        NotSetUpError: the settings ask for one that doesn't exist.
    """
    wanted = [backend.name for backend in order(settings)]
    asked = list(dict.fromkeys([*wanted, *_usual()]))
    found: dict[str, Probe] = {}
    for library in dict.fromkeys(name.partition("/")[0] for name in asked):
        names = [name for name in asked if name.partition("/")[0] == library]
        found |= dict(zip(names, _look_at(library, names), strict=True))
    return [Examined(name, name in wanted, found[name]) for name in asked]


def examine_npus() -> Probe:
    """What there is of Ascend on this machine, whatever is meant to use it."""
    count, toolkit = ascend.device_count(), ascend.toolkit()
    cann = f"CANN at {toolkit}" if toolkit else "no CANN toolkit"
    if count is None:
        return Probe(works=False, says=f"no Ascend driver, {cann}", fix=ascend.DRIVER_FIX)
    told = [one.name + (", unwell" if one.healthy is False else "") for one in npu_smi.readings()]
    listed = "; ".join(told) or "npu-smi says nothing"
    fix = "" if toolkit else ascend.CANN_FIX
    return Probe(works=bool(count and toolkit), says=f"{count} NPUs ({listed}), {cann}", fix=fix)


def _usual() -> Iterable[str]:
    """Each device that Koubo knows, the first of its kind."""
    for library, devices in DEVICES.items():
        for device in devices:
            numbered = device in ("cann", "cuda", "npu", "ascend")
            yield f"{library}/{device}:0" if numbered else f"{library}/{device}"


def _look_at(library: str, names: list[str]) -> list[Probe]:
    packages, fix = _LIBRARIES[library]
    if not any(find_spec(package) for package in packages):
        return [Probe(works=False, says=f"no {' and no '.join(packages)}", fix=fix)] * len(names)
    command = [sys.executable, "-m", __spec__.name, *names]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        what = f"it didn't answer within {_SECONDS:.0f} s"
        return [Probe(works=False, says=what, fix=fix)] * len(names)
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    probes = [Probe(**json.loads(line.removeprefix(_MARK))) for line in lines]
    ended = Probe(works=False, says=f"looking at it ended with code {done.returncode}", fix=fix)
    return probes + [ended] * (len(names) - len(probes))


def main(names: list[str]) -> None:
    """Looks at some backends of one library and prints a line for each."""
    settings = InferSettings()
    for name in names:
        try:
            found = open_backend(name, settings).probe()
        except NotSetUpError as error:
            found = Probe(works=False, says=str(error))
        sys.stdout.write(f"\n{_MARK}{json.dumps(asdict(found))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
