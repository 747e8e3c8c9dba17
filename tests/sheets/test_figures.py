from fractions import Fraction
from pathlib import Path

import pytest

from functions import documents
from functions.check import FARTHEST, Check
from functions.ingest.faces import FaceFinder
from functions.settings import CheckSettings
from sheets.figures import COLUMNS, Figures, Subject, measure, truth
from sheets.page import Shown, Table, write_page
from training.mouth_tracks import Segment

RATE = Fraction(25)
SAID = [
    Segment(0.0, 0.4, ""),
    Segment(0.4, 0.8, "a"),
    Segment(0.8, 1.0, "m"),
    Segment(1.0, 1.4, "u"),
]


def test_the_truth_is_as_long_as_the_video_and_the_lags() -> None:
    """Frame 0 comes after as many frames of rest as a mouth may be late; rest follows the words."""
    mouth = truth(SAID, 1.4, RATE, 60)
    assert mouth.shape == (60 + 2 * FARTHEST, 4)
    assert not mouth[:FARTHEST].any()
    assert mouth[FARTHEST + 15, 0] > 0.6  # a
    assert mouth[FARTHEST + 22, 2] > 0.9  # m
    assert mouth[FARTHEST + 30, 1] < -0.4  # u
    assert not mouth[FARTHEST + 45 :].any()


def test_a_longer_recording_is_cut() -> None:
    """A video may end before its recording does."""
    assert len(truth(SAID, 1.4, RATE, 20)) == 20 + 2 * FARTHEST


@pytest.fixture(scope="module")
def figures(face_clip: Path, finder: FaceFinder) -> Figures:
    """A clip that nobody changed, measured against itself and some words."""
    subject = Subject(face_clip, face_clip, 0, ("face", "voice", "told"))
    return measure(subject, RATE, (SAID, 1.4), finder, CheckSettings())


def test_an_unchanged_clip_is_its_source(figures: Figures) -> None:
    """Flicker and sharpness are the source's, and nothing differs anywhere."""
    assert figures.against == "phones"
    assert figures.outside == figures.outside_worst == 0
    assert figures.check.sharpness == 1
    assert figures.check.frames > 20
    assert len(figures.cells) == len(COLUMNS)


def test_the_page_has_every_video_and_every_refusal(figures: Figures, tmp_path: Path) -> None:
    """The table's rows, the sheets and why others were refused; the same as JSON."""
    video, sheet = tmp_path / "one.mp4", tmp_path / "one.png"
    page = write_page(tmp_path, [Shown(video, sheet, figures)], [("wall", "no <face>")])
    text = page.read_text("utf-8")
    assert 'href="one.mp4"' in text
    assert 'src="one.png"' in text
    assert "no &lt;face&gt;" in text
    assert all(f"<td>{cell}" in text for cell in figures.cells[:5])
    table = documents.load(Table, (tmp_path / "figures.json").read_bytes())
    assert table == Table((figures,), (("wall", "no <face>"),))


def test_what_is_not_known_has_a_dash() -> None:
    """A face too small to compare, or a still, leaves figures out; the row says so."""
    bare = Figures("f", "v", "ear", "ear", Check("unmeasured", ("too little",)), None, None, 0.0)
    assert bare.cells.count("–") == 6
