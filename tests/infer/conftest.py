"""Footage as ingest leaves it, made of a photograph whose landmarks are known."""

import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from functions import documents, runs
from functions.analysis import Chunk, Footage, Track, Voice
from functions.infer.backends import Graph, OnnxRuntime
from functions.infer.interior import Interior
from functions.infer.manifest import Manifest, find_model
from functions.infer.mouth import LANDMARKS, crop_affine, crop_landmarks
from functions.input_keys import Group
from functions.layout import FootageKeys, VoiceKeys
from functions.lossless import SUFFIX, FrameWriter
from functions.options import Options
from functions.picture import Colour, Picture
from functions.plans import Model, Plan, Source
from functions.settings import BucketSettings
from functions.storage import Store

POINTS = Path(__file__).parents[1] / "fixtures" / "astronaut_landmarks.npy"
SIZE = (448, 448)
WINDOW = (240, 260)


@dataclass(frozen=True)
class Shot:
    """One frame of made-up footage."""

    picture: Picture
    landmarks: np.ndarray


@cache
def shoot(index: int, kind: str = "video") -> Shot:
    """The astronaut, upright in frame 0 and then swaying, with her landmarks."""
    angle, zoom = 4 * np.sin(index / 5), 1.25 + 0.05 * np.sin(index / 7)
    still = kind == "portrait"
    matrix = cv2.getRotationMatrix2D((224.0, 120.0), 0 if still else angle, 1.25 if still else zoom)
    matrix[:, 2] += (0, 100) if still else (3 * np.sin(index / 3), 100)
    rgb = cv2.warpAffine(astronaut(), matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
    picture = Picture.unpack(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420))
    points = np.load(POINTS) @ matrix[:, :2].T + matrix[:, 2]
    return Shot(picture, points.astype(np.float32))


@dataclass
class Studio:
    """A footage in memory, which is also its own reader and keeps count of what is read.

    Args:
        footage: its document.
        shots: every frame.
        tracks: by chunk.
        decoded: footage frames whose windows were read, in order.
        shelf: what models keep beside the windows, by name.
    """

    footage: Footage
    shots: list[Shot]
    tracks: list[Track]
    decoded: list[int] = field(default_factory=list)
    shelf: dict[str, bytes] = field(default_factory=dict)

    def track(self, chunk: Chunk) -> Track:
        return self.tracks[chunk.index]

    def windows(self, chunk: Chunk, frames: Sequence[int]) -> Iterator[Picture]:
        for frame in frames:
            self.decoded.append(frame)
            yield self.window(chunk, frame)

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        if name not in self.shelf:
            self.shelf[name] = make()
        return self.shelf[name]

    def window(self, chunk: Chunk, frame: int) -> Picture:
        x, y = self.tracks[chunk.index].origins[frame - chunk.first]
        return self.shots[frame].picture.cut(int(x), int(y), chunk.width, chunk.height)

    def store(self, store: Store, bucket: str, scratch: Path) -> FootageKeys:
        """Puts the footage into a store as ingest does."""
        keys = FootageKeys("default", self.footage.digest)
        for chunk in self.footage.chunks:
            path = scratch / f"{chunk.index}{SUFFIX}"
            with FrameWriter(path, "yuv420p", chunk.width, chunk.height) as writer:
                for frame in range(chunk.first, chunk.first + chunk.count):
                    writer.write(self.window(chunk, frame).packed())
            store.put(bucket, keys.window(chunk.index), path)
            store.put(bucket, keys.track(chunk.index), self.tracks[chunk.index].dump())
        store.put(bucket, keys.document, documents.dump(self.footage))
        return keys


