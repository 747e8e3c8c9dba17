"""Trains the ear's network on a corpus; the same corpus, seed and torch give the same network."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from functions.infer.ear import CONTEXT
from functions.infer.mel import BANDS
from training.corpus import Corpus
from training.network import Network

__all__ = ["fit"]

CLIPS: Final = 20  # a step
COLUMNS: Final = 256  # a clip: 3.2 s
PEAK_RATE: Final = 3e-3
WARM_UP: Final = 150  # steps

# What the four losses weigh. A lip closure is rare and what everyone sees: see `_loss`.
OPEN, WIDE, CLOSE, LIP_TEETH = 4.0, 2.0, 0.6, 0.3


@dataclass(frozen=True)
class _Batch:
    mel: Tensor  # [clips, 1, 80, columns]
    mouth: Tensor  # [clips, 4, columns - 2 * CONTEXT]
    lookalike: Tensor  # [clips, columns - 2 * CONTEXT]


def fit(corpus: Corpus, steps: int, seed: int, threads: int = 1) -> Network:
    """Train for so many steps, printing the loss as it goes."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    network = Network()
    optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, steps))
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, {steps} steps")
    started, shown = time.monotonic(), 0.0
    network.train()
    for step in range(1, steps + 1):
        batch = _draw(corpus, chance)
        loss = _loss(network.logits(batch.mel), batch)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        shown = float(loss.detach()) if step == 1 else 0.99 * shown + 0.01 * float(loss.detach())
        if step % 200 == 0:
            print(f"step {step}: loss {shown:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return network.eval()


def _pace(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a warm-up, then half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def _loss(logits: Tensor, batch: _Batch) -> Tensor:
    """Return the weighted sum of four losses.

    Wide openings count up to three times, for a squared error alone shrinks them to the mean.
    Closures count five times, and phones that sound like one (n, d, v) three times: telling m
    from n is the hardest thing that the ear must learn, and a missed m is what everyone sees.
    """
    opening, close, lip_teeth = batch.mouth[:, 0], batch.mouth[:, 2], batch.mouth[:, 3]
    open_error = (torch.sigmoid(logits[:, 0]) - opening) ** 2 * (1 + 2 * opening)
    width_error = (torch.tanh(logits[:, 1]) - batch.mouth[:, 1]) ** 2
    entropy = functional.binary_cross_entropy_with_logits
    close_error = entropy(logits[:, 2], close, reduction="none")
    close_error = close_error * (1 + torch.maximum(4 * close, 2 * batch.lookalike))
    teeth_error = entropy(logits[:, 3], lip_teeth, reduction="none")
    return (
        OPEN * open_error + WIDE * width_error + CLOSE * close_error + LIP_TEETH * teeth_error
    ).mean()


def _draw(corpus: Corpus, chance: np.random.Generator) -> _Batch:
    starts = chance.integers(0, len(corpus.mel) - COLUMNS, CLIPS)
    answer = slice(CONTEXT, COLUMNS - CONTEXT)
    mel = np.stack([corpus.mel[at : at + COLUMNS] for at in starts]).astype(np.float32)
    mouth = np.stack([corpus.mouth[at : at + COLUMNS][answer] for at in starts])
    alike = np.stack([corpus.lookalike[at : at + COLUMNS][answer] for at in starts])
    return _Batch(
        torch.from_numpy(_vary(mel, chance)).transpose(1, 2)[:, None],
        torch.from_numpy(mouth.astype(np.float32)).transpose(1, 2),
        torch.from_numpy(alike.astype(np.float32)),
    )


def _vary(mel: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """Change each clip's throat, level and tilt, and add noise."""
    varied = _stretch(mel, chance)
    varied += chance.normal(0, 0.4, (CLIPS, 1, 1)).astype(np.float32)
    tilt = chance.normal(0, 0.5, (CLIPS, 1, 1)) * np.linspace(-1, 1, BANDS)
    varied += tilt.astype(np.float32)
    varied += chance.standard_normal(mel.shape, np.float32) * np.float32(0.15)
    clipped: NDArray[np.float32] = np.clip(varied, -4, 4)
    return clipped


def _stretch(mel: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """Stretch and shift the bands of each clip, as a longer or shorter throat does."""
    stretched = np.empty_like(mel)
    for clip, (factor, shift) in enumerate(
        zip(chance.uniform(0.86, 1.17, CLIPS), chance.uniform(-1, 1, CLIPS), strict=True)
    ):
        position = np.clip(np.arange(BANDS) * factor + shift, 0, BANDS - 1)
        below = np.minimum(position.astype(int), BANDS - 2)
        part = (position - below).astype(np.float32)
        stretched[clip] = mel[clip][:, below] * (1 - part) + mel[clip][:, below + 1] * part
    return stretched
