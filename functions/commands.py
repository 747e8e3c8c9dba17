"""What `koubo` can do: the embedded default for people and scripts."""

import sys
import uuid
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Annotated

import typer
from rich.console import Console

from functions import (
    check_command,
    compare,
    convert,
    doctor,
    listing,
    model_commands,
    oneshot,
    operate,
)
from functions.board import Board, keys_of
from functions.catch_up import catch_up
from functions.cli import EXIT_FAILED, EXIT_NOT_SET_UP, EXIT_REFUSED
from functions.data_folder import DataFolder
from functions.data_option import DEFAULT_DATA, DataOption, find_place, open_store
from functions.errors import Code
from functions.local import Local, LocalSettings, Queued
from functions.logs import set_up
from functions.options import Options, parse_options
from functions.plans import find_plan
from functions.pool import Outcome
from functions.settings import BucketSettings, CacheSettings, LogSettings, StoreSettings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="A voice and a face in, a lip-synced talking-head video out.",
)

WorkersOption = Annotated[
    int,
    typer.Option(
        min=0, envvar="KOUBO_LOCAL_WORKERS", help="Worker processes; 0 is one for each core."
    ),
]


class StoreKind(StrEnum):
    """Where `koubo up` finds the buckets."""

    FOLDER = "folder"
    S3 = "s3"


StoreOption = Annotated[
    StoreKind,
    typer.Option(
        envvar="KOUBO_STORE_KIND",
        help="A folder to watch, or MinIO to listen to, at KOUBO_STORE_ENDPOINT.",
    ),
]
HttpOption = Annotated[
    str | None,
    typer.Option(
        envvar="KOUBO_LOCAL_HTTP",
        help="Where runs over HTTP are served: host:port, or off. Port 0 takes a free one.",
        show_default="127.0.0.1:8008",
    ),
]


@app.command()
def up(
    data: DataOption = DEFAULT_DATA,
    workers: WorkersOption = 0,
    http: HttpOption = None,
    store: StoreOption = StoreKind.FOLDER,
) -> None:
    """Watch a folder, or MinIO, and make a video of every voice and face that is dropped there."""
    from functions.gateway.beside import beside  # noqa: PLC0415 -- other commands start faster

    folder = DataFolder(data.absolute(), StoreSettings(kind="s3") if store == "s3" else None)
    buckets = BucketSettings()
    logs = LogSettings(file=folder.own / "koubo.log") if sys.stderr.isatty() else LogSettings()
    set_up(logs)
    console = Console()
    settings = LocalSettings(workers=workers)
    with ExitStack() as stack:
        local = stack.enter_context(Local(folder, settings, logs))
        served = stack.enter_context(beside(local.store, folder.remote, http))
        board = stack.enter_context(Board(console))
        board.line(served)
        drop = f"{folder.place}{buckets.input}/{oneshot.TENANT}/<job>/"
        board.line(f"Drop a voice and a face into {drop}")
        board.line(f"Videos appear in {folder.place}{buckets.output}/")
        known: set[str] = set()
        # Each of a run's parts fires the assembly, so its end is seen more than once.
        said: deque[str] = deque(maxlen=1000)
        for news in local.work():
            if isinstance(news, Queued):
                keys = keys_of(news.job)
                if keys is not None and keys.run not in known:
                    known.add(keys.run)
                    board.plan(find_plan(local.store, buckets.work, keys))
            board.take(news)
            if isinstance(news, Outcome):
                for line in listing.ends(local.store, buckets, news, folder.place):
                    if line not in said:
                        board.line(line)
                        board.end(keys_of(news.job))
                        said.append(line)


@app.command()
def run(
    voice: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A recording.")],
    faces: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="Videos or portraits; one output each."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The video; a folder where there are several faces."),
    ] = Path("koubo.mp4"),
    options: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A koubo.toml.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Instead of the koubo.toml's; see `koubo models list`.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="KOUBO_STORE_ROOT",
            file_okay=False,
            help="Keep analyses here for the next run; without it nothing is kept.",
        ),
    ] = None,
    workers: WorkersOption = 0,
) -> None:
    """Make a talking video of one voice and each of the faces."""
    targets = _targets(voice, faces, output)
    console = Console()
    with ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(TemporaryDirectory(prefix="koubo-")))
        folder = DataFolder(data.absolute())
        # The log would tear the bars apart; what matters of it is printed below.
        logs = LogSettings(file=LogSettings().file or folder.own / "koubo.log")
        set_up(logs)
        chosen = parse_options(options.read_bytes()) if options else Options()
        if model is not None:
            _check_is_there(model, folder)
            chosen = replace(chosen, model=model)
        request = oneshot.Request(uuid.uuid4().hex[:12], voice, tuple(faces), chosen)
        local = stack.enter_context(Local(folder, LocalSettings(workers=workers), logs))
        with Board(console) as board:
            results = oneshot.run(local, request, board)
        code = 0
        for result in results:
            if result.error is not None:
                refused = result.error.code not in (Code.GAVE_UP.public, Code.BAD_MODEL.public)
                code = max(code, EXIT_REFUSED if refused else EXIT_FAILED)
                board.line(f"{result.file}: {result.error.what} {result.error.fix}")
            else:
                for path in oneshot.fetch(local, result, targets[result.file]):
                    board.line(str(path))
    raise typer.Exit(code)


