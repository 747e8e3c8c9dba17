"""`koubo convert` and `koubo models convert`: making graphs for other backends."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from functions.compare import CPU, EXIT_APART, Side, gate
from functions.data_option import DEFAULT_DATA, DataOption, open_store
from functions.errors import NotSetUpError
from functions.layout import MODEL_FILE
from functions.model_commands import find_manifest, refusing

if TYPE_CHECKING:
    # The commands that need them import them: others start faster.
    import numpy as np
    from numpy.typing import NDArray

    from functions.infer.manifest import Manifest

HELD_OUT = 5
"""Of so many recorded frames one is kept from the calibration, for the gate."""

app = typer.Typer(no_args_is_help=True, help="Graphs for other backends, each with a gate.")


def convert_published(
    family: Annotated[str, typer.Argument(help="wav2lip, ultralight or musetalk.")],
    source: Annotated[
        Path,
        typer.Argument(exists=True, help="The checkpoint; MuseTalk's folder `models`."),
    ],
    to: Annotated[Path, typer.Option("-o", "--output", help="A folder for the graphs.")],
    program: Annotated[  # noqa: FBT002 -- a command line flag
        bool, typer.Option("--program", help="Write `.pt2` programs for torch, too.")
    ] = False,
) -> None:
    """Make a model's ONNX graphs out of the checkpoint that its authors publish."""
    with _extra():
        from functions.infer.convert.published import convert  # noqa: PLC0415 -- needs torch

        files = convert(family, source, to, program=program)
    for path in files:
        typer.echo(str(path))
    graphs = shlex.join(str(path) for path in files if path.suffix == ".onnx")
    typer.echo(f"koubo models add {graphs} --family {family}")


@app.command("om")
def to_om(
    graph: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An ONNX file.")],
    chip: Annotated[
        str,
        typer.Option(help="Ascend and the Name that npu-smi shows, such as Ascend310P3."),
    ],
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default beside the graph.")
    ] = None,
    batches: Annotated[
        str, typer.Option(help="Sizes that the offline model takes, ascending.")
    ] = "1,4,8",
    precision: Annotated[str, typer.Option(help="ATC's precision_mode_v2.")] = "origin",
    fusion: Annotated[bool, typer.Option(help="Let ATC fuse operators.")] = True,  # noqa: FBT002 -- a command line flag
    inputs: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An .npz of real inputs for the gate."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print ATC's command line.")] = False,  # noqa: FBT002
) -> None:
    """Have ATC make an offline model for an Ascend chip, and compare it where there is one."""
    with _extra():
        from functions.infer.convert import atc  # noqa: PLC0415 -- see above
        from functions.infer.onnx_file import read_onnx  # noqa: PLC0415
        from functions.settings import ModelSettings  # noqa: PLC0415

    with refusing():
        read = read_onnx(graph, ModelSettings().max_file_bytes)
    made = (to or graph).with_suffix(".om")
    switch = None if fusion else made.with_name(f"{made.stem}.fusion.cfg")
    line = atc.command(read, made, atc.Target(chip, _sizes(batches), precision, switch))
    if switch is not None:
        made.parent.mkdir(parents=True, exist_ok=True)
        switch.write_text(atc.FUSION_OFF)
    if dry_run:
        typer.echo(shlex.join(line))
        return
    typer.echo(str(atc.run(line, made)))
    _gate_om(graph, made, inputs)


