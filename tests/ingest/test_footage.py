from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from demo import sample_face
from functions.analysis import Chunk, Footage, FrameMap, Track, checksum
from functions.errors import Code, RejectedInput
from functions.ingest.faces import FaceFinder
from functions.ingest.footage import FootageLimits, analyse_portrait, analyse_video
from functions.lossless import read_frames
from functions.media import open_video
from functions.picture import Picture
from functions.progress import silent
from functions.stills import read_portrait

Ffmpeg = Callable[..., Path]
LIMITS = FootageLimits(
    max_seconds=60, max_rate=60, min_face_share=0.5, chunk_seconds=0.4, threads=1
)
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@dataclass
class Kept:
    """What ingest would put into the store."""

    chunks: list[tuple[Chunk, list[Picture], Track]] = field(default_factory=list)
    maps: list[FrameMap] = field(default_factory=list)
    posters: list[bytes] = field(default_factory=list)

    def chunk(self, chunk: Chunk, windows: Path, track: Track) -> None:
        frames = [Picture.unpack(frame) for frame in read_frames(windows.read_bytes(), "yuv420p")]
        self.chunks.append((chunk, frames, track))

    def frames(self, frames: FrameMap) -> None:
        self.maps.append(frames)

    def poster(self, jpeg: bytes) -> None:
        self.posters.append(jpeg)


def analyse(
    path: Path, finder: FaceFinder, scratch: Path, limits: FootageLimits = LIMITS
) -> tuple[Footage, Kept]:
    kept = Kept()
    footage = analyse_video(
        path,
        "ab" * 32,
        finder=finder,
        limits=limits,
        keeper=kept,
        scratch=scratch,
        progress=silent,
    )
    return footage, kept