def make_studio(
    chunks: Sequence[int], *, faceless: Sequence[int] = (), kind: str = "video", gap: int = 0
) -> Studio:
    """Footage with chunks of so many frames, `gap` frames without windows between them."""
    shots, tracks, described = [], [], []
    for index, count in enumerate(chunks):
        if index:
            shots += [shoot(len(shots) + n, kind) for n in range(gap)]
        first = len(shots)
        new = [shoot(first + n, kind) for n in range(count)]
        shots += new
        corner = np.array([104, 90]) + 2 * index
        tracks.append(
            Track(
                np.stack([shot.landmarks for shot in new]),
                np.array([first + n not in faceless for n in range(count)], np.float32),
                np.tile(corner.astype(np.int32), (count, 1)),
            )
        )
        described.append(Chunk(index, first, count, *WINDOW))
    footage = Footage(
        digest="f" * 32 + "-1",
        sha256="f" * 64,
        kind=kind,  # type: ignore[arg-type]
        width=SIZE[0],
        height=SIZE[1],
        rate_numerator=25,
        rate_denominator=1,
        frames=len(shots),
        colour=Colour("bt601"),
        rotation=0,
        faces=len(shots) - len(faceless),
        chunks=tuple(described),
        poster_frame=0,
        container="mov",
        decoder="test",
    )
    return Studio(footage, shots, tracks)


@dataclass(frozen=True)
class Recording:
    """A voice in memory, which is also its own reader."""

    sound: np.ndarray
    level: float = 0.1

    def samples(self, first: int, last: int) -> np.ndarray:
        return self.sound[max(first, 0) : max(last, 0)]

    def store(self, store: Store, bucket: str) -> VoiceKeys:
        """Puts the voice into a store as ingest does."""
        digest = "a" * 32 + "-1"
        keys = VoiceKeys("default", digest)
        voice = Voice(digest, "a" * 64, len(self.sound) / 16000, self.level, "wav")
        data = BytesIO()
        with wave.open(data, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes((self.sound * 32767).astype("<i2").tobytes())
        store.put(bucket, keys.samples, data.getvalue())
        store.put(bucket, keys.document, documents.dump(voice))
        return keys


def make_recording(seconds: float) -> Recording:
    """Something that swells and fades three times a second, as speech does."""
    t = np.arange(int(seconds * 16000)) / 16000
    tone = sum(np.sin(2 * np.pi * pitch * t) for pitch in (140, 700, 1220, 2600))
    return Recording((0.05 * tone * (1 + np.sin(2 * np.pi * 3 * t))).astype(np.float32))


@pytest.fixture(scope="session")
def studio() -> Callable[..., Studio]:
    return make_studio


@pytest.fixture(scope="session")
def recording() -> Callable[[float], Recording]:
    return make_recording


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return find_model("viseme", "1")


@pytest.fixture(scope="session")
def graph(manifest: Manifest) -> Graph:
    return OnnxRuntime().load(manifest.folder / "ear.onnx")


@pytest.fixture(scope="session")
def interior(manifest: Manifest) -> Interior:
    return Interior.load(manifest.file("interior.png"))


@pytest.fixture(scope="session")
def smile() -> np.ndarray:
    """(K, 2) landmarks of the astronaut's smile in the crop; her teeth show."""
    lm = shoot(0).landmarks[None]
    affine = crop_affine(lm, 256, 1.85, 0.78)
    return crop_landmarks(lm[:, LANDMARKS], affine, 256)[0]


@pytest.fixture(scope="session")
def noise() -> Callable[[int], np.ndarray]:
    """(size, size, 3) pixels that are smooth and everywhere different."""

    def make(size: int) -> np.ndarray:
        coarse = np.random.default_rng(7).integers(0, 256, (12, 12, 3), np.uint8)
        return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)

    return make


@pytest.fixture
def plan(store, studio, recording, tmp_path):
    """A run of 30 frames in segments of 12, planned, on footage of 10 frames."""
    bucket = BucketSettings().work
    voice = recording(30 / 25).store(store, bucket)
    footage = studio([4, 6], faceless=[1]).store(store, bucket, tmp_path)
    made = Plan(
        run="r" * 20,
        group=Group("default", "job"),
        made_at=1.0,
        voice=Source("default/job/v.wav", "a" * 64, voice.digest),
        face=Source("default/job/f.mp4", "f" * 64, footage.digest),
        model=Model("viseme", "1"),
        options=Options(),
        seconds=30 / 25,
        rate_numerator=25,
        rate_denominator=1,
        frames=30,
        segment_frames=12,
        output="v-f",
    )
    return runs.start(store, bucket, made)


@pytest.fixture
def store():
    return Store.memory()
