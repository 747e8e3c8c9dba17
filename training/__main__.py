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

from training import clips, corpus, evaluation, fitting, joining, samples
from training.network import DEEP, SHALLOW, Network, aligned, export
from training.speech import Speech

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL: Final = ROOT / "functions" / "infer" / "models" / "viseme" / "1"
WORK: Final = ROOT / "training" / "made"
TRAINED: Final = WORK / "trained.pt"
EVALUATION_SEED: Final = 20_000  # far from the training clips' numbers

# Minutes of clean speech of each source that tells times exactly; how often each minute of
# Kokoro's is damaged, otherwise each time, and how much of each batch it is: nothing else sounds
# as much like a recording.
TIMED: Final = {"espeak": 70, "flite": 70, "festival": 70}
KOKORO_MINUTES: Final = 190
KOKORO_PASSES: Final = 2
KOKORO_SHARE: Final = 0.7
WORST_FIT: Final = 0.1  # share of Kokoro's clips that fit their phones worst and are left out


def main() -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model", help="voices -> mouth tracks -> network -> ONNX")
    model.add_argument("--share", type=float, default=1.0, help="of the minutes of speech")
    model.add_argument("--aligner-steps", type=int, default=1500)
    model.add_argument("--steps", type=int, default=20_000)
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
    torch.manual_seed(options.seed)
    aligner = fitting.fit(
        Network(SHALLOW),
        [first],
        [1],
        options.aligner_steps,
        options.seed,
        threads=options.threads,
    )
    rough = clips.clips("kokoro", KOKORO_MINUTES * options.share * 60, WORK / "clips")
    natural = list(_well_aligned(rough, aligner))
    second = corpus.build(_shuffled(natural * KOKORO_PASSES, options.seed + 1), options.seed + 1)
    ears = []
    for number, network in enumerate((aligner, Network(DEEP))):
        trained = fitting.fit(
            network,
            [first, second],
            [1 - KOKORO_SHARE, KOKORO_SHARE],
            options.steps,
            options.seed + 1 + number,
            threads=options.threads,
        )
        ears.append(WORK / f"ear_{number}.onnx")
        export(trained, ears[-1])
    _keep(trained, TRAINED)
    options.out.mkdir(parents=True, exist_ok=True)
    joining.join(*ears, options.out / "ear.onnx")
    record = {
        "minutes_of_speech": {**minutes, "kokoro": KOKORO_MINUTES * options.share},
        "steps": [options.aligner_steps + options.steps, options.steps],
        "seed": options.seed,
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
    found = Network(DEEP)
    found.load_state_dict(torch.load(path, weights_only=True))
    return found.eval()


if __name__ == "__main__":
    main()
