"""``python -m training model`` makes the ear end to end; ``samples`` makes the sample voices."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from training import clips, corpus, evaluation, fitting, joining, network, samples
from training.network import Network, aligned
from training.speech import Speech

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL: Final = ROOT / "functions" / "infer" / "models" / "viseme" / "1"
WORK: Final = ROOT / "training" / "made"
TRAINED: Final = WORK / "trained.pt"
# The ear before this training had neural voices; joined, the two hear better than either.
FIRST_EAR: Final = ROOT / "training" / "first_ear.onnx"
EVALUATION_SEED: Final = 20_000  # far from the training clips' numbers

# Minutes of clean speech of each source that tells times exactly, and how often each minute of
# Kokoro's is heard, damaged otherwise each time: nothing else sounds as much like a recording.
TIMED: Final = {"espeak": 70, "flite": 40, "festival": 40}
KOKORO_MINUTES: Final = 40
KOKORO_PASSES: Final = 4
WORST_FIT: Final = 0.1  # share of Kokoro's clips that fit their phones worst and are left out


def main() -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model", help="voices -> mouth tracks -> network -> ONNX")
    model.add_argument("--share", type=float, default=1.0, help="of the minutes of speech")
    model.add_argument("--aligner-steps", type=int, default=1500)
    model.add_argument("--steps", type=int, default=8000)
    model.add_argument("--seed", type=int, default=1)
    model.add_argument("--threads", type=int, default=1)
    model.add_argument("--out", type=Path, default=MODEL)
    commands.add_parser("evaluate", help="measure the shipped ear again").add_argument(
        "--out", type=Path, default=MODEL
    )
    commands.add_parser("samples", help="the demo's voice and the test fixture")
    options = parser.parse_args()
    if options.command == "samples":
        for path in samples.write(ROOT):
            print(path)
    elif options.command == "evaluate":
        recorded = json.loads((options.out / "evaluation.json").read_text("utf-8"))
        _evaluate(options.out, recorded["training"], _load(TRAINED))
    else:
        _make(options)


def _make(options: argparse.Namespace) -> None:
    started = time.monotonic()
    minutes = {source: count * options.share for source, count in TIMED.items()}
    timed = [
        clip
        for source, count in minutes.items()
        for clip in clips.clips(source, count * 60, WORK / "clips")
    ]
    first = corpus.build(_shuffled(timed, options.seed), options.seed)
    aligner = fitting.fit(first, options.aligner_steps, options.seed, threads=options.threads)
    rough = clips.clips("kokoro", KOKORO_MINUTES * options.share * 60, WORK / "clips")
    natural = list(_well_aligned(rough, aligner))
    second = corpus.build(_shuffled(natural * KOKORO_PASSES, options.seed + 1), options.seed + 1)
    trained = fitting.fit(
        corpus.join([first, second]),
        options.steps,
        options.seed + 1,
        threads=options.threads,
        start=aligner,
    )
    _keep(trained, TRAINED)
    network.export(trained, WORK / "ear.onnx")
    options.out.mkdir(parents=True, exist_ok=True)
    joining.join(WORK / "ear.onnx", FIRST_EAR, options.out / "ear.onnx")
    record = {
        "minutes_of_speech": {**minutes, "kokoro": KOKORO_MINUTES * options.share},
        "steps": options.aligner_steps + options.steps,
        "seed": options.seed,
        "parameters": sum(p.numel() for p in trained.parameters()),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "torch": torch.__version__,
    }
    _evaluate(options.out, record, trained)


def _well_aligned(rough: list[Speech], aligner: Network) -> Iterator[Speech]:
    """Yield the clips with their phones in place, less those where they hardly fit."""
    found = [aligned(clip, aligner) for clip in rough]
    least = np.quantile([fit for _, fit in found], WORST_FIT)
    yield from (clip for clip, fit in found if fit >= least)


def _shuffled(speeches: list[Speech], seed: int) -> list[Speech]:
    order = np.random.default_rng(seed).permutation(len(speeches))
    return [speeches[index] for index in order]


def _evaluate(out: Path, training: dict[str, Any], aligner: Network) -> None:
    held_out = evaluation.evaluate(out / "ear.onnx", EVALUATION_SEED, aligner)
    text = json.dumps({"training": training, "held_out": held_out}, indent=1) + "\n"
    (out / "evaluation.json").write_text(text, "utf-8")
    print(text)


def _keep(trained: Network, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(trained.state_dict(), path)


def _load(path: Path) -> Network:
    found = Network()
    found.load_state_dict(torch.load(path, weights_only=True))
    return found.eval()


if __name__ == "__main__":
    main()
