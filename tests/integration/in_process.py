"""The whole chain without processes: the real handlers over a folder, one event after the other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from functions import documents
from functions.chain import Delivery, FunctionName, Handle, Surroundings, fired_by
from functions.encode.build import build as build_encode
from functions.events import ObjectCreated
from functions.infer.build import build as build_infer
from functions.infer.handler import Infer
from functions.infer.interior import Interior
from functions.infer.manifest import find_model
from functions.infer.viseme import Hears, Viseme
from functions.ingest.build import build as build_ingest
from functions.ingest.face_models import FaceModels
from functions.input_cache import InputCache
from functions.input_keys import InputFile
from functions.plans import Model, Plan
from functions.progress import silent
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()
TENANT = "default"


@dataclass
class Chain:
    """The three functions, as `koubo up` builds them.

    Args:
        root: of the store.
        around: what they share.
        functions: their deliveries; one may be replaced by another of the same kind.
        handled: events that were delivered, in order.
    """

    root: Path
    around: Surroundings
    functions: dict[FunctionName, Delivery]
    handled: list[ObjectCreated] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    @property
    def store(self) -> Store:
        return self.around.store

    def use(self, function: FunctionName, handle: Handle) -> None:
        """Puts another handler in a function's place."""
        self.functions[function] = Delivery(function, handle, self.store, BUCKETS, attempts=1)

    def drop(self, job: str, name: str, content: Path | bytes) -> None:
        """Uploads a file to a job."""
        self.store.put(BUCKETS.input, InputFile(TENANT, job, name).key, content)

    def new_events(self) -> list[ObjectCreated]:
        """An event for each object that fires something and was not there at the last look."""
        found = []
        for bucket in (BUCKETS.input, BUCKETS.work):
            for entry in self.store.entries(bucket, ""):
                event = ObjectCreated(bucket, entry.key, entry.size, entry.etag)
                if (bucket, entry.key) not in self._seen and fired_by(event, BUCKETS):
                    self._seen.add((bucket, entry.key))
                    found.append(event)
        return found

    def deliver(self, event: ObjectCreated) -> None:
        """Delivers one event; it must not fail."""
        function = fired_by(event, BUCKETS)
        assert function is not None
        assert self.functions[function].deliver(event) is None
        self.handled.append(event)

    def work(self) -> None:
        """Delivers each new object once, until there are no more."""
        while events := self.new_events():
            for event in events:
                self.deliver(event)

    def make(self, job: str, voice: Path, face: Path) -> Plan:
        """One voice and one face through the chain; returns the finished run's plan."""
        self.drop(job, voice.name, voice)
        self.drop(job, face.name, face)
        self.work()
        [plan] = [plan for plan in self.plans() if plan.group.name == job]
        assert self.store.exists(BUCKETS.work, plan.keys.done), "the run has not finished"
        return plan

    def plans(self) -> list[Plan]:
        """Of every run."""
        entries = self.store.entries(BUCKETS.work, f"{TENANT}/runs")
        keys = [entry.key for entry in entries if entry.key.endswith("/plan.json")]
        return [documents.load(Plan, self.store.get(BUCKETS.work, key)) for key in keys]

    def video(self, plan: Plan) -> Path:
        """The finished video of a run."""
        return self.root / BUCKETS.output / plan.group.output(plan.output, ".mp4")


def build(root: Path, models: FaceModels) -> Chain:
    """The chain over a new folder."""
    scratch, store = root / ".scratch", Store.folder(root)
    scratch.mkdir(parents=True)
    around = Surroundings(
        store,
        BUCKETS,
        InputCache(root / ".inputs", 1 << 30),
        models.detector.parent,
        scratch,
        silent,
    )
    builds: Iterable[tuple[FunctionName, Callable[[Surroundings], Handle]]] = (
        ("ingest", build_ingest),
        ("infer", build_infer),
        ("encode", build_encode),
    )
    functions = {name: Delivery(name, make(around), store, BUCKETS, 1) for name, make in builds}
    return Chain(root, around, functions)


def infer_with(around: Surroundings, ear: Hears) -> Handle:
    """Infer with the default model's renderer behind another ear."""

    def model(wanted: Model) -> Viseme:
        manifest = find_model(wanted.name, wanted.version)
        interior = Interior.load(manifest.file("interior.png"))
        return Viseme(manifest, ear, interior, "none")

    infer = Infer(around.store, around.buckets, model, around.scratch, around.progress)
    return infer.handle
