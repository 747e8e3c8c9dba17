"""How festival's alphabets become IPA."""

from training.festival import VOICES, _segments
from training.mouth_tracks import TARGETS


def test_segments() -> None:
    """Lines after the header are phones that end where they say; length marks don't count."""
    rows = ["nfields 1", "#", "0.1 100 # ", "0.25 100 @:", "0.4 100 p:", "0.5 100 N"]
    assert _segments(rows, VOICES["lj"]) == [
        (0.0, 0.1, ""),
        (0.1, 0.25, "æ"),
        (0.25, 0.4, "p"),
        (0.4, 0.5, "ŋ"),
    ]
    assert [s.phone for s in _segments(["#", "1 100 O1", "2 100 1"], VOICES["ona"])] == ["ɔ", "1"]


def test_tables_lead_to_phones_that_move_the_mouth() -> None:
    """Everything that a table says is a phone with a target, or a pause."""
    for voice in VOICES.values():
        for ipa in voice.phones.values():
            assert set(ipa) <= TARGETS.keys()
