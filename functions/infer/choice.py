"""Which real mouth each output frame shows: a path through the bank.

The timeline is cut into blocks that begin at fixed output frames, and the path through a block is
found with a fixed number of frames around it. A frame's choice therefore depends on nothing but
the timeline, however that is cut into segments.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.infer.bank import Bank
from functions.infer.lips import Floats, goal

BLOCK: Final = 48  # output frames
AROUND: Final = 16  # output frames that a block's path is worked out with, on either side
NEAR: Final = 2  # output frames on either side that a choice is blended with

TAPER: Final = np.array([1, 2, 3, 2, 1], np.float32) / 9
"""How much each frame from NEAR before to NEAR after counts in a blend."""

_BEST = 24  # mouths that are considered for a frame
# What costs 1: of opening and width in the usual half width, of turn and nod, of light.
_OPENING, _WIDTH, _TURN, _NOD, _LIGHT = 0.05, 0.08, 0.12, 0.12, 0.25
_SEALED = 3.0  # times the opening's cost where lips are to be closed
_SHOWS_TEETH = 5.0  # the cost of none at an f or v
_ENAMEL = 0.12  # how much of them is enough, in hw
_BITTEN = 0.7  # of the cost of too wide a mouth, what isn't counted at an f or v
_POUTED = 6.0  # the cost of nothing but teeth between rounded lips, which hide most of them
_HASTE = 0.08  # of the change of an opening from frame to frame, in hw, what costs 1
_BLURRED = 2.0  # the cost of a mouth without any edge
_JUMP = 2.5  # the cost of another mouth
_HOLD = 0.15  # of the same one again
_FAR = 0.1  # times the difference of two mouths, where one follows the other


@dataclass(frozen=True, eq=False)
class Wanted:
    """What output frames in a row want.

    Args:
        first: the first of them.
        mouth: (n, 4), the tracks.
        shown: (n,), the footage frames that they show.
    """

    first: int
    mouth: Floats
    shown: NDArray[np.int64]

    def of(self, first: int, last: int) -> "Wanted":
        """What the output frames from the first number up to the second want."""
        part = slice(first - self.first, last - self.first)
        return Wanted(first, self.mouth[part], self.shown[part])


def reach(first: int, last: int) -> tuple[int, int]:
    """The output frames on which the choice for some of them depends."""
    low, high = max(first - NEAR, 0) // BLOCK, -(-(last + NEAR) // BLOCK)
    return max(low * BLOCK - AROUND, 0), high * BLOCK + AROUND


def choose(bank: Bank, wanted: Wanted, first: int, last: int) -> NDArray[np.int64]:
    """(last - first + 2 NEAR,): places in the bank, from NEAR frames before to NEAR after.

    Args:
        bank: what there is.
        wanted: by the frames that `reach` names.
        first: output frame.
        last: output frame after the last one.
    """
    low, high = max(first - NEAR, 0), last + NEAR
    blocks = range(low // BLOCK, (high - 1) // BLOCK + 1)
    chosen = np.concatenate([_block(bank, wanted, block) for block in blocks])
    begin = blocks[0] * BLOCK
    kept = chosen[low - begin : high - begin]
    # Before the first frame ever its own mouth is held.
    return np.concatenate([np.repeat(kept[:1], low - (first - NEAR)), kept])


def inert(opening: Floats) -> Floats:
    """(n,): an opening track as the heavy jaw follows it.

    Args:
        opening: (n,), by the frame.
    """
    held = np.pad(opening, NEAR, mode="edge")
    followed: Floats = np.convolve(held, TAPER, "valid").astype(np.float32)
    return followed


def blend(places: NDArray[np.int64], bank: Bank) -> Iterator[list[tuple[int, float]]]:
    """For each frame the mouths that it shows, with weights that add up to 1.

    Where the path goes on or stays, that is one; around a jump one fades into the other.

    Args:
        places: from `choose`.
        bank: that they are in.
    """
    jumps = np.abs(np.diff(bank.frames[places])) > 1
    stretch = np.concatenate([[0], np.cumsum(jumps)])
    for at in range(NEAR, len(places) - NEAR):
        weights: dict[int, float] = {}
        for beside in range(at - NEAR, at + NEAR + 1):
            # The nearest mouth of that stretch stands for all of it.
            own = np.flatnonzero(stretch == stretch[beside])
            place = int(places[np.clip(at, own[0], own[-1])])
            weights[place] = weights.get(place, 0.0) + float(TAPER[beside - at + NEAR])
        yield list(weights.items())


def _block(bank: Bank, wanted: Wanted, block: int) -> NDArray[np.int64]:
    """The path through one block's frames."""
    first, last = block * BLOCK, (block + 1) * BLOCK
    begin = max(first - AROUND, 0)
    path = _cheapest(_misfit(bank, wanted.of(begin, last + AROUND)), bank)
    return path[first - begin : last - begin]


