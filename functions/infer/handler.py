"""Infer handles a segment: renders its mouth patches, once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from functions import documents
from functions.errors import BadModelError, Code, RejectedInput, RetryableError
from functions.events import ObjectCreated
from functions.infer.attempts import Attempts, recording
from functions.infer.backends.faults import BackendFault, NoBackendLeft
from functions.infer.family import Family, Patch, Span
from functions.infer.readers import StoredFootage, StoredVoice
from functions.infer.sampling import Meter
from functions.layout import FootageKeys, RunKeys, RunObject, VoiceKeys, parse_run_object
from functions.logs import logger
from functions.lossless import FrameWriter
from functions.patches import Header, Placement, Served, write_patches
from functions.plans import Model, Plan, Segment, load_plan, source_frames
from functions.progress import Progress
from functions.settings import BucketSettings
from functions.storage import Store

log = logger()

_PROGRESS_EVERY = 8  # frames


@dataclass(frozen=True)
class Infer:
    """The collaborators of infer's handler.

    Args:
        store: where everything is.
        buckets: their names.
        model: loads a model, or gives the one that it loaded before.
        scratch: a folder for files in the making.
        progress: told in frames.
        instead: gives the model that takes the place of one that no backend can run, where the
            operator's policy has one.
        meter: measures lip sync; None where no face mesh is installed.
    """

    store: Store
    buckets: BucketSettings
    model: Callable[[Model], Family]
    scratch: Path
    progress: Progress
    instead: Callable[[], Family] | None = None
    meter: Meter | None = None

    def handle(self, event: ObjectCreated) -> None:
        """Handles a segment object of the work bucket; others are none of infer's business.

        Raises:
            RejectedInput: `bad_model`, or what a family found out about the footage.
            RetryableError: the event is to come again.
        """
        item = parse_run_object(event.key) if event.bucket == self.buckets.work else None
        if item is None or item.kind != "segment":
            return
        keys = RunKeys(item.tenant, item.run)
        if self._is_settled(keys, item.index):
            return
        try:
            self._infer(keys, item)
        except BadModelError as error:
            raise RejectedInput(Code.BAD_MODEL, f"{error}.") from error
        except BackendFault as fault:
            raise RetryableError(f"{event.key}: {fault}") from fault
        except FileNotFoundError as error:
            raise RetryableError(f"{event.key} needs what isn't there: {error}") from error

    def _is_settled(self, keys: RunKeys, index: int) -> bool:
        made = (keys.patches(index), keys.part(index))
        return any(self.store.exists(self.buckets.work, key) for key in (*made, *keys.ends))

    def _infer(self, keys: RunKeys, item: RunObject) -> None:
        plan = load_plan(self.store, self.buckets.work, keys)
        segment_key = keys.segment(item.index)
        segment = documents.load(Segment, self.store.get(self.buckets.work, segment_key))
        with recording() as attempts:
            try:
                self._render(keys, plan, segment, self.model(plan.model), attempts)
            except NoBackendLeft as fault:
                if fault.is_models_fault:
                    wanted = f"model {plan.model.name} {plan.model.version}"
                    raise BadModelError(f"{wanted} can't be run: {fault}") from fault
                if self.instead is None:
                    raise
                log.warning("infer.model_replaced", cause=str(fault))
                self._render(keys, plan, segment, self.instead(), attempts)

    def _render(
        self, keys: RunKeys, plan: Plan, segment: Segment, family: Family, attempts: Attempts
    ) -> None:
        """Renders a segment with a model and stores its patches."""
        store, work, manifest = self.store, self.buckets.work, family.manifest
        faces = FootageKeys(keys.tenant, plan.face.digest)
        footage = StoredFootage.open(store, work, faces, (manifest.name, manifest.version))
        voice_keys = VoiceKeys(keys.tenant, plan.voice.digest)
        voice = StoredVoice.open(store, work, voice_keys, manifest.sample_rate)
        prepared = footage.kept(family.prepared_name, lambda: family.prepare(footage))
        began, cpu = time.monotonic(), time.process_time()
        output = range(segment.first, segment.last)
        shown = tuple(source_frames(output, footage.footage.frames, plan.options.loop))
        span = Span(segment.first, segment.last, plan.rate, shown, plan.options.loop)
        self.scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.scratch) as folder:
            video, made = Path(folder) / "patches.avi", Path(folder) / "patches.zip"
            watch = self.meter and self.meter.watch(footage, voice, span, manifest.mask)
            patches = family.render(watch.footage if watch else footage, prepared, voice, span)
            seen = watch.look(patches) if watch else patches
            placement, size = self._write(video, iter(seen), len(output))
            tally = watch.tally() if watch else None
            wanted = f"{plan.model.name} {plan.model.version}"
            replaced = wanted != manifest.label
            served = Served(
                manifest.label,
                manifest.licence,
                family.backend if replaced else ", ".join(attempts.servers) or family.backend,
                time.monotonic() - began,
                time.process_time() - cpu,
                tuple(attempts.entries),
                instead_of=wanted if replaced else "",
            )
            header = Header(segment.first, segment.last, size, manifest.mask, served, tally)
            write_patches(made, header, placement, video)
            store.put_new(work, keys.patches(segment.index), made)
        log.info("infer.rendered", frames=len(output), seconds=served.seconds)

    def _write(self, to: Path, patches: Iterator[Patch], total: int) -> tuple[Placement, int]:
        """Writes the patches' video and returns where they go, and their side in pixels."""
        affine = np.empty((total, 2, 3), np.float32)
        opacity = np.empty(total, np.float32)
        # A family may choose the size by the footage; a segment has a frame at least.
        head = next(patches)
        size = head.planes.shape[1]
        with FrameWriter(to, "yuv444p", size, size) as writer:
            for done, patch in enumerate(chain([head], patches)):
                writer.write(patch.planes)
                affine[done], opacity[done] = patch.affine, patch.opacity
                if done % _PROGRESS_EVERY == 0:
                    self.progress(done, total)
        self.progress(total, total)
        return Placement(affine, opacity), size
