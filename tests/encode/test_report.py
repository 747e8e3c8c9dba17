from functions import documents
from functions.analysis import Spent
from functions.encode.report import (
    LabelReport,
    PartReport,
    Report,
    StageTime,
    check_of,
    make_report,
    video_report,
)
from functions.input_keys import Group
from functions.options import Options
from functions.plans import Model, Plan, Source
from functions.settings import CheckSettings
from tests.encode.clips import LOST, OWN, STAND_IN

PLAN = Plan(
    run="r" * 20,
    group=Group("default", "job"),
    made_at=1.0,
    voice=Source("default/job/v.wav", "a" * 64, "v"),
    face=Source("default/job/f.mp4", "f" * 64, "f"),
    model=Model("wav2lip", "1"),
    options=Options(),
    seconds=2.0,
    rate_numerator=25,
    rate_denominator=1,
    frames=50,
    segment_frames=25,
    output="v-f",
)


def test_segments_that_another_model_served(clips) -> None:
    """Each tells who ran what with what success; the licences of all models are named."""
    footage = clips["portrait"].footage
    parts = [
        PartReport(i, 25 * i, 25 * i + 25, served, 1.0, 1.0, 9, 0)
        for i, served in enumerate((OWN, STAND_IN))
    ]
    report = make_report(
        PLAN,
        footage,
        tuple(parts),
        video=video_report(PLAN, footage, "default/job/v-f.mp4", "0" * 64, 9),
        label=LabelReport("", 0, ""),
        check=check_of(tuple(parts), CheckSettings()),
        analysed=Spent(0.0, 0.0),
        assembly=StageTime(0.0, 0.0),
        finished_at=2.0,
    )
    report = documents.load(Report, documents.dump(report))
    assert report.licence == "mine AND Apache-2.0"
    assert [part.served.instead_of for part in report.segments] == ["", "wav2lip 1"]
    assert report.segments[1].served.attempts == (LOST,)
    assert report.check.verdict == "unmeasured"
