"""``python -m training model`` makes the ear end to end; ``samples`` makes the sample voices."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from training import corpus, evaluation, fitting, network, samples

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL: Final = ROOT / "functions" / "infer" / "models" / "viseme" / "1"
WORK: Final = ROOT / "training" / "made"
EVALUATION_SEED: Final = 20_000  # far from the training seeds


def main() -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model", help="voices -> mouth tracks -> network -> ONNX")
    model.add_argument("--hours", type=float, default=7.5, help="of speech to learn from")
    model.add_argument("--steps", type=int, default=6000)
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
        _evaluate(options.out, recorded["training"])
    else:
        _make(options)


def _make(options: argparse.Namespace) -> None:
    speech = _corpus(options.hours * 3600, options.seed)
    started = time.monotonic()
    trained = fitting.fit(speech, options.steps, options.seed, options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    network.export(trained, options.out / "ear.onnx")
    _evaluate(
        options.out,
        {
            "hours_of_speech": round(options.hours, 2),
            "steps": options.steps,
            "seed": options.seed,
            "parameters": sum(p.numel() for p in trained.parameters()),
            "minutes": round((time.monotonic() - started) / 60, 1),
            "torch": torch.__version__,
        },
    )


def _evaluate(out: Path, training: dict[str, Any]) -> None:
    held_out = evaluation.evaluate(out / "ear.onnx", EVALUATION_SEED)
    record = {"training": training, "held_out": held_out}
    text = json.dumps(record, indent=1) + "\n"
    (out / "evaluation.json").write_text(text, "utf-8")
    print(text)


def _corpus(seconds: float, seed: int) -> corpus.Corpus:
    """Synthesise the corpus, or read it if this seed's lies in the work folder already."""
    path = WORK / f"corpus-{seed}-{seconds:.0f}.npz"
    if path.exists():
        with np.load(path) as stored:
            return corpus.Corpus(**stored)
    print(f"synthesising {seconds / 3600:.1f} hours of speech")
    speech = corpus.build(seconds, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, **asdict(speech))
    return speech


if __name__ == "__main__":
    main()
