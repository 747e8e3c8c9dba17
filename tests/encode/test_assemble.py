import json
import shutil
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

from functions.encode.assemble import assemble, poster
from functions.encode.label import implicit_label
from functions.encode.segment import VideoFormat, encode_segment
from functions.errors import RetryableError
from functions.picture import Colour

from .clips import LIMITS

METADATA = {"title": "口播 a=b", "AIGC": implicit_label("Koubo", "run-1")}


def make_parts(folder: Path, video: VideoFormat, lengths: list[int]) -> list[Path]:
    random = np.random.default_rng(0)
    parts = []
    noise = random.integers(60, 200, (video.height * 3 // 2, video.width), np.uint8)
    shift = 0
    for index, length in enumerate(lengths):
        frames = []
        for _ in range(length):
            frames.append(np.roll(noise, shift, axis=1).tobytes())
            shift += 1
        part = folder / f"{index:04d}.mp4"
        encode_segment(frames, length, part, video, limits=LIMITS)
        parts.append(part)
    return parts


def hashes(path: Path) -> list[str]:
    with av.open(str(path)) as file:
        return [sha256(f.to_ndarray().tobytes()).hexdigest() for f in file.decode(video=0)]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
def test_parts_join_without_a_seam(rate: Fraction, voice: Path, tmp_path: Path) -> None:
    """No frame is lost or changed at a border, and all come at exactly the constant rate."""
    video = VideoFormat(64, 48, rate, Colour(), "speed")
    total = round(Fraction(73, 10) * rate)
    lengths = [8] * (total // 8) + [total % 8]
    assert 0 not in lengths
    parts = make_parts(tmp_path, video, lengths)
    joined = tmp_path / "video.mp4"
    assemble(parts, voice, joined, video, frames=total, metadata=METADATA, limits=LIMITS)
    assert hashes(joined) == [each for part in parts for each in hashes(part)]
    with av.open(str(joined)) as file:
        frames = list(file.decode(video=0))
        assert [f.pts * frames[0].time_base for f in frames] == [k / rate for k in range(total)]
        assert file.streams[0].type == "video"


@pytest.mark.parametrize("lengths", [[1], [8, 1], [8, 8, 2], [8, 3], [4, 4, 4, 1]])
def test_short_last_parts_join(lengths: list[int], voice: Path, tmp_path: Path) -> None:
    """A last segment of one frame, or a video of one, is as exact as any."""
    video = VideoFormat(64, 48, Fraction(30000, 1001), Colour(), "standard")
    parts = make_parts(tmp_path, video, lengths)
    joined, total = tmp_path / "video.mp4", sum(lengths)
    assemble(parts, voice, joined, video, frames=total, metadata=METADATA, limits=LIMITS)
    assert hashes(joined) == [each for part in parts for each in hashes(part)]


def test_voice_is_muxed_whole_and_once(voice: Path, tmp_path: Path) -> None:
    """The sound's packets are the voice's own, from time 0, as long as the video to a frame."""
    video = VideoFormat(64, 48, Fraction(25), Colour(), "speed")
    total = round(7.3 * 25)
    parts = make_parts(tmp_path, video, [100, total - 100])
    joined = tmp_path / "video.mp4"
    assemble(parts, voice, joined, video, frames=total, metadata=METADATA, limits=LIMITS)

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as file:
            return [bytes(packet) for packet in file.demux(audio=0) if packet.size]

    assert packets(joined) == packets(voice)
    with av.open(str(joined)) as file, av.open(str(voice)) as alone:
        sound, pictures = file.streams.audio[0], file.streams.video[0]
        assert sound.start_time == alone.streams.audio[0].start_time
        assert pictures.start_time == 0
        lasts = float(sound.duration * sound.time_base)
        assert abs(lasts - total / 25) <= 1 / 25 + 1024 / 48000


def test_metadata_carries_the_label(voice: Path, tmp_path: Path) -> None:
    """The `AIGC` item comes back as JSON from the file, which streams from its first bytes."""
    video = VideoFormat(64, 48, Fraction(25), Colour(), "speed")
    parts = make_parts(tmp_path, video, [10])
    joined = tmp_path / "video.mp4"
    assemble(parts, voice, joined, video, frames=10, metadata=METADATA, limits=LIMITS)
    with av.open(str(joined)) as file:
        assert file.metadata["title"] == "口播 a=b"
        assert json.loads(file.metadata["AIGC"])["ProduceID"] == "run-1"
    head = joined.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")


def test_missing_frame_is_noticed(voice: Path, tmp_path: Path) -> None:
    """A video with another number of frames than planned is no result."""
    video = VideoFormat(64, 48, Fraction(25), Colour(), "speed")
    parts = make_parts(tmp_path, video, [10, 9])
    with pytest.raises(RetryableError, match="19 frames, not 20"):
        assemble(parts, voice, tmp_path / "v.mp4", video, frames=20, metadata={}, limits=LIMITS)


def test_parts_of_another_encoder_are_noticed(voice: Path, tmp_path: Path) -> None:
    """Parts with other codec parameters would decode to rubbish; they are refused by name."""
    other = tmp_path / "other"
    other.mkdir()
    video = VideoFormat(64, 48, Fraction(25), Colour(), "speed")
    parts = make_parts(tmp_path, video, [10, 10])
    [odd] = make_parts(other, VideoFormat(80, 48, Fraction(25), Colour(), "speed"), [10])
    shutil.move(odd, parts[1])
    with pytest.raises(RetryableError, match=r"0001\.mp4 was encoded with other parameters"):
        assemble(parts, voice, tmp_path / "v.mp4", video, frames=20, metadata={}, limits=LIMITS)


def test_poster_is_the_frame_asked_for(clips, tmp_path: Path) -> None:
    """The poster shows the frame in its own colours, and a frame that is not there is an error."""
    import cv2

    clip = clips["cfr"]
    image = cv2.imdecode(np.frombuffer(poster(clip.path, 30), np.uint8), cv2.IMREAD_GRAYSCALE)
    luma = clip.frames[30][: clip.footage.height]
    # JPEG's luma is full range, the clip's is not.
    expected = (luma.astype(float) - 16) * 255 / 219
    assert np.abs(image - expected).mean() < 8
    with pytest.raises(RetryableError, match="no frame 1000"):
        poster(clip.path, 1000)
