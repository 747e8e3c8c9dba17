import dataclasses
import json
from pathlib import Path

import av
import numpy as np
import pytest

from functions import documents
from functions.analysis import Footage
from functions.check import FARTHEST, Tally, tally_sync
from functions.encode.settings import LabelSettings
from functions.errors import Code, RejectedInput
from functions.layout import FootageKeys
from functions.options import Options
from functions.runs import Superseded
from functions.settings import CheckSettings

from .clips import write_patches_file
from .jobs import BUCKETS, Job, prepare


def test_report_says_how_it_was_made(prepared, tmp_path: Path) -> None:
    """Inputs, model, backend, times, frames, label, versions and the video's digest are there."""
    job = prepared()
    job.run()
    report = job.report()
    digest = job.store.download(BUCKETS.output, report.video.key, tmp_path / "out.mp4")
    assert report.video.sha256 == digest
    assert report.video.bytes == (tmp_path / "out.mp4").stat().st_size
    assert (report.video.frames, report.video.rate) == (182, "25")
    assert (report.voice.key, report.face.key) == ("t/job/voice.wav", "t/job/face.mp4")
    assert report.face.sha256 == job.plan.face.sha256
    assert [(part.first, part.last) for part in report.segments] == [(0, 62), (62, 124), (124, 182)]
    assert {part.served.backend for part in report.segments} == {"onnxruntime/CPUExecutionProvider"}
    assert report.licence == "Apache-2.0"
    assert report.stages["infer"].seconds == 1.5
    assert report.stages["encode"].cpu_seconds > 0
    assert report.stages["assemble"].seconds > 0
    assert (report.label.explicit, report.label.frames) == ("AI生成", 75)
    assert json.loads(report.label.implicit)["ProduceID"] == job.plan.run
    assert {"ffmpeg", "av", "numpy"} <= set(report.versions)


def test_operator_can_switch_the_explicit_label_off(prepared, tmp_path: Path) -> None:
    """Off for a tenant, the report says so, and the implicit label is still written."""
    job = prepared(labels=LabelSettings(tenants={"t": False}))
    job.run()
    assert (job.report().label.explicit, job.report().label.frames) == ("", 0)
    with av.open(str(job.video(tmp_path / "out.mp4"))) as file:
        assert json.loads(file.metadata["AIGC"])["Label"] == "1"


def test_same_run_gives_the_same_bytes(clips, voice: Path, tmp_path: Path) -> None:
    """Made twice in two places, the video is the same to the byte."""
    digests = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        job = prepare(folder, clips["cfr"], voice, Options(), LabelSettings())
        job.run()
        digests.append(job.report().video.sha256)
    assert digests[0] == digests[1]


def test_a_run_that_is_whole_needs_its_inputs_no_more(prepared) -> None:
    """Taken away before the assembly, which reads none of them, they are not missed."""
    job = prepared()
    for index in range(job.plan.segments):
        job.encode.handle(job.patches(index))
    job.store.delete(BUCKETS.input, job.plan.face.key)
    job.encode.handle(job.part(0))
    assert "voice-face.mp4" in job.names(BUCKETS.output)


def test_an_older_runs_error_goes(prepared) -> None:
    """What another run of the same names had to say does not stay beside the video."""
    job = prepared()
    job.store.put(BUCKETS.output, "t/job/voice-face.error.json", b"{}")
    job.run()
    assert job.names(BUCKETS.output) == {"voice-face.mp4", "voice-face.jpg", "voice-face.json"}


def test_later_run_of_the_same_names_is_not_overwritten(prepared) -> None:
    """A run that was planned earlier and ends later leaves the newer video where it is."""
    job = prepared()
    job.run()
    newer = dataclasses.replace(job.report(), planned_at=job.plan.made_at + 1, run="newer")
    job.store.put(BUCKETS.output, "t/job/voice-face.json", documents.dump(newer))
    job.store.put(BUCKETS.output, "t/job/voice-face.mp4", b"the newer video")
    job.store.delete(BUCKETS.work, job.plan.keys.done)
    again = job.encode
    for index in range(job.plan.segments):
        footage = documents.load(
            Footage,
            job.store.get(BUCKETS.work, FootageKeys("t", job.plan.face.digest).document),
        )
        patches = write_patches_file(again.scratch, footage, job.plan.segment(index))
        job.store.put(BUCKETS.work, job.plan.keys.patches(index), patches)
        patches.unlink()
    job.run()
    assert job.store.get(BUCKETS.output, "t/job/voice-face.mp4") == b"the newer video"
    end = documents.load(Superseded, job.store.get(BUCKETS.work, job.plan.keys.superseded))
    assert end.by == newer.run


def measured(job: Job, late: int) -> None:
    """Every segment was measured: a mouth that comes so many frames late."""
    noise = np.random.default_rng(3).normal(size=80 + 2 * FARTHEST)
    heard = np.convolve(noise, np.hanning(9), "same")
    places = np.arange(80) + FARTHEST
    tally = tally_sync(heard[places - late], places, heard) + Tally(
        closures_due=4, closures_made=4, sharpness=9.0, source_sharpness=10.0
    )
    for index in range(job.plan.segments):
        footage = job.encode._footage(job.plan)
        patches = write_patches_file(
            job.encode.scratch, footage, job.plan.segment(index), tally=tally
        )
        job.store.put(BUCKETS.work, job.plan.keys.patches(index), patches)
        patches.unlink()


def test_the_segments_checks_become_the_reports(prepared) -> None:
    """What infer measured of each segment is judged together, and is in the report."""
    job = prepared()
    measured(job, late=0)
    job.run()
    check = job.report().check
    assert (check.verdict, check.why) == ("passed", ())
    assert check.frames == 80 * job.plan.segments
    assert check.r == pytest.approx(1.0)
    assert (check.closures_made, check.closures_due) == (12, 12)
    assert check.sharpness == 0.9


def test_what_was_not_measured_says_so(prepared) -> None:
    """Patches without a measurement are no failure; the report says why there is none."""
    job = prepared()
    job.run()
    check = job.report().check
    assert check.verdict == "unmeasured"
    assert "face mesh" in check.why[0]


def test_a_failed_check_is_reported(prepared) -> None:
    """Without a gate a video out of sync is put out, and its report says `failed`."""
    job = prepared()
    measured(job, late=5)
    job.run()
    check = job.report().check
    assert check.verdict == "failed"
    assert check.lag == pytest.approx(5, abs=0.2)


def test_a_gate_lets_no_failed_video_out(prepared) -> None:
    """With the gate the same run is refused in words, and there is no video at the output."""
    job = prepared()
    job = dataclasses.replace(
        job, encode=dataclasses.replace(job.encode, checks=CheckSettings(gate=True))
    )
    measured(job, late=5)
    with pytest.raises(RejectedInput, match=r"off by \+5") as caught:
        job.run()
    assert caught.value.code is Code.OUT_OF_SYNC
    assert job.names(BUCKETS.output) == set()
    measured(job, late=0)
    for index in range(job.plan.segments):
        job.store.delete(BUCKETS.work, job.plan.keys.part(index))
    job.run()
    assert "voice-face.mp4" in job.names(BUCKETS.output)
