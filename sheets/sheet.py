"""A contact sheet: single moments of a video above, some frames in a row below."""

from fractions import Fraction
from pathlib import Path

from functions.ingest.faces import FaceFinder
from functions.plans import source_frames
from sheets.moments import Tracks, moments, strip
from sheets.tiles import FACE, MOUTH, Rgb, cut, grid, places, stacked

_FACE, _TILE, _ROW = 256, 128, 12


def draw(
    video: Path,
    source: Path,
    source_length: int,
    rate: Fraction,
    mouth: Tracks,
    finder: FaceFinder,
    to: Path,
) -> None:
    """Writes a sheet as PNG; each frame has the source's above it.

    Args:
        video: the finished one.
        source: the face that it was made of.
        source_length: frames that it has.
        rate: frames a second of the video.
        mouth: (n, 4), what it should do in each of the video's frames.
        finder: finds the face.
        to: the file.
    """
    picked, row = moments(mouth), strip(mouth)
    wanted = {moment.frame for moment in picked} | set(row)
    landmarks = places(video, source, wanted, finder)
    own = {frame: frame for frame in wanted}
    order = source_frames(range(len(mouth)), source_length, "pingpong")
    shown = dict(enumerate(order))

    def rows(framing: tuple[float, float], size: int) -> tuple[dict[int, Rgb], dict[int, Rgb]]:
        before = cut(source, rate, landmarks, shown, framing, size)
        return before, cut(video, rate, landmarks, own, framing, size)

    before, after = rows(FACE, _FACE)
    frames = [moment.frame for moment in picked]
    captions = [f"{moment.what}, frame {moment.frame}" for moment in picked]
    parts = [grid([[one.get(f) for f in frames] for one in (before, after)], captions, _FACE)]
    before, after = rows(MOUTH, _TILE)
    for first in range(0, len(row), _ROW):
        frames = list(row)[first : first + _ROW]
        tiles = [[one.get(f) for f in frames] for one in (before, after)]
        parts.append(grid(tiles, [str(frame) for frame in frames], _TILE))
    stacked(parts).save(to)
