"""The cost of the default model's mouths, as `make bench` measures it."""

import pytest

from bench import mouths


def test_each_size_has_both_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of the sample face is prepared and rendered: two figures, both above nothing."""
    monkeypatch.setattr(mouths, "_SECONDS", 1)
    monkeypatch.setattr(mouths, "_PICTURES", ((1280, 720),))
    measured = mouths.measure()
    assert measured.keys() == {"bank_ms_a_source_frame_256", "infer_ms_a_frame_256"}
    assert all(cost > 0 for cost in measured.values())