@app.command()
def status(
    data: DataOption = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002 -- a command line flag
    limit: Annotated[int, typer.Option(help="The newest runs of each tenant.")] = 50,
) -> None:
    """Show runs and what waits for a partner."""
    find_place(data)
    store, buckets = open_store(data), BucketSettings()
    rows = listing.runs(store, buckets, limit)
    waiting = listing.unpaired(store, buckets)
    if as_json:
        for line in [row.as_json() for row in rows] + [file.as_json() for file in waiting]:
            print(line)  # noqa: T201 -- standard output is this command's product
        return
    Console().print(listing.table(rows, waiting, datetime.now(UTC)))


@app.command()
def reconcile(
    data: DataOption = DEFAULT_DATA,
    workers: WorkersOption = 0,
    older: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds; leaves alone what is younger, which others may work on right now."
        ),
    ] = 0,
) -> None:
    """Find what is due and not done, and do it; in a folder, or where KOUBO_STORE_KIND=s3 leads."""
    catch_up(find_place(data), workers, older)


@app.command("doctor")
def examine(
    footage: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A face: say what it can show instead."),
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Say what works on this machine, or what a footage can show, and what to do about the rest."""
    if footage is not None:
        from functions.doctor_footage import examine_footage  # noqa: PLC0415 -- needs extras

        # Why a footage is refused is told in words, and not by the log of what looked at it.
        set_up(LogSettings(level="ERROR"))
        Console().print(doctor.table(examine_footage(footage, CacheSettings())))
        return
    findings = doctor.examine(DataFolder(data.absolute()), CacheSettings())
    Console().print(doctor.table(findings))
    raise typer.Exit(0 if all(finding.is_well for finding in findings) else EXIT_NOT_SET_UP)


@app.command()
def setup() -> None:
    """Fetch and convert the face models, once a machine."""
    from functions.ingest.face_models import install  # noqa: PLC0415 -- only set-up needs onnx

    models = install(CacheSettings().models)
    print(models.detector)  # noqa: T201 -- standard output is this command's product
    print(models.mesh)  # noqa: T201


def _check_is_there(model: str, folder: DataFolder) -> None:
    """Says at once what ingest would say after its work."""
    if model_commands.find_model(model, folder.store()) is None:
        said = f"there is no model {model!r}; `koubo models list` shows what there is"
        raise typer.BadParameter(said, param_hint="--model")


def _targets(voice: Path, faces: list[Path], output: Path) -> dict[Path, Path]:
    """Where each face's video goes; what is wrong with that is said before the work."""

    def refuse(said: str) -> typer.BadParameter:
        return typer.BadParameter(said, param_hint="-o")

    alone = len(faces) == 1 and not output.is_dir()
    if alone and output.suffix.lower() not in ("", ".mp4"):
        raise refuse(f"{output} would be an MP4 file; call it {output.with_suffix('.mp4').name}")
    if not alone and output.suffix and not output.is_dir():
        raise refuse("several faces need a folder for their outputs")
    folder = output.parent if alone else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise refuse(f"nothing can be written into {folder}: {error.strerror}") from error
    targets = {faces[0]: output} if alone else _named(faces, folder)
    inputs = {path.resolve() for path in (voice, *faces)}
    for path in (path for target in targets.values() for path in oneshot.places(target)):
        if path.resolve() in inputs:
            raise refuse(f"{path} is one of the inputs and would be overwritten")
    return targets


def _named(faces: list[Path], folder: Path) -> dict[Path, Path]:
    """A video for each face, called like it; equal names are told apart."""
    targets: dict[Path, Path] = {}
    for face in faces:
        name, count = face.stem, 1
        while folder / f"{name}.mp4" in targets.values():
            count += 1
            name = f"{face.stem}-{count}"
        targets[face] = folder / f"{name}.mp4"
    return targets


# After those above, which most people come for: the help lists commands in this order.
check_command.add_to(app)
operate.add_to(app)
app.command("compare")(compare.compare)
app.add_typer(convert.app, name="convert")
app.add_typer(model_commands.app, name="models")
model_commands.app.command("convert")(convert.convert_published)
