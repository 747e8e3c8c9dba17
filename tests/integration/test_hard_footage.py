"""Footage and portraits that are not what the model is made for: each is used well, or refused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from demo import sample_face
from functions.analysis import Chunk, Footage, FrameMap, Track
from functions.errors import Code, RejectedInput
from functions.ingest.face_models import FaceModels
from functions.ingest.faces import FaceFinder
from functions.ingest.footage import FootageLimits, analyse_portrait, analyse_video
from functions.media import open_video
from functions.picture import whole_rgb
from functions.progress import silent

from ..ingest.occluders import hand
from .in_process import build

Rgb = NDArray[np.uint8]
Ffmpeg = Callable[..., Path]
LIMITS = FootageLimits(60, 60, 0.5, 4, 1)
SIZE = (480, 270)
EYES = 66.0 / 306 * SIZE[1]  # pixels between the outer eye corners in the clip


@dataclass
class Tracks:
    """A keeper of the tracks alone."""

    found: list[tuple[Chunk, Track]] = field(default_factory=list)

    def chunk(self, chunk: Chunk, windows: Path, track: Track) -> None:
        self.found.append((chunk, track))

    def frames(self, frames: FrameMap) -> None:
        pass

    def poster(self, jpeg: bytes) -> None:
        pass

    def confidence(self, frames: int) -> NDArray[np.float32]:
        """By frame of the footage."""
        whole = np.zeros(frames, np.float32)
        for chunk, track in self.found:
            whole[chunk.first : chunk.first + chunk.count] = track.confidence
        return whole

    def middle(self) -> NDArray[np.float32]:
        """Where the first frame's face is."""
        return self.found[0][1].landmarks[0].mean(axis=0)


Look = Callable[[Rgb], tuple[Footage, Tracks]]


@pytest.fixture
def portrait(finder: FaceFinder, tmp_path: Path) -> Look:
    """Analyses a picture."""

    def look(rgb: Rgb) -> tuple[Footage, Tracks]:
        path, kept = tmp_path / "portrait.png", Tracks()
        Image.fromarray(rgb).save(path)
        footage = analyse_portrait(path, "ab" * 32, finder=finder, keeper=kept, scratch=tmp_path)
        return footage, kept

    return look


@pytest.fixture
def video(finder: FaceFinder, ffmpeg: Ffmpeg, tmp_path: Path) -> Callable[..., object]:
    """Analyses a clip of these pictures."""

    def look(frames: Iterator[Rgb]) -> tuple[Footage, Tracks]:
        pictures, scratch = tmp_path / "frames", tmp_path / "scratch"
        pictures.mkdir()
        scratch.mkdir()
        for index, rgb in enumerate(frames):
            Image.fromarray(rgb).save(pictures / f"{index:04d}.png")
        rate = ("-framerate", 25, "-i", pictures / "%04d.png")
        path = ffmpeg(*rate, "-pix_fmt", "yuv420p", "-crf", 16, tmp_path / "clip.mp4")
        kept = Tracks()
        footage = analyse_video(
            path,
            "ab" * 32,
            finder=finder,
            limits=LIMITS,
            keeper=kept,
            scratch=scratch,
            progress=silent,
        )
        return footage, kept

    return look


