"""A model that users bring: what Koubo adds to it, what 8 bits save, threads against workers."""

import json
import subprocess
import sys
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bench.measure import run
from bench.wav2lip_graph import write_wav2lip
from demo.sample_face import clip
from functions.calibration import analysed
from functions.ffmpeg_program import ffmpeg_path
from functions.infer.backends import OnnxRuntime
from functions.infer.comparison import compare, in_batches
from functions.infer.convert.int8 import quantise
from functions.infer.manifest import Manifest, find_model
from functions.infer.recording import record
from functions.storage import Store

NAME = "bench-wav2lip"
SECONDS = 10
RATE = 25
BATCH = 4
ROWS = 40
FRAMES = 96
"""Of one speed measurement."""

WORKER = """
import json, sys, time
import numpy as np, onnxruntime
path, inputs, threads, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
given = {name: array[:4] for name, array in np.load(inputs).items()}
session.run(None, given)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(count // 4):
    session.run(None, given)
"""


def measure(work: Path) -> dict[str, float]:
    """The ratios, by the names under which `bench/results.json` has them."""
    models, data = work / "models", work / "data"
    graph = write_wav2lip(work / "generator.onnx")
    for place in (("--to", models), ("--data", data)):
        _koubo(work, "models", "add", graph, "--family", "wav2lip", "--name", NAME, *place)
    face = clip(work / "own-720p.mp4", SECONDS)
    manifest = find_model(NAME, "1", shipped=models)
    given = _inputs(manifest, face, work)
    stages, whole = _whole_run(work, data, face)
    bare = _bare(graph, given, SECONDS * RATE)
    results = {
        "wav2lip_infer_to_bare": stages["infer"] / bare,
        "wav2lip_run_to_bare": whole / bare,
        **_int8(graph, given, work),
        "threads_to_workers": _threads_to_workers(graph, work / "inputs.npz"),
    }
    return {name: round(value, 3) for name, value in results.items()}


def _inputs(manifest: Manifest, face: Path, work: Path) -> dict[str, NDArray[np.generic]]:
    """What the generator is given for frames of the clip."""
    store = Store.folder(work / "data")
    with analysed(manifest, str(face), None, store, "default") as (footage, voice):
        given = record(manifest, "generator", OnnxRuntime(), footage, voice, ROWS)
    np.savez(work / "inputs.npz", allow_pickle=False, **given)
    return given


def _whole_run(work: Path, data: Path, face: Path) -> tuple[Counter[str], float]:
    """Processor seconds of each stage, and of the whole command, for the clip's length of voice."""
    voice, log = work / "own-voice.wav", work / "own.jsonl"
    sample = str(files("functions") / "samples" / "voice.flac")
    loop = ("-stream_loop", "-1", "-i", sample, "-t", str(SECONDS), str(voice))
    run([str(ffmpeg_path()), "-y", "-nostdin", "-v", "error", *loop], work / "voice.log", {})
    (work / "koubo.toml").write_text(f'model = "{NAME}"\n')
    options = ("--options", work / "koubo.toml", "--data", data, "-o", work / "own.mp4")
    used = _koubo(work, "run", voice, face, *options, KOUBO_LOG_FILE=str(log))
    stages: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry["event"] == "local.handled":
            stages[entry["function"]] += entry["cpu_seconds"]
    return stages, used


def _koubo(work: Path, *arguments: object, **environment: str) -> float:
    """Runs the command; processor seconds of it and all that it started."""
    command = [sys.executable, "-m", "functions.cli", *map(str, arguments)]
    if arguments[:2] == ("models", "add"):
        command += ["--licence", "random numbers"]
    usage = run(command, work / "own.log", environment)
    return usage.cpu


def _bare(graph: Path, given: dict[str, NDArray[np.generic]], frames: int) -> float:
    """Processor seconds of onnxruntime alone for so many frames, batched like ours."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    batch = {name: array[:BATCH] for name, array in given.items()}
    session.run(None, batch)
    began = time.process_time()
    for _ in range(FRAMES // BATCH):
        session.run(None, batch)
    return (time.process_time() - began) * frames / FRAMES


def _int8(graph: Path, given: dict[str, NDArray[np.generic]], work: Path) -> dict[str, float]:
    """What 8 bits cost: in time, against 32, and in decibels, on frames kept from calibration."""
    made = work / "int8" / "generator.onnx"
    made.parent.mkdir()
    even = {name: array[::2] for name, array in given.items()}
    odd = {name: array[1::2] for name, array in given.items()}
    quantise(graph, even, made)
    backend = OnnxRuntime()
    (found,) = compare(backend.load(graph), backend.load(made), in_batches(odd, BATCH))
    times = [_bare(path, given, FRAMES) for path in (made, graph)]
    return {"int8_to_fp32": times[0] / times[1], "int8_psnr_db": found.psnr or 0.0}


def _threads_to_workers(graph: Path, inputs: Path) -> float:
    """Wall time of one process with two threads against two processes with one each."""
    return _wall(graph, inputs, [(2, FRAMES)]) / _wall(graph, inputs, [(1, FRAMES // 2)] * 2)


def _wall(graph: Path, inputs: Path, workers: list[tuple[int, int]]) -> float:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(graph), str(inputs), str(threads), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for threads, count in workers
    ]
    for worker in started:
        assert worker.stdout is not None
        worker.stdout.readline()
    began = time.monotonic()
    for worker in started:
        worker.communicate(b"go\n", timeout=600)
    spent = time.monotonic() - began
    if any(worker.returncode for worker in started):
        raise RuntimeError(f"a worker of {graph.name} failed")
    return spent
