"""`koubo run`: one voice, any number of faces, in and out, through the same chain as ever."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from functions import documents
from functions.board import Board, keys_of
from functions.errors import ErrorDocument
from functions.events import ObjectCreated
from functions.ingest.pairing import looked_at, pair
from functions.ingest.settings import IngestSettings
from functions.input_keys import OPTIONS_FILE, InputFile, is_unfinished
from functions.layout import RunKeys
from functions.local import Local, Queued
from functions.options import Options, write_options
from functions.plans import find_plan
from functions.pool import Outcome
from functions.runs import Done, Failure
from functions.settings import BucketSettings

TENANT = "default"


@dataclass(frozen=True)
class Request:
    """What to make.

    Args:
        job: names the job's folder; what is there already is kept.
        voice: a recording.
        faces: videos or portraits.
        options: as `koubo.toml` would say.
    """

    job: str
    voice: Path
    faces: tuple[Path, ...]
    options: Options


@dataclass(frozen=True)
class Result:
    """What came of one voice or face: an output, or a reason why there is none."""

    file: Path
    done: Done | None
    error: ErrorDocument | None


def run(local: Local, request: Request, board: Board) -> list[Result]:
    """Puts the files in, works until each has come to an end, and says how it ended."""
    buckets = BucketSettings()
    inputs = _inputs(request)
    options = InputFile(TENANT, request.job, OPTIONS_FILE)
    local.store.put(buckets.input, options.key, write_options(request.options))
    for path, file in inputs.items():
        local.store.put(buckets.input, file.key, path)
        local.put(ObjectCreated(buckets.input, file.key))
    plans: set[str] = set()
    for news in local.work():
        if isinstance(news, Queued):
            _learn(local, buckets, news, plans, board)
        board.take(news)
        if isinstance(news, Outcome):
            results = _results(local, buckets, inputs)
            if results is not None:
                return results
    raise AssertionError("work never ends by itself")


def _inputs(request: Request) -> dict[Path, InputFile]:
    """Each file's place; equal names of files from different folders are told apart."""
    taken = {OPTIONS_FILE}
    found = {}
    for path in (request.voice, *request.faces):
        # A watcher leaves hidden and unfinished names alone; here somebody asked for the file.
        stem = "input" if is_unfinished(path.name) else path.stem
        name, count = path.name if stem == path.stem else f"{stem}{path.suffix}", 1
        while name in taken or is_unfinished(name):
            count += 1
            name = f"{stem}-{count}"
        taken.add(name)
        found[path] = InputFile(TENANT, request.job, name)
    return found


def _learn(
    local: Local, buckets: BucketSettings, news: Queued, plans: set[str], board: Board
) -> None:
    keys = keys_of(news.job)
    if keys is not None and keys.run not in plans:
        plans.add(keys.run)
        board.plan(find_plan(local.store, buckets.work, keys))


def _results(
    local: Local, buckets: BucketSettings, inputs: dict[Path, InputFile]
) -> list[Result] | None:
    """How everything ended; None as long as something has not."""
    voice = next(iter(inputs))
    first = inputs[voice]
    uploads = {file.key: upload for file, upload in looked_at(local.store, buckets, first)}
    if any(file.key not in uploads for file in inputs.values()):
        return None
    found = []
    for path, file in inputs.items():
        role = uploads[file.key].role
        if role == "refused":
            error = documents.load(ErrorDocument, local.store.get(buckets.output, file.error))
            found.append(Result(path, None, error))
        elif (role == "voice") != (path == voice):
            found.append(Result(path, None, _misplaced(file, role)))
    for pairing in pair(local.store, buckets, first, IngestSettings()):
        plan = pairing.plan
        if plan.voice.key != first.key:
            continue
        ended = _ended(local, buckets, plan.keys)
        if ended is None:
            return None
        # Two names for the same content are one run.
        faces = [p for p, file in inputs.items() if uploads[file.key].digest == plan.face.digest]
        found += [Result(path, *ended) for path in faces]
    return found


def _misplaced(file: InputFile, role: str) -> ErrorDocument:
    if role == "voice":
        what = "It is a voice recording, where a face is wanted."
        return ErrorDocument(file.key, "misplaced", what, "Give one voice first, then the faces.")
    what = "It is a picture or video, where a voice recording is wanted."
    fix = "Give a recording first; of a video with sound, save the sound as a file of its own."
    return ErrorDocument(file.key, "misplaced", what, fix)


def _ended(
    local: Local, buckets: BucketSettings, keys: RunKeys
) -> tuple[Done | None, ErrorDocument | None] | None:
    if local.store.exists(buckets.work, keys.done):
        return documents.load(Done, local.store.get(buckets.work, keys.done)), None
    if local.store.exists(buckets.work, keys.failed):
        failure = documents.load(Failure, local.store.get(buckets.work, keys.failed))
        return None, ErrorDocument(keys.run, failure.code, failure.what, failure.fix)
    if local.store.exists(buckets.work, keys.cancelled):
        return None, ErrorDocument(keys.run, "cancelled", "The run was cancelled.", "")
    if local.store.exists(buckets.work, keys.superseded):
        what = "Another run makes the video, since a file of this one was replaced."
        return None, ErrorDocument(keys.run, "superseded", what, "")
    return None


def places(to: Path) -> tuple[Path, Path, Path]:
    """Where a video, its poster and its report go, side by side."""
    return to.with_suffix(to.suffix or ".mp4"), to.with_suffix(".jpg"), to.with_suffix(".json")


def fetch(local: Local, result: Result, to: Path) -> list[Path]:
    """Copies a finished output out of the store to its places."""
    if result.done is None:
        return []
    buckets = BucketSettings()
    copied = []
    keys = result.done.video, result.done.poster, result.done.report
    for key, target in zip(keys, places(to), strict=True):
        part = target.with_name(f".{target.name}.koubo")
        local.store.download(buckets.output, key, part)
        shutil.move(part, target)
        copied.append(target)
    return copied
