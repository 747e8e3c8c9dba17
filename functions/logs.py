"""The log: structlog, as JSON for machines or as lines for people; where it goes is a setting.

An event is a name plus keys (`"ingest.analysed", key=..., seconds=...`). Tenant, run, segment and
function are bound once where an event is handled and stand in every line.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger

from functions.settings import LogSettings


def logger() -> FilteringBoundLogger:
    """A logger; it follows `set_up`, whenever that comes."""
    made: FilteringBoundLogger = structlog.get_logger()
    return made


def set_up(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Sends the log to the settings' file, or to `stream`, or to standard error."""
    if settings.file is not None:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        out: TextIO = settings.file.open("a", buffering=1, encoding="utf-8")
    else:
        out = stream or sys.stderr
    structlog.configure(
        processors=processors(settings, colours=out.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )


def processors(settings: LogSettings, *, colours: bool) -> list[Any]:
    """What a log event goes through, the renderer last; tests render with the same."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if settings.format == "console":
        return [*shared, structlog.dev.ConsoleRenderer(colors=colours)]
    return [
        *shared,
        # What variables hold may be secret, and may be large.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


@contextmanager
def bound(**keys: object) -> Iterator[None]:
    """Binds keys (tenant, run, segment, function) to every line until the context ends."""
    with structlog.contextvars.bound_contextvars(**keys):
        yield
