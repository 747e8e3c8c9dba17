"""Trains the ear's network on a corpus; the same corpus, seed and torch give the same network."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
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
from training.phones import LOOKALIKES

__all__ = ["fit"]

CLIPS: Final = 20  # a step
COLUMNS: Final = 256  # a clip: 3.2 s
PEAK_RATE: Final = 3e-3
WARM_UP: Final = 150  # steps
KEPT: Final = 200
AVERAGED: Final = 0.998  # of the averaged weights stay at each step

# What the losses weigh.
OPEN, WIDE, CLOSE, LIP_TEETH, PHONE = 1.0, 0.6, 0.6, 0.3, 0.25
# By how much more a closure and what sounds like one count, in telling closures and naming phones.
CLOSED_MORE, ALIKE_MORE = 2.0, 1.5
CLOSED_NAMED_MORE, ALIKE_NAMED_MORE = 4.0, 2.0
SMOOTHED: Final = 0.1  # of the right phone's share goes to the others


@dataclass(frozen=True)
class _Batch:
    mel: Tensor  # [clips, 1, 80, columns]
    mouth: Tensor  # [clips, 4, columns - 2 * CONTEXT]
    phone: Tensor  # [clips, columns - 2 * CONTEXT]


def fit(
    network: Network,
    corpora: Sequence[Corpus],
    shares: Sequence[float],
    steps: int,
    seed: int,
    *,
    threads: int = 1,
    kept: Callable[[Network], None] | None = None,
) -> Network:
    """Train for so many steps, printing the loss as it goes.

    Args:
        network: whose weights to begin with; it is left as it is.
        corpora: what to learn.
        shares: how much of each batch comes from each corpus; they sum to 1.
        steps: how many batches.
        seed: of the batches.
        threads: of torch.
        kept: called with the averaged network every `KEPT` steps, to keep it.

    Returns:
        The network whose weights are a moving average over the steps.
    """
    torch.set_num_threads(threads)
    chance = np.random.default_rng(seed)
    network = copy.deepcopy(network)
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, steps))
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, {steps} steps")
    started, shown = time.monotonic(), 0.0
    network.train()
    for step in range(1, steps + 1):
        batch = _draw(corpora, shares, chance)
        with torch.autocast("cpu", torch.bfloat16):
            tracks, phones = network.logits(batch.mel)
        loss = _loss(tracks.float(), phones.float(), batch)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        _average(averaged, network, min(AVERAGED, step / (step + 10)))
        shown = float(loss.detach()) if step == 1 else 0.99 * shown + 0.01 * float(loss.detach())
        if step % 100 == 0:
            print(f"step {step}: loss {shown:.4f}, {time.monotonic() - started:.0f} s", flush=True)
        if kept is not None and step % KEPT == 0:
            kept(averaged)
    return averaged.eval()


@torch.no_grad()
def _average(averaged: Network, network: Network, stays: float) -> None:
    for mean, now in zip(
        averaged.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - stays)
        else:
            mean.copy_(now)


def _pace(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a warm-up, then half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def _loss(tracks: Tensor, phones: Tensor, batch: _Batch) -> Tensor:
    """Return the weighted sum of five losses.

    Opening and width are judged by their concordance (Lin, 1989), which falls with a wrong range
    as much as with a wrong shape: a squared error alone shrinks both to the mean. Closures and
    phones that sound like one (n, d, v) count more: telling m from n is the hardest thing that the
    ear must learn, and a missed m is what everyone sees.
    """
    opening, width = torch.sigmoid(tracks[:, 0]), torch.tanh(tracks[:, 1])
    alike = torch.isin(batch.phone, torch.tensor(LOOKALIKES))
    closed = batch.mouth[:, 2]
    weight = 1 + torch.maximum(CLOSED_MORE * closed, ALIKE_MORE * alike.float())
    naming = 1 + torch.maximum(CLOSED_NAMED_MORE * closed, ALIKE_NAMED_MORE * alike.float())
    entropy = functional.binary_cross_entropy_with_logits
    close_error = entropy(tracks[:, 2], closed, reduction="none") * weight
    phone_error = functional.cross_entropy(
        phones, batch.phone, reduction="none", label_smoothing=SMOOTHED
    )
    return (
        OPEN * _discordance(opening, batch.mouth[:, 0])
        + WIDE * _discordance(width, batch.mouth[:, 1])
        + CLOSE * close_error.mean()
        + LIP_TEETH * entropy(tracks[:, 3], batch.mouth[:, 3])
        + PHONE * (phone_error * naming).mean() / naming.mean()
    )


def _discordance(heard: Tensor, truth: Tensor) -> Tensor:
    """Return 1 less Lin's concordance correlation: 0 where both are the same."""
    apart = heard.mean() - truth.mean()
    together = ((heard - heard.mean()) * (truth - truth.mean())).mean()
    spread = heard.var(correction=0) + truth.var(correction=0) + apart * apart
    return 1 - 2 * together / (spread + 1e-6)


