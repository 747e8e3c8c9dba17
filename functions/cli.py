"""The command `koubo`: runs what `commands.py` has, and turns errors into words and exit codes.

Every worker process imports this module once more, since multiprocessing's spawned children import
their parent's main module. So it imports nothing that only the command needs before it is run.
"""

import signal
import sys
from typing import TYPE_CHECKING

from pydantic import ValidationError

from functions.errors import Code, KouboError, NotSetUpError, RejectedInput
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


def main() -> None:
    """Runs the command and turns errors into words and exit codes."""
    # Containers end by the one, people use the other, and whoever was started in the background of
    # a shell script is born deaf to it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        _load()()
    except NotSetUpError as error:
        _complain(str(error))
        sys.exit(EXIT_NOT_SET_UP)
    except RejectedInput as refusal:
        # What to do about a model is for the one who runs this, and the refusal says it.
        fix = "" if refusal.code is Code.BAD_MODEL else refusal.code.value.fix
        _complain(f"{refusal.what} {fix}".rstrip())
        sys.exit(EXIT_REFUSED)
    except KouboError as error:
        _complain(str(error))
        sys.exit(EXIT_FAILED)
    except ValidationError as error:
        wrong = wrong_setting(error)
        if wrong is None:
            raise
        _complain(wrong)
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(130)


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