def upright(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of the video, turned upright, packed."""
    with open_video(path) as video:
        return [picture.packed() for _, picture in video.pictures()]


def check(footage: Footage, kept: Kept, frames: list[NDArray[np.uint8]]) -> None:
    """What holds for every analysis: the map and the windows are the source's own pixels."""
    (mapped,) = kept.maps
    assert len(mapped.pts) == len(mapped.checksums) == footage.frames == len(frames)
    pictures = [Picture.unpack(frame) for frame in frames]
    assert (pictures[0].width, pictures[0].height) == (footage.width, footage.height)
    assert mapped.checksums.tolist() == [checksum(picture) for picture in pictures]
    assert tuple(chunk for chunk, _, _ in kept.chunks) == footage.chunks
    for chunk, windows, track in kept.chunks:
        for row, window in enumerate(windows):
            x, y = map(int, track.origins[row])
            wanted = pictures[chunk.first + row].cut(x, y, chunk.width, chunk.height)
            assert np.array_equal(window.packed(), wanted.packed())
            assert (track.landmarks[row] >= [x, y]).all()
            assert (track.landmarks[row] <= [x + chunk.width, y + chunk.height]).all()
    (poster,) = kept.posters
    with Image.open(BytesIO(poster)) as image:
        assert image.size == (footage.width, footage.height)


def test_a_clip(face_clip: Path, finder: FaceFinder, tmp_path: Path) -> None:
    """A clip's every frame has a face, in windows that are the source's pixels bit for bit."""
    footage, kept = analyse(face_clip, finder, tmp_path)
    check(footage, kept, upright(face_clip))
    assert (footage.kind, footage.rate, footage.frames) == ("video", 25, 25)
    assert footage.faces == 25
    assert [chunk.count for chunk in footage.chunks] == [10, 10, 5]
    assert all((track.confidence > 0.5).all() for _, _, track in kept.chunks)
    assert footage.chunks[0].width < footage.width
    assert list(tmp_path.iterdir()) == []


def test_a_turned_clip(face_clip: Path, ffmpeg: Ffmpeg, finder: FaceFinder, tmp_path: Path) -> None:
    """A phone's turned clip is analysed upright, as if it had been recorded so."""
    path, scratch = tmp_path / "turned.mp4", tmp_path / "scratch"
    sideways = ffmpeg("-i", face_clip, "-vf", "transpose=clock", *X264, tmp_path / "side.mp4")
    ffmpeg("-display_rotation", 90, "-i", sideways, "-c", "copy", path)
    scratch.mkdir()
    footage, kept = analyse(path, finder, scratch)
    check(footage, kept, upright(path))
    assert (footage.width, footage.height, footage.rotation) == (320, 240, 270)
    assert footage.faces == 25


def test_an_uneven_clip(
    face_clip: Path, ffmpeg: Ffmpeg, finder: FaceFinder, tmp_path: Path
) -> None:
    """Uneven frames are shown at their times: the clip stays as long as it was."""
    path, scratch = tmp_path / "uneven.mkv", tmp_path / "scratch"
    thinned = "select='not(eq(mod(n,4),1)+eq(mod(n,7),3))'"
    ffmpeg("-i", face_clip, "-vf", thinned, "-fps_mode", "vfr", *X264, path)
    scratch.mkdir()
    footage, kept = analyse(path, finder, scratch)
    frames = upright(path)
    assert len(frames) < 20
    (mapped,) = kept.maps
    times = sorted(set(mapped.pts.tolist()))
    shown = [frames[times.index(pts)] for pts in mapped.pts.tolist()]
    check(footage, kept, shown)
    base = Fraction(*map(int, mapped.time_base))
    length = (times[-1] - times[0]) * base
    assert abs((footage.frames - 1) / footage.rate - length) <= 1 / (2 * footage.rate)


def test_fast_footage_is_halved(ffmpeg: Ffmpeg, finder: FaceFinder, tmp_path: Path) -> None:
    """Footage above the highest rate shows every second frame, and its last."""
    path, scratch = tmp_path / "fast.mp4", tmp_path / "scratch"
    sample_face.clip(path, 0.4, (320, 240), rate=50)
    scratch.mkdir()
    limits = FootageLimits(60, 30, 0.5, 8, 1)
    footage, kept = analyse(path, finder, scratch, limits)
    frames = upright(path)
    assert (footage.rate, len(frames)) == (25, 20)
    # The last one is shown in any case.
    check(footage, kept, [*frames[::2], frames[-1]])


def test_some_frames_without_a_face(
    face_clip: Path, ffmpeg: Ffmpeg, finder: FaceFinder, tmp_path: Path
) -> None:
    """A face that is away for a while is no refusal; those frames have no confidence."""
    path, scratch = tmp_path / "away.mp4", tmp_path / "scratch"
    ffmpeg("-i", face_clip, "-vf", "drawbox=t=fill:enable='between(n,8,16)'", *X264, path)
    scratch.mkdir()
    footage, kept = analyse(path, finder, scratch)
    check(footage, kept, upright(path))
    assert footage.faces == 16
    seen = np.zeros(25)
    for chunk, _, track in kept.chunks:
        seen[chunk.first : chunk.first + chunk.count] = track.confidence
    assert (seen[:8] > 0).all()
    assert (seen[8:17] == 0).all()
    assert (seen[17:] > 0).all()


@pytest.mark.parametrize(
    ("frames", "said"), [("0", "No face was found"), ("lt(n,9)", "9 of 25 frames")]
)
def test_too_few_faces_are_refused(
    face_clip: Path, ffmpeg: Ffmpeg, finder: FaceFinder, tmp_path: Path, frames: str, said: str
) -> None:
    """Footage without a face, or with one in too few frames, is refused and says how many."""
    path, scratch = tmp_path / "faceless.mp4", tmp_path / "scratch"
    ffmpeg("-i", face_clip, "-vf", f"drawbox=t=fill:enable='not({frames})'", *X264, path)
    scratch.mkdir()
    with pytest.raises(RejectedInput, match=said) as caught:
        analyse(path, finder, scratch)
    assert caught.value.code is Code.NO_FACE


def test_long_footage_is_refused_by_what_it_states(
    face_clip: Path, finder: FaceFinder, tmp_path: Path
) -> None:
    """A file that says it is too long is refused before it is decoded."""
    with pytest.raises(RejectedInput) as caught:
        analyse(face_clip, finder, tmp_path, FootageLimits(0.5, 60, 0.5, 8, 1))
    assert caught.value.code is Code.TOO_LONG
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_a_gap_of_hours_is_refused(
    face_clip: Path, ffmpeg: Ffmpeg, finder: FaceFinder, tmp_path: Path
) -> None:
    """A time stamp hours ahead, in a small file that states no length, costs no hours of work."""
    path, scratch = tmp_path / "gap.mkv", tmp_path / "scratch"
    jump = "setpts='if(lt(N,12),PTS,PTS+20*3600/TB)'"
    ffmpeg("-i", face_clip, "-vf", jump, "-fps_mode", "passthrough", *X264, "-live", 1, path)
    with open_video(path) as video:
        assert video.stated_seconds == 0
    scratch.mkdir()
    with pytest.raises(RejectedInput) as caught:
        analyse(path, finder, scratch, FootageLimits(2 * 3600, 60, 0.5, 8, 1))
    assert caught.value.code is Code.TOO_LONG


def test_a_cut_off_upload_is_refused(
    ffmpeg: Ffmpeg, face_clip: Path, finder: FaceFinder, tmp_path: Path
) -> None:
    """A copy that broke off, with its index at the front, holds fewer frames than it lists."""
    path, scratch = tmp_path / "cut.mp4", tmp_path / "scratch"
    ffmpeg("-i", face_clip, "-c", "copy", "-movflags", "+faststart", path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    scratch.mkdir()
    with pytest.raises(RejectedInput) as caught:
        analyse(path, finder, scratch)
    assert caught.value.code is Code.DAMAGED_MEDIA


def test_a_portrait(face_portrait: Path, finder: FaceFinder, tmp_path: Path) -> None:
    """A portrait is footage of one frame, with a face, a window and a poster."""
    kept = Kept()
    footage = analyse_portrait(
        face_portrait, "cd" * 32, finder=finder, keeper=kept, scratch=tmp_path
    )
    check(footage, kept, [read_portrait(face_portrait).packed()])
    assert (footage.kind, footage.frames, footage.faces) == ("portrait", 1, 1)
    assert (footage.width, footage.height) == (512, 512)
    landmarks = kept.chunks[0][2].landmarks[0]
    assert np.abs(landmarks.mean(axis=0) - sample_face.FACE).max() < 30


def test_a_portrait_without_a_face(finder: FaceFinder, tmp_path: Path) -> None:
    """A picture of nothing is refused, and leaves nothing."""
    path, scratch, kept = tmp_path / "wall.png", tmp_path / "scratch", Kept()
    Image.new("RGB", (200, 200), "grey").save(path)
    scratch.mkdir()
    with pytest.raises(RejectedInput) as caught:
        analyse_portrait(path, "cd" * 32, finder=finder, keeper=kept, scratch=scratch)
    assert caught.value.code is Code.NO_FACE
    assert (kept.chunks, kept.maps, kept.posters) == ([], [], [])
