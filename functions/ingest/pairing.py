"""Pairing: every voice with every face of a group is a run."""

import time
from dataclasses import dataclass

from functions import documents, runs
from functions.analysis import Footage, Upload, Voice
from functions.cancel import is_cancelled
from functions.errors import Code, RejectedInput
from functions.ingest.settings import IngestSettings
from functions.input_keys import (
    OPTIONS_FILE,
    InputFile,
    is_unfinished,
    output_stem,
    parse_input,
)
from functions.layout import FootageKeys, VoiceKeys
from functions.logs import logger
from functions.models import choose
from functions.options import Options, parse_options
from functions.plans import Plan, make_plan
from functions.settings import BucketSettings, ModelSettings
from functions.storage import Store

log = logger()

_MAX_OPTIONS_BYTES = 1 << 16


@dataclass(frozen=True)
class Pairing:
    """One voice and one face of a group.

    Args:
        wanted: what would be planned now.
        plan: what is planned: an earlier plan of the same run, if there is one.
    """

    wanted: Plan
    plan: Plan


def pair(
    store: Store, buckets: BucketSettings, file: InputFile, settings: IngestSettings
) -> list[Pairing]:
    """Plans every run of the file's group whose inputs are analysed; planned ones stay as they are.

    Raises:
        RejectedInput: `bad_options`.
    """
    uploads = looked_at(store, buckets, file)
    voices = [(f, u) for f, u in uploads if u.role == "voice"]
    faces = [(f, u) for f, u in uploads if u.role == "face"]
    options = read_options(store, buckets, file)
    wanted = options.model or settings.model
    folder = ModelSettings().folder
    model = choose(store, buckets.models, wanted, settings.models, folder)
    pairings = []
    for voice_file, voice_upload in voices:
        voice_keys = VoiceKeys(file.tenant, voice_upload.digest)
        voice = documents.load(Voice, store.get(buckets.work, voice_keys.document))
        for face_file, face_upload in faces:
            face_keys = FootageKeys(file.tenant, face_upload.digest)
            footage = documents.load(Footage, store.get(buckets.work, face_keys.document))
            plan = make_plan(
                file.group,
                (voice_file, voice),
                (face_file, footage),
                model,
                options,
                segment_seconds=settings.segment_seconds,
                portrait_rate=settings.portrait_rate,
                output=output_stem(voice_file, face_file, [f for f, _ in uploads]),
                made_at=time.time(),
            )
            started = runs.start(store, buckets.work, plan)
            # Looked at after the plan is there: who cancels marks first and then looks for a plan.
            if is_cancelled(store, buckets.work, face_file):
                runs.cancel(store, buckets.work, started.keys, time.time())
            pairings.append(Pairing(plan, started))
    return pairings


def looked_at(
    store: Store, buckets: BucketSettings, file: InputFile
) -> list[tuple[InputFile, Upload]]:
    """The files of a group, as they are now, whose record is there, in the order of their names."""
    found = []
    for sibling, record in _siblings(store, buckets, file):
        try:
            upload = documents.load(Upload, store.get(buckets.work, record))
        except FileNotFoundError:
            continue  # its own event will bring it
        found.append((sibling, upload))
    return found


def read_options(store: Store, buckets: BucketSettings, file: InputFile) -> Options:
    """The job's options; the defaults where no `koubo.toml` was dropped.

    Raises:
        RejectedInput: `bad_options`.
    """
    if file.job is None:
        return Options()
    options = InputFile(file.tenant, file.job, OPTIONS_FILE)
    try:
        size = store.head(buckets.input, options.key).size
        if size > _MAX_OPTIONS_BYTES:
            raise RejectedInput(Code.BAD_OPTIONS, f"koubo.toml has {size} bytes; it is no options.")
        text = store.get(buckets.input, options.key)
    except FileNotFoundError:
        return Options()
    parsed = parse_options(text)
    store.delete(buckets.output, options.error)
    return parsed


def _siblings(
    store: Store, buckets: BucketSettings, file: InputFile
) -> list[tuple[InputFile, str]]:
    """The group's files with the key of each one's record."""
    folder = file.tenant if file.job is None else f"{file.tenant}/{file.job}"
    found = []
    for entry in store.entries(buckets.input, folder):
        if is_unfinished(entry.key) or entry.key.count("/") > 2:
            continue
        sibling = parse_input(entry.key)
        if sibling.group == file.group and not sibling.is_options:
            found.append((sibling, sibling.upload(entry.identity)))
    return sorted(found, key=lambda item: item[0].file)