def _misfit(bank: Bank, wanted: Wanted) -> Floats:
    """(frames, mouths): how badly each mouth fits each frame."""
    rest = bank.rest
    goals = [goal(mouth, rest, bank.curve) for mouth in wanted.mouth]
    opening, width, teeth = np.array([(g.aperture, g.half_width, g.teeth) for g in goals]).T
    usual = np.nanmedian(bank.poses, axis=0)
    pose = bank.poses[wanted.shown]
    pose = np.where(np.isnan(pose), usual, pose)
    light = bank.light[wanted.shown]
    aperture, half, turn, nod, lit, shows, sharp, haste = bank.features.T
    strict = 1 + (_SEALED - 1) * wanted.mouth[:, 2]
    more = (aperture - opening[:, None]) / (_OPENING * rest)
    # At an f or v the lower lip covers most of the teeth: those of wider mouths will do.
    bitten = 1 - _BITTEN * teeth[:, None]
    cost = np.maximum(more * bitten, -more) * strict[:, None]
    cost += np.abs(half - width[:, None]) / (_WIDTH * rest)
    cost += np.abs(turn - pose[:, :1]) / _TURN + np.abs(nod - pose[:, 1:]) / _NOD
    cost += np.abs(np.log((lit + 1) / (light[:, None] + 1))) / _LIGHT
    enamel = np.minimum(shows * aperture / (_ENAMEL * rest), 1)
    cost += _SHOWS_TEETH * teeth[:, None] * (1 - enamel)
    rounding = np.clip(-wanted.mouth[:, 1:2], 0, 1) * (1 - wanted.mouth[:, 2:3])
    cost += _POUTED * rounding * shows
    cost += haste / (_HASTE * rest)
    blurred = np.clip(1 - sharp / max(float(np.median(sharp)), 1e-3), 0, 1)
    misfit: Floats = (cost + _BLURRED * blurred).astype(np.float32)
    return misfit


def _cheapest(misfit: Floats, bank: Bank) -> NDArray[np.int64]:
    """The path of least cost (Viterbi), by the best mouths of every frame."""
    count = min(_BEST, misfit.shape[1])
    # Stable sorting: equal costs are taken in the bank's order on every machine.
    best = np.argsort(misfit, axis=1, kind="stable")[:, :count]
    total = np.take_along_axis(misfit, best, 1)
    back = np.zeros(best.shape, np.int64)
    scale = np.array([_OPENING * bank.rest, _WIDTH * bank.rest, _TURN, _NOD], np.float32)
    features = bank.features[:, :4] / scale
    cost = total[0]
    for at in range(1, len(best)):
        before, after = best[at - 1], best[at]
        step = np.abs(bank.frames[before][:, None] - bank.frames[after])
        far = np.abs(features[before][:, None] - features[after]).sum(2)
        move = np.where(step == 0, _HOLD, np.where(step == 1, 0.0, _JUMP + _FAR * far))
        sums = cost[:, None] + move
        back[at] = sums.argmin(0)
        cost = sums.min(0) + total[at]
    place = int(cost.argmin())
    path = np.empty(len(best), np.int64)
    for at in range(len(best) - 1, -1, -1):
        path[at] = best[at, place]
        place = int(back[at, place])
    return path