@app.command("int8")
def to_int8(
    model: Annotated[str, typer.Argument(help="`name`, `name/version`, or a model's folder.")],
    footage: Annotated[
        str, typer.Option(help="Real faces: a video or portrait, or a digest in the store.")
    ],
    to: Annotated[Path, typer.Option("-o", "--output", help="The ONNX file to make.")],
    graph: Annotated[str, typer.Option(help="Which of the model's graphs.")] = "generator",
    voice: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="By default a sample.")
    ] = None,
    rows: Annotated[int, typer.Option(min=HELD_OUT, help="Frames to look at.")] = 80,
    keep_inputs: Annotated[
        Path | None, typer.Option(help="Write the frames' inputs into this .npz.")
    ] = None,
    cosine: float = 0.99,
    euclidean: float = 0.05,
    max_abs: float = 1e-3,
    psnr: float = 30.0,
    tenant: str = "default",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Make an 8-bit graph, calibrated on real faces; kept only where it passes the gate."""
    with _extra():
        import numpy as np  # noqa: PLC0415 -- see above

        from functions.infer.comparison import Limits  # noqa: PLC0415
        from functions.infer.convert.int8 import quantise  # noqa: PLC0415
    with refusing():
        manifest = _manifest(model, data)
        given = _recorded(manifest, graph, footage, voice, rows, tenant, data)
    if keep_inputs is not None:
        np.savez(keep_inputs, **given)  # type: ignore[arg-type]  # none is `allow_pickle`
    held = {name: array[::HELD_OUT] for name, array in given.items()}
    rest = np.arange(len(next(iter(given.values())))) % HELD_OUT != 0
    seen = {name: array[rest] for name, array in given.items()}
    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".koubo-int8-", dir=to.parent) as folder:
        made = Path(folder) / to.name
        source = manifest.graph(graph)
        quantise(source, seen, made)
        limits = Limits(cosine, euclidean, max_abs, psnr)
        if not gate(Side(source, CPU), Side(made, CPU), held, limits):
            typer.echo("It is too far from the original and was not kept.")
            raise typer.Exit(EXIT_APART)
        # Big graphs keep their weights beside themselves.
        for part in Path(folder).iterdir():
            part.replace(to.parent / part.name)
    typer.echo(str(to))


def _gate_om(graph: Path, made: Path, inputs: Path | None) -> None:
    """Compares where there is an NPU, and says so where there is none."""
    from functions.compare import made_up, read_inputs  # noqa: PLC0415 -- see above
    from functions.infer.backends.offered import open_backend  # noqa: PLC0415
    from functions.infer.comparison import Limits  # noqa: PLC0415
    from functions.infer.settings import InferSettings  # noqa: PLC0415

    found = open_backend("om/npu:0", InferSettings()).probe()
    if not found.works:
        line = ["koubo", "compare", str(graph), str(made), "--other-on", "om/npu:0"]
        typer.echo(f"It was not compared: {found.says}")
        typer.echo(f"On a machine with an NPU: {shlex.join(line)}")
        return
    one = Side(graph, CPU)
    given = read_inputs(inputs) if inputs else made_up(one.load(), 8)
    if not gate(one, Side(made, "om/npu:0"), given, Limits()):
        raise typer.Exit(EXIT_APART)


def _manifest(model: str, data: Path) -> "Manifest":
    if Path(model, MODEL_FILE).is_file():
        from functions.infer.manifest import read_manifest  # noqa: PLC0415 -- see above

        return read_manifest(Path(model).absolute())
    return find_manifest(model, open_store(data))


def _recorded(
    manifest: "Manifest",
    graph: str,
    footage: str,
    voice: Path | None,
    rows: int,
    tenant: str,
    data: Path,
) -> "dict[str, NDArray[np.generic]]":
    """What the graph is given when the model renders this footage."""
    from functions.calibration import analysed  # noqa: PLC0415 -- see above
    from functions.infer.backends.onnx_runtime import OnnxRuntime  # noqa: PLC0415
    from functions.infer.recording import record  # noqa: PLC0415

    store = open_store(data)
    with analysed(manifest, footage, voice, store, tenant) as (faces, heard):
        return record(manifest, graph, OnnxRuntime(), faces, heard, rows)


def _sizes(batches: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in batches.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"{batches!r} is no list of numbers", param_hint="--batches"
        ) from error


@contextmanager
def _extra() -> Iterator[None]:
    """Says what to install where a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        what = f"this needs {error.name}: pip install 'koubo[convert]'"
        raise NotSetUpError(what) from error
