"""Documents of a footage as ingest would leave them, for tests that need no pictures."""

from functions.analysis import Footage
from functions.picture import Colour

FOOTAGE = Footage(
    digest="f-1",
    sha256="f",
    kind="video",
    width=64,
    height=48,
    rate_numerator=25,
    rate_denominator=1,
    frames=10,
    colour=Colour(),
    rotation=0,
    faces=10,
    chunks=(),
    poster_frame=0,
    container="mov",
    decoder="",
)
"""Ten frames with a face in each; `dataclasses.replace` makes others of it."""
