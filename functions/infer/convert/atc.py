"""ATC, which makes an offline model (`.om`) for one kind of Ascend chip out of an ONNX file.

Options as in its documentation. It comes with CANN's toolkit, and runs on machines without an
NPU, too.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.errors import KouboError, NotSetUpError
from functions.infer.model_draft import OnnxFile
from functions.process import Limits, run_supervised

PROGRAM = "atc"
PRECISIONS = ("origin", "fp16", "mixed_float16", "cube_fp16in_fp32out", "mixed_hif8")
FUSION_OFF = '{"Switch":{"GraphFusion":{"ALL":"off"},"UBFusion":{"ALL":"off"}}}'
"""A fusion switch file that leaves every operator by itself: to find out what fusing costs."""

_ONNX = 5
_CHIP = re.compile(r"Ascend[0-9]{3}[A-Za-z0-9_]{0,20}")
_MOST_BATCHES = 100
_SECONDS = 3600
_LIMITS = Limits(
    seconds=_SECONDS,
    cpu_seconds=8 * _SECONDS,
    memory_bytes=64 << 30,
    file_bytes=16 << 30,
    open_files=4096,
)


@dataclass(frozen=True)
class Target:
    """What an offline model is made for.

    Args:
        chip: "Ascend" and the Name column of `npu-smi info`, such as `Ascend310P3`.
        batches: sizes that it takes, ascending; others are filled up.
        precision: `origin` keeps what the graph has.
        fusion_off: a fusion switch file, or None for ATC's own choice.
    """

    chip: str
    batches: tuple[int, ...] = (1, 4, 8)
    precision: str = "origin"
    fusion_off: Path | None = None


def command(graph: OnnxFile, to: Path, target: Target) -> list[str]:
    """ATC's command line.

    Args:
        graph: the ONNX file.
        to: the `.om` to make; ATC adds the suffix itself.
        target: see `Target`.

    Raises:
        KouboError: the graph or the target is nothing that ATC takes.
    """
    _check(graph, target)
    sizes = _sizes(graph, target)
    pictures = all(len(tensor.shape) == 4 for tensor in graph.inputs)
    if len(sizes) > 1 and not pictures:
        what = f"{graph.path.name} takes what is no picture, and ATC knows batches of pictures only"
        raise KouboError(f"{what}: give one size, such as --batches {sizes[-1]}")
    line = [
        PROGRAM,
        f"--framework={_ONNX}",
        f"--model={graph.path}",
        f"--output={to.with_suffix('')}",
        f"--soc_version={target.chip}",
        f"--input_format={'NCHW' if pictures else 'ND'}",
        f"--input_shape={_shapes(graph, sizes)}",
    ]
    if len(sizes) > 1:
        line.append(f"--dynamic_batch_size={','.join(map(str, sizes))}")
    line.append(f"--precision_mode_v2={target.precision}")
    if target.fusion_off is not None:
        line.append(f"--fusion_switch_file={target.fusion_off}")
    return line


def run(line: Sequence[str], to: Path) -> Path:
    """Runs ATC.

    Args:
        line: from `command`.
        to: the `.om` to make.

    Returns:
        the file that was made; for graphs of many batches ATC may name it after the machine.

    Raises:
        NotSetUpError: there is no ATC here.
        ProgramFailedError: it failed; its last lines are in the error.
        KouboError: it ended well and made nothing.
    """
    program = shutil.which(line[0])
    if program is None:
        what = "there is no atc on this machine: source CANN's set_env.sh, or use --dry-run"
        raise NotSetUpError(what)
    to.parent.mkdir(parents=True, exist_ok=True)
    finished = run_supervised([program, *line[1:]], limits=_LIMITS)
    for made in (to, *sorted(to.parent.glob(f"{to.stem}_linux_*.om"))):
        if made.is_file():
            return made.replace(to)
    raise KouboError(f"atc made no {to.name}: {' | '.join(finished.said[-3:])}")


def _check(graph: OnnxFile, target: Target) -> None:
    if not _CHIP.fullmatch(target.chip):
        what = f"{target.chip!r} is no chip: it is Ascend and the name in npu-smi's list"
        raise KouboError(f"{what}, such as Ascend310P3")
    if target.precision not in PRECISIONS:
        raise KouboError(f"{target.precision!r} is no precision: {', '.join(PRECISIONS)}")
    sizes = target.batches
    if not 0 < len(sizes) <= _MOST_BATCHES or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise KouboError(f"batches ascend from 1 on, at most {_MOST_BATCHES} of them: {sizes}")
    for tensor in graph.inputs:
        if None in tensor.shape[1:]:
            what = f"{tensor.name} {list(tensor.shape)} of {graph.path.name}"
            raise KouboError(f"{what} has a size besides the batch that isn't fixed")


def _sizes(graph: OnnxFile, target: Target) -> tuple[int, ...]:
    """The batches of the offline model: the graph's own one where it is fixed.

    Raises:
        KouboError: some inputs have a fixed batch and others haven't.
    """
    first = {tensor.shape[0] for tensor in graph.inputs}
    if first == {None}:
        return target.batches
    if len(first) == 1 and (fixed := first.pop()) is not None:
        return (fixed,)
    raise KouboError(f"{graph.path.name} takes batches of different sizes for its inputs")


def _shapes(graph: OnnxFile, sizes: tuple[int, ...]) -> str:
    batch = -1 if len(sizes) > 1 else sizes[0]
    shapes = ((tensor.name, (batch, *tensor.shape[1:])) for tensor in graph.inputs)
    return ";".join(f"{name}:{','.join(map(str, shape))}" for name, shape in shapes)
