"""Clips made by ffmpeg's test source, what a whole pass over them shows, and patches for them."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from functions.analysis import Footage, FrameMap, checksum, content_digest
from functions.check import Tally
from functions.ffmpeg_program import ffmpeg_path
from functions.ingest.constant_rate import at_constant_rate, choose_rate
from functions.lossless import FrameWriter
from functions.media import (
    colour_of,
    decoder_version,
    open_video,
)
from functions.patches import (
    GraphRuns,
    Header,
    Mask,
    Patches,
    Placement,
    Served,
    write_patches,
)
from functions.picture import Picture, Plane
from functions.process import Limits, run_supervised
from functions.stills import PORTRAIT_COLOUR, read_portrait

LIMITS = Limits(seconds=120)


@dataclass(frozen=True, eq=False)
class Clip:
    """A video, its analysis, and its upright frames at the constant rate, packed."""

    path: Path
    footage: Footage
    frame_map: FrameMap
    frames: list[Plane]


def run_ffmpeg(*arguments: object) -> None:
    command = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    run_supervised(command, limits=LIMITS)


def analyse(path: Path) -> Clip:
    """What ingest would write, but for the face."""
    pts, frames = [], []
    with open_video(path) as video:
        rate = choose_rate(video.nominal_rate, 60)
        colour = None
        shown = ((f.pts, f) for f in video.frames())
        for time, frame, times in at_constant_rate(shown, video.time_base, rate):
            colour = colour or colour_of(frame)
            pts += [time] * times
            frames += [video._upright(frame).packed()] * times
        assert colour is not None
        keyframes, base, container = video.keyframes, video.time_base, video.container_name
    frame_map = FrameMap(
        np.array(pts, np.int64),
        np.array([checksum(Picture.unpack(frame)) for frame in frames], np.uint32),
        np.array(sorted(keyframes), np.int64),
        np.array([base.numerator, base.denominator], np.int64),
    )
    first = Picture.unpack(frames[0])
    footage = Footage(
        digest=content_digest("0" * 64),
        sha256="0" * 64,
        kind="video",
        width=first.width,
        height=first.height,
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        frames=len(frames),
        colour=colour,
        rotation=0,
        faces=len(frames),
        chunks=(),
        poster_frame=0,
        container=container,
        decoder=decoder_version(),
    )
    return Clip(path, footage, frame_map, frames)


X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def make(path: Path, rate: str, seconds: float, *options: object, size: str = "160x90") -> Path:
    source = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
    run_ffmpeg("-f", "lavfi", "-i", source, *options, path)
    return path


def rotate(path: Path, to: Path) -> Path:
    """The same MP4, told to be shown a quarter turn further, as telephones do."""
    data = bytearray(path.read_bytes())
    # The matrix stands 40 bytes into the track header (ISO/IEC 14496-12, 8.3.2).
    place = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    data[place : place + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    to.write_bytes(data)
    return to


def portrait(path: Path) -> Clip:
    """A portrait, as ingest would describe it."""
    noise = np.random.default_rng(1).integers(0, 255, (8, 12, 3), np.uint8)
    Image.fromarray(noise).resize((121, 90)).save(path)
    picture = read_portrait(path)
    frame_map = FrameMap(
        np.zeros(1, np.int64),
        np.array([checksum(picture)], np.uint32),
        np.zeros(1, np.int64),
        np.ones(2, np.int64),
    )
    footage = Footage(
        digest=content_digest("0" * 64),
        sha256="0" * 64,
        kind="portrait",
        width=picture.width,
        height=picture.height,
        rate_numerator=1,
        rate_denominator=1,
        frames=1,
        colour=PORTRAIT_COLOUR,
        rotation=0,
        faces=1,
        chunks=(),
        poster_frame=0,
        container="picture",
        decoder=decoder_version(),
    )
    return Clip(path, footage, frame_map, [picture.packed()])


CPU = "onnxruntime/CPUExecutionProvider"
LOST = GraphRuns("mouth", "torch/npu:0", "fp16", 4, 1, 0.125, "device-lost", "code is 507901")
SERVED = Served("viseme 1", "Apache-2.0", CPU, 0.5, 0.25)
STAND_IN = Served(
    *("viseme 1", "Apache-2.0", CPU, 0.5, 0.25), attempts=(LOST,), instead_of="wav2lip 1"
)
OWN = Served("wav2lip 1", "mine", "torch/npu:0", 0.5, 0.25)


def write_patches_file(
    folder: Path, footage: Footage, span: range, tally: Tally | None = None
) -> Path:
    """Noise on the left of the picture for each frame; every fifth has no face."""
    size, count = 32, len(span)
    video, path = folder / "patches.avi", folder / "patches.zip"
    random = np.random.default_rng(span.start)
    with FrameWriter(video, "yuv444p", size, size) as writer:
        for _ in span:
            writer.write(random.integers(40, 200, (3, size, size), np.uint8))
    affine = np.zeros((count, 2, 3), np.float32)
    affine[:, 0, 0] = affine[:, 1, 1] = 0.7
    # The patch's corner moves about the picture, partly out of it.
    affine[:, 0, 2] = np.linspace(8, -20, count)
    affine[:, 1, 2] = -footage.height * 0.7 + 40
    opacity = np.where(np.arange(count) % 5 == 4, 0, 0.9).astype(np.float32)
    header = Header(span.start, span.stop, size, Mask(), SERVED, tally)
    write_patches(path, header, Placement(affine, opacity), video)
    video.unlink()
    return path


def make_patches(folder: Path, footage: Footage, span: range) -> Patches:
    path = write_patches_file(folder, footage, span)
    patches = Patches.load(path.read_bytes())
    path.unlink()
    return patches
