"""Runs over HTTP as `koubo up` serves them: asked for, followed, fetched, cancelled, removed."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from demo import sample_face
from functions.ingest.face_models import FaceModels

from .embedded import ROOT, Folder, Up, koubo, until

Ffmpeg = Callable[..., Path]


def client_of(up: Up) -> httpx.Client:
    line = up.wait_for("Runs over HTTP at ")
    url = line.removeprefix("Runs over HTTP at ").removesuffix("/docs")
    return httpx.Client(base_url=url, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels
) -> Iterator[tuple[httpx.Client, Folder, Up]]:
    """A `koubo up` whose runs have few, long segments, so that there is something to cancel."""
    folder = Folder(tmp_path_factory.mktemp("http"))
    settings = {"KOUBO_LOCAL_HTTP": "127.0.0.1:0", "KOUBO_INGEST_SEGMENT_SECONDS": "60"}
    with Up(folder, settings) as up:
        up.wait_ready()
        with client_of(up) as client:
            yield client, folder, up


def follow(client: httpx.Client, run: str, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a run to the stream's end: name and data."""
    found = []
    with client.stream("GET", f"/v1/runs/{run}/events", headers=headers, timeout=120) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
    return found


def ask(client: httpx.Client, voice: Path, *faces: Path, **options: Any) -> list[str]:
    files = [("voice", voice), *(("faces", face) for face in faces)]
    opened = [(name, (path.name, path.read_bytes())) for name, path in files]
    data = {"options": json.dumps(options)}
    answer = client.post("/v1/runs", files=opened, data=data)
    assert answer.status_code == 201, answer.text
    return [run["id"] for run in answer.json()["runs"]]


def test_from_form_to_video(
    served: tuple[httpx.Client, Folder, Up], short_voice: Path, short_face: Path
) -> None:
    """A voice and a face go in as a form; what the chain made comes out, and can be removed."""
    client, folder, _ = served
    (run,) = ask(client, short_voice, short_face, quality="speed")
    events = follow(client, run)
    assert [name for name, _ in events][-1:] == ["end"]
    assert events[-1][1]["phase"] == "done", events
    assert {"inferring", "done"} <= {data["phase"] for _, data in events}
    view = client.get(f"/v1/runs/{run}").json()
    job = view["job"]
    stored = folder.output(job, "voice-face.mp4").read_bytes()
    result = client.get(f"/v1/runs/{run}/result")
    assert (result.status_code, result.headers["Content-Type"]) == (200, "video/mp4")
    assert hashlib.sha256(result.content).digest() == hashlib.sha256(stored).digest()
    half = len(stored) // 2
    pieces = [
        client.get(f"/v1/runs/{run}/result", headers={"Range": span})
        for span in (f"bytes=0-{half - 1}", f"bytes={half}-")
    ]
    assert [piece.status_code for piece in pieces] == [206, 206]
    assert b"".join(piece.content for piece in pieces) == stored
    assert client.get(f"/v1/runs/{run}/poster").content.startswith(b"\xff\xd8")
    report = client.get(f"/v1/runs/{run}/report").json()
    assert report["run"] == view["run"]
    assert [item["id"] for item in client.get("/v1/runs").json()["runs"]] == [run]
    assert client.delete(f"/v1/runs/{run}").status_code == 204
    assert client.get(f"/v1/runs/{run}").status_code == 404
    assert not folder.output(job, "voice-face.mp4").exists()
    assert not any(job in name for name in folder.files("koubo-input"))


def test_dropped_files_are_seen_over_http(
    served: tuple[httpx.Client, Folder, Up], short_voice: Path, short_face: Path
) -> None:
    """A run whose files were dropped into the bucket is listed, followed and fetched alike."""
    client, folder, up = served
    folder.drop("dropped", "face.mp4", short_face)
    folder.drop("dropped", "voice.wav", short_voice)
    up.wait_done("dropped")
    (item,) = client.get("/v1/runs", params={"job": "dropped"}).json()["runs"]
    assert follow(client, item["id"])[-1][1]["phase"] == "done"
    result = client.get(item["links"]["result"])
    assert result.content == folder.output("dropped", "voice-face.mp4").read_bytes()


