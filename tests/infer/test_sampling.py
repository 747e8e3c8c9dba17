from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import pytest

from functions.check import FARTHEST, aperture
from functions.infer.backends import OnnxRuntime
from functions.infer.ear import BLOCK, CONTEXT, Ear
from functions.infer.family import FootageReader, Patch, Span
from functions.infer.geometry import Surveyor, chunk_of
from functions.infer.manifest import Crop
from functions.infer.sampling import Meter, Watch
from functions.ingest.face_models import FaceModels
from functions.patches import Mask
from functions.picture import Colour, crop_rgb, rgb_to_yuv
from functions.plans import source_frames

CROP = Crop(256, 1.85, 0.78)
COLOUR = Colour("bt601")


@dataclass(frozen=True)
class Loudness:
    """An ear's graph that opens the mouth as loud as it hears, and closes it when all is quiet."""

    backend: str = "test"

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        loud = inputs["mel"][0, 0, :, CONTEXT : CONTEXT + BLOCK].mean(axis=0) / 8 + 0.5
        mouth = np.zeros((1, 4, BLOCK), np.float32)
        mouth[0, 0], mouth[0, 2] = loud, loud < 0.3
        return [mouth]


@pytest.fixture(scope="module")
def meter(face_models: FaceModels) -> Meter:
    return Meter(OnnxRuntime().load(face_models.mesh), Ear(Loudness()))


def patches(footage: FootageReader, span: Span, blur: float = 0.0) -> Iterator[Patch]:
    """The source's own mouths, as they are or blurred."""
    surveyor = Surveyor(footage, CROP)
    for frame in span.shown:
        chunk = chunk_of(footage.footage, frame)
        assert chunk is not None
        geometry, place = surveyor.survey(chunk), frame - chunk.first
        affine = geometry.affine[place].astype(np.float64)
        affine[:, 2] += affine[:, :2] @ geometry.origins[place]
        window = next(iter(footage.windows(chunk, [frame])))
        rgb = crop_rgb(window, affine.astype(np.float32), CROP.size, COLOUR)
        if blur:
            rgb = np.stack([cv2.GaussianBlur(plane, (0, 0), blur) for plane in rgb])
        yield Patch(rgb_to_yuv(rgb, COLOUR), geometry.affine[place], float(geometry.opacity[place]))


def watched(meter: Meter, footage, voice, frames: int, blur: float = 0.0) -> Watch:
    """A watch that has seen all of a segment's patches."""
    shown = tuple(source_frames(range(frames), footage.footage.frames, "pingpong"))
    span = Span(0, frames, Fraction(25), shown)
    watch = meter.watch(footage, voice, span, Mask())
    seen = list(watch.look(patches(watch.footage, span, blur)))
    assert len(seen) == frames
    return watch


def test_the_sources_own_mouth_is_measured(meter, studio, recording) -> None:
    """Laid back where it came from, the mouth has the source's aperture, light and sharpness."""
    footage = studio([30, 30])
    tally = watched(meter, footage, recording(60 / 25), 60).tally()
    assert 9 <= tally.frames <= 15
    own = aperture(footage.tracks[0].landmarks)
    assert tally.seen / tally.frames == pytest.approx(own.mean(), abs=0.015)
    assert tally.sharpness / tally.source_sharpness == pytest.approx(1, abs=0.2)
    assert tally.flicker / tally.source_flicker == pytest.approx(1, abs=0.2)
    assert len(tally.both) == 2 * FARTHEST + 1


def test_a_blurred_mouth_is_seen(meter, studio, recording) -> None:
    """Patches that lost their detail are found to have lost it."""
    footage, voice = studio([30, 30]), recording(60 / 25)
    sharp, soft = (watched(meter, footage, voice, 60, blur).tally() for blur in (0, 4))
    assert soft.sharpness < 0.5 * sharp.sharpness
    assert soft.source_sharpness == sharp.source_sharpness


def test_closures_are_looked_at(meter, studio, recording) -> None:
    """Where the voice closes the lips the frames are measured; a smile with teeth made none."""
    watch = watched(meter, studio([40]), recording(40 / 25), 40)
    tally = watch.tally()
    assert tally.closures_due == len(watch.due) > 0
    assert tally.closures_made == 0


def test_hidden_mouths_are_left_out(meter, studio, recording) -> None:
    """Frames whose patch is faded or absent are not measured."""
    whole = watched(meter, studio([40]), recording(40 / 25), 40).tally()
    some = watched(meter, studio([40], faceless=[7]), recording(40 / 25), 40).tally()
    assert 0 < some.frames < whole.frames


def test_few_windows_are_read_for_it(meter, studio, recording) -> None:
    """What the model reads anyway is kept: nothing is read a second time."""
    footage = studio([60])
    watched(meter, footage, recording(60 / 25), 60).tally()
    assert sorted(footage.decoded) == list(range(60))


@pytest.mark.parametrize("frames", [1, 2, 3, 9])
def test_short_segments_are_no_error(meter, studio, recording, frames: int) -> None:
    """A last segment may have hardly any frames."""
    tally = watched(meter, studio([12]), recording(1.0), frames).tally()
    assert tally.frames <= frames


def test_the_voice_is_heard_whatever_the_segment(meter, studio, recording) -> None:
    """Two segments' sums are those of the same frames in one, as far as the same were looked at."""
    footage, voice = studio([40]), recording(40 / 25)
    shown = tuple(source_frames(range(40), 40, "pingpong"))
    whole = meter.watch(footage, voice, Span(0, 40, Fraction(25), shown), Mask())
    later = meter.watch(footage, voice, Span(20, 40, Fraction(25), shown[20:]), Mask())
    assert np.array_equal(whole.heard[20:], later.heard)
