"""The page with every sheet, and the table of figures: for people, and as JSON."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from functions import documents
from sheets.figures import COLUMNS, Figures


@dataclass(frozen=True)
class Shown:
    """One video on the page.

    Args:
        video: the file.
        sheet: its contact sheet.
        figures: what was measured.
    """

    video: Path
    sheet: Path
    figures: Figures


@dataclass(frozen=True)
class Table:
    """The content of `figures.json`.

    Args:
        videos: in the order in which they were made.
        refused: what came to no video, and why.
    """

    videos: tuple[Figures, ...]
    refused: tuple[tuple[str, str], ...]


def write_page(folder: Path, shown: Sequence[Shown], refused: Sequence[tuple[str, str]]) -> Path:
    """Writes `index.html` and `figures.json`.

    Args:
        folder: in which the videos and sheets lie, at any depth.
        shown: the videos.
        refused: what came to no video, and why.
    """
    lines = ["<!doctype html><meta charset=utf-8><title>Contact sheets</title>"]
    lines.append("<style>body{font-family:sans-serif}img{max-width:100%}td,th{padding:0 .6em}")
    lines.append("td{text-align:right}</style><table><tr>")
    lines += [f"<th>{html.escape(name)}" for name in COLUMNS]
    for one in shown:
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in one.figures.cells))
    lines.append("</table>")
    lines += [f"<p>{html.escape(name)}: {html.escape(why)}</p>" for name, why in refused]
    for one in shown:
        name = html.escape(", ".join(one.figures.cells[:3]))
        places = (path.relative_to(folder).as_posix() for path in (one.video, one.sheet))
        video, sheet = (html.escape(place) for place in places)
        lines.append(f'<h2><a href="{video}">{name}</a></h2>')
        lines.append(f"<p>{html.escape('; '.join(one.figures.check.why))}</p>")
        lines.append(f'<img src="{sheet}" alt="{name}">')
    page = folder / "index.html"
    page.write_text("\n".join(lines) + "\n", "utf-8")
    table = Table(tuple(one.figures for one in shown), tuple(refused))
    (folder / "figures.json").write_bytes(documents.dump(table))
    return page
