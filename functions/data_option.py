"""The option `--data`, which commands share, and the store that it or the settings lead to."""

from pathlib import Path
from typing import Annotated

import typer

from functions.settings import StoreSettings
from functions.storage import Store

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="KOUBO_STORE_ROOT",
        file_okay=False,
        help="The folder that is the store.",
    ),
]
DEFAULT_DATA = Path("koubo-data")


def open_store(data: Path) -> Store:
    """The store of a command: a folder, unless the settings name another one."""
    settings = StoreSettings()
    return settings.open() if settings.kind == "s3" else Store.folder(data.absolute())


def find_place(data: Path) -> Path | StoreSettings:
    """Where the buckets are: on the object store of the settings, or in a folder that is there.

    Raises:
        typer.BadParameter: there is no such folder, and looking through it would find nothing.
    """
    settings = StoreSettings()
    if settings.kind == "s3":
        return settings
    if not data.is_dir():
        raise typer.BadParameter(f"{data} is no folder", param_hint="--data")
    return data
