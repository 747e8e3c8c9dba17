"""`koubo check`: the lip-sync check of any talking video, on the command line."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from functions import documents
from functions.logs import set_up
from functions.options import FaceChoice, parse_face
from functions.progress import Progress, silent
from functions.settings import CacheSettings, CheckSettings, LogSettings

if TYPE_CHECKING:
    # Brings numpy, which no other command waits for.
    from functions.check import Check

EXIT_DID_NOT_PASS = 4
"""The same as that of a run that failed though its inputs are good."""


def add_to(app: typer.Typer) -> None:
    """Adds the command to the program."""
    app.command("check")(check)


def check(
    video: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A video of a talking face.")
    ],
    voice: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="What it should say; else its own sound."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The footage that it was made of."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="How much of the video is looked at, from its start.")
    ] = 600,
    face: Annotated[
        str,
        typer.Option(
            help="Who talks, where several are seen: largest, left, right, or a number from the "
            "left; with a source, as its run chose.",
        ),
    ] = "largest",
    gate: Annotated[  # noqa: FBT002 -- a command line flag
        bool, typer.Option(envvar="KOUBO_CHECK_GATE", help="Exit with 4 if it does not pass.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 -- see above
) -> None:
    """Say whether a video's mouth does what its voice says."""
    set_up(LogSettings(level="WARNING"))
    console = Console()
    measure = partial(_measure, video, voice, source, seconds, _choice(face))
    if as_json or not console.is_terminal:
        found = measure(silent)
    else:
        with console.status("looking") as status:

            def progress(done: int, total: int) -> None:
                status.update(f"frame {done} of {max(done, total)}")

            found = measure(progress)
    if as_json:
        print(documents.dump(found).decode(), end="")  # noqa: T201 -- standard output is this command's product
    else:
        console.print(table(found))
    raise typer.Exit(EXIT_DID_NOT_PASS if gate and found.verdict != "passed" else 0)


def _choice(face: str) -> FaceChoice:
    try:
        return parse_face(face)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--face") from error


def _measure(
    video: Path,
    voice: Path | None,
    source: Path | None,
    seconds: float,
    face: FaceChoice,
    progress: Progress,
) -> "Check":
    # Other commands start faster without these.
    from functions.check_video import Asked, check_video  # noqa: PLC0415 -- needs extras
    from functions.infer.backends import OnnxRuntime  # noqa: PLC0415 -- the same
    from functions.infer.ear import Ear  # noqa: PLC0415 -- the same
    from functions.infer.manifest import DEFAULT_MODEL, find_model  # noqa: PLC0415 -- the same
    from functions.ingest.face_models import find  # noqa: PLC0415 -- the same
    from functions.ingest.faces import FaceFinder  # noqa: PLC0415

    ear = Ear(OnnxRuntime().load(find_model(*DEFAULT_MODEL).file("ear.onnx")))
    with TemporaryDirectory(prefix="koubo-check-") as scratch:
        return check_video(
            Asked(video, voice, source, seconds, face),
            finder=FaceFinder(find(CacheSettings().models)),
            ear=ear,
            limits=CheckSettings(),
            scratch=Path(scratch),
            progress=progress,
        )


def table(found: "Check") -> Table:
    """What was found, for a terminal."""

    def number(value: float | None, text: str = "{:.2f}") -> str:
        return "not known" if value is None else text.format(value)

    shown = Table("", "", box=None, show_header=False)
    shown.add_row("verdict", found.verdict)
    for reason in found.why:
        shown.add_row("", reason)
    shown.add_row("frames", str(found.frames))
    shown.add_row("r", number(found.r))
    shown.add_row("lag", number(found.lag, "{:+.2f} frames"))
    shown.add_row("confidence", number(found.confidence))
    shown.add_row("closures", f"{found.closures_made} made of {found.closures_due} due")
    shown.add_row("flicker", number(found.flicker, "{:.2f} times the source's"))
    shown.add_row("sharpness", number(found.sharpness, "{:.2f} times the source's"))
    return shown
