"""`make bench`: what Koubo costs on this machine.

Most figures are ratios or peaks, since the machines that this runs on are busy with other things.
"""

import argparse
import compileall
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import event_latency, minio_cost, mouths, own_models, whole_runs
from demo.sample_face import clip

WORK = Path(__file__).parent / "made"
RESULTS = Path(__file__).parent / "results.json"
_MINIO_SECONDS = 20


def _minio(work: Path) -> dict[str, float]:
    said = whole_runs.voice(work / "short.wav", _MINIO_SECONDS, 1)
    return minio_cost.measure(said, clip(work / "short.mp4", _MINIO_SECONDS))


PARTS: dict[str, tuple[str, Callable[[Path], dict[str, object]]]] = {
    "costs": ("a run and a second one of a minute at 720p, against a transcode", whole_runs.costs),
    "memory": ("the largest worker at 1080p, of half a minute and of five", whole_runs.memory),
    "events": (
        "from an upload to its function, on a real MinIO",
        lambda _work: {**event_latency.measure()},
    ),
    "minio": ("a run with its store on MinIO, against a folder", lambda work: {**_minio(work)}),
    "own-models": (
        "a model that users bring, against onnxruntime alone",
        lambda work: {**own_models.measure(work)},
    ),
    "mouths": (
        "the default model's bank and mouths, a frame at each size",
        lambda _work: {**mouths.measure()},
    ),
}
"""What each part measures; it gets an empty folder and gives results by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and writes `bench/results.json` after each part.

    Results of parts that aren't asked for stay in it; measuring all begins anew.
    """
    chosen = _chosen(arguments)
    # As pip does when it installs: else every process that is measured may compile itself anew.
    compileall.compile_dir(WORK.parents[1] / "functions", quiet=1)
    partly = len(chosen) < len(PARTS) and RESULTS.exists()
    results: dict[str, object] = json.loads(RESULTS.read_text()) if partly else {}
    for name in chosen:
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        began = time.monotonic()
        measured = PARTS[name][1](WORK)
        print(f"{name}, {time.monotonic() - began:.0f} s: {json.dumps(measured)}", flush=True)
        results |= measured
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(WORK)
    print(json.dumps(results, indent=1))
    return 0


def _chosen(arguments: Sequence[str] | None) -> list[str]:
    """The parts to measure, in their order."""
    width = max(map(len, PARTS))
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures what Koubo costs here; writes bench/results.json.",
        epilog="\n".join(f"  {name:{width}}  {what}" for name, (what, _) in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parts",
        metavar="PART",
        nargs="*",
        help="of those below; all where none is named. Results of the others are kept",
    )
    asked = parser.parse_args(arguments).parts
    # Python 3.11 also holds `choices` against naming none.
    if unknown := [name for name in asked if name not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}")
    return [name for name in PARTS if name in asked or not asked]


if __name__ == "__main__":
    sys.exit(main())
