"""`koubo reconcile`: what is due and not done is done here, in a folder and on any object store."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from functions.board import Board
from functions.data_folder import DataFolder, lock
from functions.errors import KouboError
from functions.events import ObjectCreated
from functions.local import Idle, Local, LocalSettings
from functions.logs import set_up
from functions.reconcile import Sweep
from functions.settings import BucketSettings, LogSettings, StoreSettings


def catch_up(place: Path | StoreSettings, workers: int, older: float) -> None:
    """Finds what is due, prints it, and works until nothing is.

    Args:
        place: a data folder, or where the buckets are.
        workers: processes; 0 is one per core.
        older: seconds for which an object must have lain; what is younger is left to whoever may
            work on it right now.
    """
    with ExitStack() as stack:
        if isinstance(place, Path):
            folder = DataFolder(place.absolute())
        else:
            corner = stack.enter_context(TemporaryDirectory(prefix="koubo-reconcile-"))
            # Not every object store can be listened to, and what is new is found by looking, too.
            folder = DataFolder(Path(corner), place, listens=False)
        buckets = BucketSettings()
        sweep = Sweep(folder.store(), buckets, stale=older)
        events = sweep.look()
        for event in events:
            print(f"{event.bucket}/{event.key}")  # noqa: T201 -- standard output is the command's product
        if not events:
            return
        if _is_worked_in(folder):
            # Whoever works there sees a touched file as a new event.
            for event in events:
                (folder.root / event.bucket / event.key).touch()
            return
        logs = LogSettings()
        set_up(logs)
        local = stack.enter_context(Local(folder, LocalSettings(workers=workers), logs))
        board = stack.enter_context(Board(Console()))
        _work(local, sweep, events, board)


def _work(local: Local, sweep: Sweep, events: list[ObjectCreated], board: Board) -> None:
    for event in events:
        local.put(event)
    for news in local.work():
        board.take(news)
        if isinstance(news, Idle) and news.empty:
            left = sweep.look()
            if not left:
                return
            for event in left:
                local.put(event)


def _is_worked_in(folder: DataFolder) -> bool:
    try:
        lock(folder).release()
    except KouboError:
        return True
    return False
