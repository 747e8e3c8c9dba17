"""What a footage can show of speech, and what will have to be made up for it."""

from dataclasses import dataclass

import numpy as np

from functions.infer.bank import Bank

_SHUT, _OPEN, _ROUND = 0.05, 0.4, 0.8  # openings and widths, in the mouth's usual half width
_TEETH = 0.25  # of an opening: so much of it is as bright as teeth
_FEW = 60  # mouths


@dataclass(frozen=True)
class Shown:
    """One thing that speech needs.

    Args:
        what: in a word or two.
        seen: whether the footage has it.
        otherwise: what is done without.
    """

    what: str
    seen: bool
    otherwise: str


def showing(bank: Bank) -> list[Shown]:
    """What a bank holds of all that speech needs."""
    opening, width, teeth = bank.features[:, 0], bank.features[:, 1], bank.features[:, 5]
    opening, width = opening / bank.rest, width / bank.rest
    return [
        Shown("closed mouth", bool(opening.min() < _SHUT), "closures will be warped"),
        Shown(
            "open mouth",
            bool(np.percentile(opening, 98) > _OPEN),
            "teeth and tongue will be drawn in wide vowels",
        ),
        Shown("rounded lips", bool(np.percentile(width, 2) < _ROUND), "rounding will be warped"),
        Shown("teeth", bool(teeth.max() > _TEETH), "f and v will show drawn teeth or none"),
        Shown(
            "many mouths",
            len(bank.frames) >= _FEW,
            f"{len(bank.frames)} of the {_FEW} that make movement natural",
        ),
    ]
