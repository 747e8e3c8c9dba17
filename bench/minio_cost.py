"""What a run costs on a real MinIO, against the same run in a folder.

Both are the embedded Koubo, in the same processes; the store is all that differs. What MinIO's own
server uses is another figure: in the folder there is no such server.

    python -m bench.minio_cost VOICE FACE     both figures
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.measure import Usage, run
from bench.minio_server import free_port, minio_server
from functions import oneshot
from functions.board import Board
from functions.data_folder import DataFolder
from functions.local import Local, LocalSettings
from functions.logs import set_up
from functions.options import Options
from functions.settings import LogSettings, StoreSettings

ROUNDS = 2
"""Runs in each store, in turn, so that what else the machine does weighs on both."""


def measure(voice: Path, face: Path, rounds: int = ROUNDS) -> dict[str, float]:
    """Both figures, under the names that the results have."""
    used = {"folder": 0.0, "minio": 0.0, "server": 0.0}
    with TemporaryDirectory(prefix="koubo-minio-cost-") as name:
        folder = Path(name)
        for number in range(rounds):
            used["folder"] += _embedded(folder / f"folder-{number}", voice, face, {}).cpu
            # A store of its own each time: nothing is analysed already.
            here = folder / f"minio-{number}"
            with minio_server(folder, free_port()) as server:
                before = server.cpu
                used["minio"] += _embedded(here, voice, face, server.environment).cpu
                used["server"] += server.cpu - before
    return {
        "minio_cpu_ratio": round(used["minio"] / used["folder"], 3),
        "minio_server_cpu_ratio": round(used["server"] / used["folder"], 3),
    }


def _embedded(data: Path, voice: Path, face: Path, environment: Mapping[str, str]) -> Usage:
    data.mkdir()
    command = [sys.executable, "-m", "bench.minio_cost", "--run", str(data), str(voice), str(face)]
    usage = run(command, data / "said", dict(environment))
    print(f"{data.name}: {usage}", flush=True)
    return usage


def _run(data: Path, voice: Path, face: Path) -> None:
    """One run, in the store that the environment names."""
    settings = StoreSettings()
    folder = DataFolder(data, settings if settings.kind == "s3" else None)
    logs = LogSettings(file=data / "log")
    set_up(logs)
    request = oneshot.Request("cost", voice, (face,), Options())
    with Local(folder, LocalSettings(), logs) as local, Board(Console()) as board:
        (result,) = oneshot.run(local, request, board)
    if result.done is None:
        raise RuntimeError(f"the run failed: {result.error}")


if __name__ == "__main__":
    if sys.argv[1] == "--run":
        _run(*map(Path, sys.argv[2:5]))
    else:
        print(json.dumps(measure(*map(Path, sys.argv[1:3])), indent=1))
