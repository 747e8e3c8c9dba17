"""Commands for whoever runs Koubo on a real store: `koubo wire`, `koubo dead`."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from functions import dead, documents
from functions.chain import DeadLetter
from functions.data_option import DEFAULT_DATA, DataOption, find_place, open_store
from functions.errors import KouboError, NotSetUpError
from functions.settings import BucketSettings, StoreSettings
from functions.wire import WireSettings, apply, differences, plan

EXIT_DRIFT = 1
"""`koubo wire --check` found something to change."""


def wire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change.")] = False,  # noqa: FBT002 -- command line flags
    check: Annotated[  # noqa: FBT002
        bool, typer.Option("--check", help="Print what differs and exit 1 if anything does.")
    ] = False,
) -> None:
    """Create buckets, notification rules and lifecycle rules on MinIO, RustFS or S3."""
    from functions.wire_s3 import S3Wiring, missing_targets  # noqa: PLC0415 -- needs the extra `s3`

    store, settings = StoreSettings(), WireSettings()
    wiring = S3Wiring.connect(store)
    changes = list(differences(plan(settings, BucketSettings()), wiring))
    missing = missing_targets(store, settings)
    for line in (*map(str, changes), *missing):
        print(line)  # noqa: T201 -- standard output is this command's product
    if check and (changes or missing):
        raise typer.Exit(EXIT_DRIFT)
    if dry_run or check:
        return
    if missing:
        raise NotSetUpError("MinIO lacks a target; see above")
    for change in changes:
        apply(change, wiring)


dead_letters = typer.Typer(no_args_is_help=True, help="Events that were given up.")


@dead_letters.command("list")
def list_letters(
    data: DataOption = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002 -- a command line flag
) -> None:
    """Show events that failed too often, with the last error of each."""
    find_place(data)
    for key, letter in dead.letters(open_store(data), BucketSettings()):
        print(_as_json(key, letter) if as_json else _as_line(key, letter))  # noqa: T201 -- standard output is this command's product


@dead_letters.command("replay")
def replay_letters(
    keys: Annotated[list[str] | None, typer.Argument(help="As `list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,  # noqa: FBT002 -- a command line flag
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Try events again whose cause is mended; each letter goes as its event is taken up."""
    find_place(data)
    store, buckets = open_store(data), BucketSettings()
    found = dict(dead.letters(store, buckets))
    wanted = list(found) if everything else list(keys or ())
    unknown = [key for key in wanted if key not in found]
    if unknown or not (wanted or everything):
        none = "say which letters to replay, as `koubo dead list` shows them, or --all"
        raise KouboError(f"no dead letter {unknown[0]!r}" if unknown else none)
    for key in wanted:
        dead.replay(store, buckets, key, found[key])
        print(f"{found[key].event.bucket}/{found[key].event.key}")  # noqa: T201 -- see above


def _as_line(key: str, letter: DeadLetter) -> str:
    last = letter.attempts[-1] if letter.attempts else None
    when = datetime.fromtimestamp(last.at, UTC).isoformat(timespec="seconds") if last else "-"
    event = letter.event
    return f"{key}  {when}  {event.bucket}/{event.key}  {last.error if last else '-'}"


def _as_json(key: str, letter: DeadLetter) -> str:
    return json.dumps({"letter": key, **json.loads(documents.dump(letter))}, ensure_ascii=False)


def main() -> None:
    """These commands alone, for an image that has nothing else."""
    app = typer.Typer(add_completion=False)
    app.callback()(lambda: None)
    add_to(app)
    app()


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(wire)
    app.add_typer(dead_letters, name="dead")


if __name__ == "__main__":
    main()