def cartoon() -> Rgb:
    """A yellow disc with two dots and a curve."""
    rgb = np.full((400, 400, 3), 255, np.uint8)
    cv2.circle(rgb, (200, 200), 150, (255, 220, 60), cv2.FILLED, cv2.LINE_AA)
    for x in (150, 250):
        cv2.circle(rgb, (x, 160), 18, (30, 30, 30), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(rgb, (200, 220), (80, 60), 0, 20, 160, (120, 30, 30), 8, cv2.LINE_AA)
    return rgb


def statue(astronaut: Rgb) -> Rgb:
    """The photograph as if carved of grey stone."""
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY).astype(np.float32)
    carved = cv2.bilateralFilter(grey, 9, 40, 5) * 0.5 + 110
    grain = np.random.default_rng(1).normal(0, 4, grey.shape)
    return np.repeat(np.clip(carved + grain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("name", ["animal", "cartoon", "wall"])
def test_no_human_face_is_refused_in_words(name: str, portrait: Look) -> None:
    """A cat, a smiley and a wall have no mouth that we could move: `no_face`, not a guess."""
    rgb = {
        "animal": skimage.data.chelsea()[:300, :450],
        "cartoon": cartoon(),
        "wall": np.full((240, 320, 3), 140, np.uint8),
    }[name]
    with pytest.raises(RejectedInput) as caught:
        portrait(np.ascontiguousarray(rgb))
    assert caught.value.code is Code.NO_FACE


def test_a_statue_may_speak(portrait: Look, astronaut: Rgb) -> None:
    """A face of stone is a face: found, and where it is."""
    footage, kept = portrait(statue(astronaut))
    assert footage.faces == 1
    assert np.abs(kept.middle() - sample_face.FACE).max() < 30


def test_of_five_faces_the_largest_speaks(portrait: Look, astronaut: Rgb) -> None:
    """A group picture is no refusal, and no mouth but the largest face's is touched."""
    wall = np.full((360, 1280, 3), 130, np.uint8)
    for place, side in enumerate((150, 160, 250, 170, 150)):
        head = cv2.resize(astronaut[:256, 96:352], (side, side), interpolation=cv2.INTER_AREA)
        x = 10 + 250 * place
        wall[60 : 60 + side, x : x + side] = head
    footage, kept = portrait(wall)
    assert footage.faces == 1
    assert 510 < kept.middle()[0] < 760


def test_a_small_face_in_a_wide_picture(portrait: Look, astronaut: Rgb) -> None:
    """A presenter far away, a thirtieth of the picture's width, is found."""
    wall = np.full((1080, 1920, 3), 130, np.uint8)
    wall[500:640, 1200:1340] = cv2.resize(
        astronaut[:256, 96:352], (140, 140), interpolation=cv2.INTER_AREA
    )
    footage, kept = portrait(wall)
    assert footage.faces == 1
    assert np.abs(kept.middle() - [1270, 566]).max() < 25


def test_cuts_and_inserted_slides(video: Look) -> None:
    """A slide in the middle passes through; the face before and after it speaks."""

    def frames() -> Iterator[Rgb]:
        slide = np.full((SIZE[1], SIZE[0], 3), 240, np.uint8)
        cv2.putText(slide, "Agenda", (60, 140), cv2.FONT_HERSHEY_SIMPLEX, 2, (20, 20, 90), 3)
        for index, frame in enumerate(sample_face.frames(60, SIZE, 25)):
            yield slide if 20 <= index < 32 else frame

    footage, kept = video(frames())
    confidence = kept.confidence(footage.frames)
    assert footage.faces == 48
    assert (confidence[20:32] == 0).all()
    assert (confidence[:20] > 0.5).all()
    assert (confidence[32:] > 0.5).all()


def test_a_microphone_that_comes_and_goes(video: Look) -> None:
    """Frames in which something is before the mouth pass through, and the footage says how many."""

    def frames() -> Iterator[Rgb]:
        for index, frame in enumerate(sample_face.frames(90, SIZE, 25)):
            if 40 <= index < 60:
                x, y = 243, 148
                cv2.circle(frame, (x, y + 4), 18, (45, 45, 48), cv2.FILLED, cv2.LINE_AA)
                cv2.rectangle(frame, (x - 4, y + 18), (x + 4, 270), (30, 30, 30), cv2.FILLED)
            yield frame

    footage, kept = video(frames())
    confidence = kept.confidence(footage.frames)
    assert footage.faces == 90
    assert 18 <= footage.hidden <= 26
    assert (confidence[41:59] == 0).all()
    assert (confidence[:37] > 0).all()
    assert (confidence[63:] > 0).all()


def test_a_hand_that_comes_and_goes(video: Look) -> None:
    """A hand with the face's own skin, fingers spread, moving: nothing is painted on it."""

    def frames() -> Iterator[Rgb]:
        for index, frame in enumerate(sample_face.frames(90, SIZE, 25)):
            at = (243.0 + 3 * np.sin(index / 3), 148.0 + 3 * np.cos(index / 2))
            yield hand(frame, at, EYES) if 40 <= index < 60 else frame

    footage, kept = video(frames())
    confidence = kept.confidence(footage.frames)
    assert (confidence[41:59] == 0).all()
    assert (confidence[:37] > 0).all()
    assert (confidence[63:] > 0).all()


def test_a_face_that_leaves_the_picture_and_comes_back(video: Look) -> None:
    """While it is away frames pass through; within half a second of its return it speaks."""

    def frames() -> Iterator[Rgb]:
        for index, frame in enumerate(sample_face.frames(80, SIZE, 25)):
            away = np.clip(min(index - 20, 60 - index) / 10, 0, 1)
            yield np.roll(np.pad(frame, ((0, 0), (0, 480), (0, 0)), "edge"), round(400 * away), 1)[
                :, :480
            ]

    footage, kept = video(frames())
    confidence = kept.confidence(footage.frames)
    assert (confidence[:20] > 0.5).all()
    assert (confidence[32:48] == 0).all()
    assert (confidence[72:] > 0.5).all()


def test_dark_footage(video: Look) -> None:
    """A face in a tenth of the light, with a camera's noise, is found and followed."""
    noise = np.random.default_rng(3)

    def frames() -> Iterator[Rgb]:
        for frame in sample_face.frames(50, SIZE, 25):
            dark = frame * 0.1 + noise.normal(4, 1.5, frame.shape)
            yield np.clip(np.rint(dark), 0, 255).astype(np.uint8)

    footage, kept = video(frames())
    assert footage.faces == 50
    assert footage.hidden == 0
    assert np.abs(kept.middle() - [240, 124]).max() < 20


@pytest.mark.parametrize("edge", ["left", "bottom"])
def test_a_face_at_the_border(
    edge: str,
    astronaut: Rgb,
    face_models: FaceModels,
    short_voice: Path,
    ffmpeg: Ffmpeg,
    tmp_path: Path,
) -> None:
    """A face that the picture's edge cuts off speaks, and the edge stays as light as it was."""
    cut = {"left": astronaut[:300, 186:486], "bottom": astronaut[:170, 100:400]}[edge]
    size = (cut.shape[1] * 2, cut.shape[0] * 2)
    face = tmp_path / "face.png"
    Image.fromarray(cv2.resize(cut, size, interpolation=cv2.INTER_CUBIC)).save(face)
    chain = build(tmp_path / "data", face_models)
    made = chain.video(chain.make("job", short_voice, face))
    before = strip(np.asarray(Image.open(face)), edge)
    with open_video(made) as file:
        shown = [whole_rgb(picture, file.colour) for _, picture in file.pictures()]
    assert len(shown) > 50
    for frame in shown[::5]:
        after = strip(frame, edge)
        # Black would be darker than the source by a hundred grey levels.
        darker = cv2.blur(before.astype(np.float32) - after, (9, 1) if edge == "bottom" else (1, 9))
        assert darker.max() < 45


def strip(rgb: Rgb, edge: str) -> Rgb:
    """The outermost three pixels of an edge, as far as they are skin beside the mouth."""
    return rgb[-3:] if edge == "bottom" else rgb[200:330, :3]
