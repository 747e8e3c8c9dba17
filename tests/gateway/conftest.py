"""A gateway over a folder or memory, asked in process."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions import documents, runs
from functions.analysis import Upload, Voice
from functions.gateway.app import create_app
from functions.gateway.desk import Desk
from functions.gateway.settings import GatewaySettings
from functions.input_keys import Group, InputFile
from functions.logs import set_up
from functions.options import Options
from functions.plans import Model, Plan, make_plan
from functions.runs import Done
from functions.settings import BucketSettings, LogSettings
from functions.storage import Store
from tests.sample_documents import FOOTAGE

BUCKETS = BucketSettings()
DEFAULTS = Options()
LOOPBACK = ("127.0.0.1", 50_000)


@dataclass
class Gateway:
    """A gateway, and what the rest of the chain would do to its store."""

    store: Store
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    client: TestClient = field(init=False)

    def desk(self) -> Desk:
        return Desk.open(self.store, BUCKETS, self.settings, self.store)

    def ask(self, *faces: str, voice: str = "voice.wav", **headers: str) -> dict[str, Any]:
        """Asks for runs with files of a few bytes; the answer."""
        files = [("voice", (voice, b"v")), *(("faces", (f, f.encode())) for f in faces)]
        answer = self.client.post("/v1/runs", files=files, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def view(self, run: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/runs/{run}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def keys(self, bucket: str) -> list[str]:
        return [entry.key for entry in self.store.entries(bucket, "")]

    def looked_at(self, key: str, role: str, refusal: str | None = None) -> None:
        """Leaves the record that ingest leaves."""
        parts = key.split("/")
        file = InputFile(parts[0], parts[1], parts[2])
        entry = self.store.head(BUCKETS.input, key)
        upload = Upload(file.file, role, f"d-{file.file}", refusal)
        record = file.upload(entry.identity)
        self.store.put(BUCKETS.work, record, documents.dump(upload))

    def plan(self, voice: str, face: str, **changes: Any) -> Plan:
        """Plans a run as ingest does and starts it."""
        made = plan_for(voice, face, **changes)
        return runs.start(self.store, BUCKETS.work, made)

    def put(self, plan: Plan, *, patches: int = 0, parts: int = 0) -> None:
        for index in range(patches):
            self.store.put(BUCKETS.work, plan.keys.patches(index), b"")
        for index in range(parts):
            self.store.put(BUCKETS.work, plan.keys.part(index), b"")

    def finish(self, plan: Plan, video: bytes = b"0123456789") -> None:
        """Leaves the outputs that encode leaves."""
        group, stem = plan.group, plan.output
        done = Done(
            plan.run,
            *(group.output(stem, suffix) for suffix in (".mp4", ".jpg", ".json")),
            frames=plan.frames,
            finished_at=plan.made_at + 10,
        )
        self.store.put(BUCKETS.output, done.video, video)
        self.store.put(BUCKETS.output, done.poster, b"\xff\xd8poster")
        self.store.put(BUCKETS.output, done.report, b"{}\n")
        self.store.put(BUCKETS.work, plan.keys.done, documents.dump(done))


def plan_for(voice: str, face: str, made_at: float = 1.7e9, options: Options = DEFAULTS) -> Plan:
    """A run of three segments."""
    tenant, job, _ = voice.split("/")
    footage = replace(FOOTAGE, digest=f"d-{face}", sha256=f"s-{face}")
    voice_file, face_file = (InputFile(*key.split("/")) for key in (voice, face))
    return make_plan(
        Group(tenant, job),
        (voice_file, Voice(f"d-{voice}", f"s-{voice}", 20.0, 0.1, "wav")),
        (face_file, footage),
        Model("viseme", "1"),
        options,
        segment_seconds=8.0,
        portrait_rate=25,
        output=f"{voice_file.stem}-{face_file.stem}",
        made_at=made_at,
    )


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store.folder(tmp_path) if request.param == "folder" else Store.memory()


@pytest.fixture
def open_gateway() -> Iterator[Any]:
    """Opens gateways that close when the test ends; their log is rendered as in production."""
    set_up(LogSettings())
    with ExitStack() as stack:

        def open_one(
            store: Store, *, client: tuple[str, int] = LOOPBACK, **settings: Any
        ) -> Gateway:
            made = Gateway(store, GatewaySettings(**settings))
            app = create_app(made.desk)
            made.client = stack.enter_context(
                TestClient(
                    app,
                    base_url="http://127.0.0.1:8008",
                    client=client,
                    raise_server_exceptions=False,
                )
            )
            return made

        yield open_one


@pytest.fixture
def gateway(store: Store, open_gateway: Any) -> Gateway:
    """A gateway that serves this machine alone."""
    return open_gateway(store)
