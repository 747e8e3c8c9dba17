"""How a handler says how far it is: whoever watches shows it, and takes silence for a hang."""

from typing import Protocol


class Progress(Protocol):
    """Called a few times a second at most is fine, and so is every frame."""

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` frames; `total` is 0 while it isn't known."""


def silent(done: int, total: int) -> None:
    """The progress of a function that nobody watches."""