def test_a_face_that_is_none(
    served: tuple[httpx.Client, Folder, Up], short_voice: Path, short_face: Path, silence: Path
) -> None:
    """Of two faces the one that is no face fails in words, and the other's video is made."""
    client, _, _ = served
    good, bad = ask(client, short_voice, short_face, silence)
    name, data = follow(client, bad)[-1]
    assert (name, data["phase"]) == ("end", "failed")
    assert data["error"]["fix"]
    assert follow(client, good)[-1][1]["phase"] == "done"
    refused = client.get(f"/v1/runs/{bad}/result")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_result")


def test_cancel_frees_the_workers(
    served: tuple[httpx.Client, Folder, Up], voice_file: Path, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    """Cancelled in ingest, infer or encode, a run leaves within 2 s; tried again it goes on."""
    client, folder, up = served
    # Large enough that no stage is over before a worker next looks whether to stop.
    large = sample_face.clip(tmp_path / "face.mp4", 2.0, (1280, 720))
    loops = ("-stream_loop", "4", "-i", large, "-c", "copy")
    face = ffmpeg(*loops, tmp_path / "long.mp4")
    (run,) = ask(client, voice_file, face)
    scratch = folder.root / ".koubo" / "scratch"
    stages = {
        "ingest": lambda: any(scratch.glob("*/ingest-*/*")),
        "infer": lambda: any(scratch.glob("*/tmp*/patches.avi")),
        "encode": lambda: any(scratch.glob("*/encode-*/0000.mp4")),
    }
    for stage, is_there in stages.items():
        assert until(is_there, 60), f"never came to {stage}: {client.get(f'/v1/runs/{run}').text}"
        asked = time.monotonic()
        answer = client.post(f"/v1/runs/{run}/cancel")
        assert answer.json()["phase"] == "cancelled"
        freed = until(lambda: not any(scratch.glob("*/*")) and not _programs(up), 10)
        took = time.monotonic() - asked
        assert freed
        assert took < 2, f"{stage} was left after {took:.2f} s"
        assert until(lambda: bool(folder.log("chain.cancelled", function=stage)), 5)  # noqa: B023 -- called at once
        assert client.post(f"/v1/runs/{run}/retry").json()["phase"] != "cancelled"
    assert follow(client, run)[-1][1]["phase"] == "done"
    assert not folder.log("chain.failed")


def _programs(up: Up) -> list[psutil.Process]:
    """The ffmpegs that run below `koubo up`."""
    found = []
    for process in up.process.children(recursive=True):
        try:
            if "ffmpeg" in process.name() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_an_interrupt_ends_it_with_streams_open(
    tmp_path: Path, face_models: FaceModels, short_voice: Path
) -> None:
    """Ctrl-C ends `koubo up` in seconds though somebody follows a run."""
    with Up(Folder(tmp_path), {"KOUBO_LOCAL_HTTP": "127.0.0.1:0"}) as up:
        up.wait_ready()
        with client_of(up) as client:
            (run,) = ask(client, short_voice, short_voice)
            with client.stream("GET", f"/v1/runs/{run}/events") as stream:
                assert next(stream.iter_lines()).startswith("retry:")
                up.process.send_signal(signal.SIGINT)
                assert not up.still_runs(15)


def test_a_port_that_is_taken(tmp_path: Path, served: tuple[httpx.Client, Folder, Up]) -> None:
    """Asked for a port that is taken, `koubo up` says so and ends."""
    client, _, _ = served
    where = f"127.0.0.1:{client.base_url.port}"
    said = koubo("up", "--data", tmp_path, "--http", where)
    assert said.returncode == 4
    assert where in said.stderr


def test_the_documented_commands(
    served: tuple[httpx.Client, Folder, Up], short_voice: Path, short_face: Path, tmp_path: Path
) -> None:
    """Every command of docs/http.md works as it is printed there."""
    client, _, _ = served
    text = (ROOT / "docs" / "http.md").read_text("utf-8")
    script = "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    shutil.copyfile(short_voice, tmp_path / "voice.wav")
    shutil.copyfile(short_face, tmp_path / "face.mp4")
    environment = {**os.environ, "KOUBO": str(client.base_url), "no_proxy": "127.0.0.1"}
    said = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert b"ftyp" in (tmp_path / "talk.mp4").read_bytes()[:16]
    assert json.loads((tmp_path / "talk.json").read_bytes())["run"]
    assert "event: end" in said.stdout
    assert "GET /v1/runs lists the runs" in said.stdout