def _draw(
    corpora: Sequence[Corpus], shares: Sequence[float], chance: np.random.Generator
) -> _Batch:
    drawn = [corpora[index] for index in chance.choice(len(corpora), CLIPS, p=shares)]
    starts = [int(chance.integers(0, len(corpus.mel) - COLUMNS)) for corpus in drawn]
    spans = [(corpus, slice(at, at + COLUMNS)) for corpus, at in zip(drawn, starts, strict=True)]
    answer = slice(CONTEXT, COLUMNS - CONTEXT)
    mel = np.stack([corpus.mel[span] for corpus, span in spans]).astype(np.float32)
    mouth = np.stack([corpus.mouth[span][answer] for corpus, span in spans])
    phone = np.stack([corpus.phone[span][answer] for corpus, span in spans])
    return _Batch(
        torch.from_numpy(_vary(mel, chance)).transpose(1, 2)[:, None],
        torch.from_numpy(mouth.astype(np.float32)).transpose(1, 2),
        torch.from_numpy(phone.astype(np.int64)),
    )


def _vary(mel: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """Change each clip's throat, level and colour, add noise, and hide some bands of some."""
    varied = _stretch(mel, chance)
    varied += chance.normal(0, 0.3, (CLIPS, 1, 1)).astype(np.float32)
    varied += _colour(chance)
    varied += chance.standard_normal(mel.shape, np.float32) * np.float32(0.15)
    for clip in np.flatnonzero(chance.random(CLIPS) < 0.4):
        width = int(chance.integers(3, 13))
        low = int(chance.integers(0, BANDS - width))
        varied[clip, :, low : low + width] = varied[clip].mean()
    clipped: NDArray[np.float32] = np.clip(varied, -4, 4)
    return clipped


def _colour(chance: np.random.Generator) -> NDArray[np.float32]:
    """Return what a microphone's curve adds to each clip's bands: a tilt and slow waves."""
    across = np.linspace(0, 1, BANDS)
    waves = np.stack([np.cos(np.pi * order * across) for order in range(1, 6)])
    sizes = chance.normal(0, 1, (CLIPS, 5)) * np.array([0.5, 0.3, 0.25, 0.2, 0.15])
    curve: NDArray[np.float32] = (sizes @ waves)[:, None].astype(np.float32)
    return curve


def _stretch(mel: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """Stretch and shift the bands of each clip, as a longer or shorter throat does."""
    stretched = np.empty_like(mel)
    for clip, (factor, shift) in enumerate(
        zip(chance.uniform(0.84, 1.19, CLIPS), chance.uniform(-1, 1, CLIPS), strict=True)
    ):
        position = np.clip(np.arange(BANDS) * factor + shift, 0, BANDS - 1)
        below = np.minimum(position.astype(int), BANDS - 2)
        part = (position - below).astype(np.float32)
        stretched[clip] = mel[clip][:, below] * (1 - part) + mel[clip][:, below + 1] * part
    return stretched
