import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.encode.composite import Canvas
from functions.encode.label import implicit_label, labelled_frames, render_label
from functions.encode.settings import LabelSettings
from functions.options import Label
from functions.picture import Colour, Picture

SIZES = st.tuples(st.integers(120, 1000), st.integers(120, 1000))


def flat(width: int, height: int, grey: int = 90) -> Canvas:
    canvas = Canvas(width, height)
    half = (height // 2, width // 2)
    canvas.load(
        Picture(
            np.full((height, width), grey, np.uint8),
            np.full(half, 100, np.uint8),
            np.full(half, 150, np.uint8),
        )
    )
    return canvas


def ink_rows(picture: Picture, columns: slice) -> int:
    """How many rows hold white text in some columns."""
    return int((picture.y[:, columns] > 200).any(axis=1).sum())


@settings(max_examples=25, deadline=None)
@given(size=SIZES, language=st.sampled_from(["zh", "en"]))
def test_characters_are_high_enough(size: tuple[int, int], language: str) -> None:
    """The letter A, as drawn, is at least 5 % of the shorter side high, and all text is inside."""
    width, height = (side * 2 for side in size)
    overlay = render_label(Label(language), "top-right", width, height, Colour())
    canvas = flat(width, height)
    overlay.draw(canvas.picture)
    box = overlay.box
    lit = np.flatnonzero((canvas.picture.y[box.top : box.bottom] > 200).any(axis=0))
    # The text starts with A: its columns run up to the gap before the I.
    gap = np.flatnonzero(np.diff(lit) > 1)[0]
    letter = slice(lit[0], lit[gap] + 1)
    assert ink_rows(canvas.picture, letter) >= 0.05 * min(width, height) - 1
    assert overlay.letter_height >= 0.05 * min(width, height)
    assert box.left <= lit[0]
    assert lit[-1] < box.right


@pytest.mark.parametrize("corner", ["top-left", "top-right"])
@pytest.mark.parametrize("size", [(1280, 720), (360, 640), (64, 48), (16, 16), (2, 2)])
def test_only_the_box_changes(size: tuple[int, int], corner: str) -> None:
    """The label stays in its even box in its corner, also where the picture is tiny."""
    overlay = render_label(Label(), corner, *size, Colour())
    box = overlay.box
    assert all(edge % 2 == 0 for edge in (box.left, box.top, box.right, box.bottom))
    assert 0 <= box.left < box.right <= size[0]
    assert 0 <= box.top < box.bottom <= size[1]
    before, after = flat(*size).picture, flat(*size)
    overlay.draw(after.picture)
    for step, was, now in (
        (1, before.y, after.picture.y),
        (2, before.u, after.picture.u),
        (2, before.v, after.picture.v),
    ):
        changed = now != was
        changed[box.top // step : box.bottom // step, box.left // step : box.right // step] = False
        assert not changed.any()
    if size[0] > 100:
        centre = (box.left + box.right) / 2
        assert (centre < size[0] / 2) == (corner == "top-left")


@pytest.mark.parametrize("grey", [16, 128, 235])
def test_text_can_be_read_on_any_ground(grey: int) -> None:
    """White text stands out from its plate, over black, grey and white pictures."""
    canvas = flat(640, 360, grey)
    overlay = render_label(Label(), "top-left", 640, 360, Colour())
    overlay.draw(canvas.picture)
    inside = overlay.box.of(canvas.picture.y)
    plate = np.median(inside)
    assert inside.max() - plate >= 100
    assert plate == pytest.approx((grey + 16) / 2, abs=2)


def test_white_is_white_in_full_range() -> None:
    """Text has the white of the video's own range."""
    for full, white in ((False, 235), (True, 255)):
        colour = Colour(full_range=full)
        canvas = flat(640, 360)
        overlay = render_label(Label(), "top-left", 640, 360, colour)
        overlay.draw(canvas.picture)
        assert canvas.picture.y.max() == white


def test_languages_look_different() -> None:
    """Each language has its own text; none of the glyphs is missing (a box)."""
    zh, en = (render_label(Label(each), "top-right", 640, 360, Colour()) for each in ("zh", "en"))
    assert zh.box != en.box
    # A font without them would draw the same empty box for 生 and for 成.
    ink = (zh.picture.y > 200) & (zh.alpha > 200)
    last = np.flatnonzero(ink.any(axis=0))
    second_half = ink[:, last[len(last) // 2] : last[-1]]
    left, right = np.array_split(second_half, 2, axis=1)
    width = min(left.shape[1], right.shape[1])
    assert (left[:, :width] != right[:, :width]).mean() > 0.1


@given(
    seconds=st.floats(2, 60),
    rate=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(60)]),
    frames=st.integers(1, 10_000),
)
def test_label_stays_long_enough(seconds: float, rate: Fraction, frames: int) -> None:
    """It is shown for the whole time, or for the whole of a video that is shorter."""
    count = labelled_frames(Label(), seconds, rate, frames)
    assert count <= frames
    assert count == frames or count / rate >= Fraction(seconds)
    assert count / rate < seconds + 1 / rate
    assert labelled_frames(Label(whole=True), seconds, rate, frames) == frames


def test_implicit_label_has_all_keys_as_text() -> None:
    """Machines find the seven keys of the rules at top level, each a string."""
    fields = json.loads(implicit_label("某某公司", "run-7"))
    assert fields["Label"] == "1"
    assert fields["ContentProducer"] == "某某公司"
    assert fields["ProduceID"] == "run-7"
    assert set(fields) == {
        "Label",
        "ContentProducer",
        "ProduceID",
        "ReservedCode1",
        "ContentPropagator",
        "PropagateID",
        "ReservedCode2",
    }
    assert all(isinstance(value, str) for value in fields.values())


def test_operator_decides_for_each_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The explicit label is on unless the operator switched it off, for all or for one tenant."""
    assert LabelSettings().shown_to("any")
    monkeypatch.setenv("KOUBO_LABEL_TENANTS", '{"studio": false}')
    assert not LabelSettings().shown_to("studio")
    assert LabelSettings().shown_to("other")
    monkeypatch.setenv("KOUBO_LABEL_EXPLICIT", "false")
    monkeypatch.setenv("KOUBO_LABEL_TENANTS", '{"public": true}')
    assert not LabelSettings().shown_to("studio")
    assert LabelSettings().shown_to("public")


def test_label_can_not_be_shorter_than_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than 2 seconds is refused at the start, not noticed by a regulator."""
    monkeypatch.setenv("KOUBO_LABEL_SECONDS", "1")
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        LabelSettings()
