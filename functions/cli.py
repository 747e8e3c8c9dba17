"""The command `koubo`: runs what `commands.py` has, and turns errors into words and exit codes.

Every worker process imports this module once more, since multiprocessing's spawned children import
their parent's main module. So it imports nothing that only the command needs before it is run.
"""

import errno
import signal
import sys
from typing import TYPE_CHECKING

from pydantic import ValidationError

from functions.errors import (
    Code,
    KouboError,
    NotSetUpError,
    RejectedInput,
    WrongSettingError,
)
from functions.settings import wrong_setting

if TYPE_CHECKING:
    from typer import Typer

EXIT_USAGE = 2
"""A wrong setting; the same as that of a wrong option."""

EXIT_REFUSED = 3
"""An input was refused; the message says why."""

EXIT_FAILED = 4
"""A run failed though its inputs are good."""

EXIT_NOT_SET_UP = 5
"""This machine lacks something; `koubo doctor` says what."""

_OF_THE_MACHINE = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
    )
)
"""No room, no right, something in the way: for whoever runs this to mend, and no bug to trace."""


def main() -> None:
    """Runs the command and turns errors into words and exit codes."""
    # Containers end by the one, people use the other, and whoever was started in the background of
    # a shell script is born deaf to it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        _load()()
    except (KouboError, ValidationError, OSError) as error:
        told = _told(error)
        if told is None:
            raise
        _complain(told[0])
        sys.exit(told[1])
    except KeyboardInterrupt:
        sys.exit(130)


def _told(error: Exception) -> tuple[str, int] | None:
    """An error in words, and its exit code; None for a surprise, which wants its traceback."""
    match error:
        case RejectedInput():
            # What to do about a model is for the one who runs this, and the refusal says it.
            fix = "" if error.code is Code.BAD_MODEL else error.code.value.fix
            return f"{error.what} {fix}".rstrip(), EXIT_REFUSED
        case KouboError():
            codes = {WrongSettingError: EXIT_USAGE, NotSetUpError: EXIT_NOT_SET_UP}
            known = (code for kind, code in codes.items() if isinstance(error, kind))
            return str(error), next(known, EXIT_FAILED)
        case ValidationError() if wrong := wrong_setting(error):
            return wrong, EXIT_USAGE
        case OSError() if error.errno in _OF_THE_MACHINE:
            where = "" if error.filename is None else f"{error.filename}: "
            return f"{where}{error.strerror}", EXIT_NOT_SET_UP
    return None


def _load() -> "Typer":
    """The commands, or what to install where they can't be had."""
    try:
        from functions.commands import app  # noqa: PLC0415 -- see above
    except ModuleNotFoundError as error:
        # Without the library that colours what other complaints say.
        sys.stderr.write(f"koubo: the command needs {error.name}: pip install 'koubo[local]'\n")
        sys.exit(EXIT_NOT_SET_UP)
    return app


def _complain(text: str) -> None:
    from rich.console import Console  # noqa: PLC0415 -- see above

    # Names in square brackets are no markup, and lines stay whole for those who search them.
    console = Console(stderr=True)
    console.print(f"koubo: {text}", style="red", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
