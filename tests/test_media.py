import subprocess
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from functions.errors import Code, RejectedInput
from functions.ffmpeg_program import ffmpeg_path
from functions.media import (
    VideoFile,
    open_container,
    open_video,
    video_stream,
)
from functions.picture import Picture, whole_rgb
from functions.stills import is_portrait

Ffmpeg = Callable[..., Path]
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def source(size: str = "160x90", seconds: float = 1, rate: str = "25") -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}")


@pytest.fixture(scope="module")
def plain(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of 160 x 90 at 25 frames a second, H.264 in MP4."""
    return ffmpeg(*source(), *X264, "-bf", 2, tmp_path_factory.mktemp("plain") / "plain.mp4")


def raw(path: Path, pixel_format: str = "yuv420p", *filters: str) -> bytes:
    """What the ffmpeg program itself decodes, turned upright."""
    chosen = ("-vf", ",".join(filters)) if filters else ()
    command = [
        *(ffmpeg_path(), "-nostdin", "-v", "error", "-i", str(path), *chosen),
        *("-fps_mode", "passthrough", "-pix_fmt", pixel_format, "-f", "rawvideo", "-"),
    ]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def pictures(path: Path) -> tuple[VideoFile, list[tuple[int, NDArray[np.uint8]]]]:
    with open_video(path) as video:
        return video, [(pts, picture.packed()) for pts, picture in video.pictures()]


def refusal(path: Path) -> Code:
    """Why `open_container`, or reading all frames after it, refuses."""
    with pytest.raises(RejectedInput) as caught, open_container(path):
        pass
    assert not is_portrait(path)
    return caught.value.code


# Files that make careless readers open other files or addresses.
PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{other}\n#EXT-X-ENDLIST\n",
    "hls-master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:9/x.m3u8\n",
    "ffconcat": "ffconcat version 1.0\nfile {name}\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="1" bandwidth="1"><BaseURL>{name}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "pls": "[playlist]\nFile1={other}\nNumberOfEntries=1\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{other}"/></svg>',
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_not_followed(plain: Path, tmp_path: Path, kind: str) -> None:
    """A list of other files, whatever it is called, is no media."""
    other = tmp_path / "other.mp4"
    other.write_bytes(plain.read_bytes())
    path = tmp_path / "innocent.mp4"
    path.write_text(PLAYLISTS[kind].format(other=other, name=other.name))
    assert refusal(path) is Code.NOT_MEDIA


def test_empty_files(tmp_path: Path) -> None:
    """A file without content is told from one with the wrong content."""
    path = tmp_path / "empty.mp4"
    path.touch()
    assert refusal(path) is Code.EMPTY_FILE


def test_telephones_pictures_are_no_videos(tmp_path: Path) -> None:
    """A picture in MP4's boxes is refused by what it is, and not taken for a video of one frame."""
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), "red").save(path, "AVIF")
    with pytest.raises(RejectedInput, match="HEIC or AVIF") as caught, open_container(path):
        pass
    assert caught.value.code is Code.NOT_MEDIA
    assert not is_portrait(path)


@pytest.mark.parametrize("name", ["text.mp4", "-i.mp4", "file:x.mp4", "a%03d.png", "口播 a+b.wav"])
def test_text_is_no_media(tmp_path: Path, name: str) -> None:
    """Text stays text under any name, also one that could be an option or a pattern."""
    path = tmp_path / name
    path.write_text("hello, this is a text\n" * 100)
    assert refusal(path) is Code.NOT_MEDIA


@pytest.mark.parametrize(
    "name", ["-i.mp4", "file:x.mp4", "a%03d.mp4", "concat:a|b.mp4", "口播 #1.mp4"]
)
def test_names_mean_nothing(plain: Path, tmp_path: Path, name: str) -> None:
    """A video is read under any name, also one that ffmpeg could take for something else."""
    path = tmp_path / name
    path.write_bytes(plain.read_bytes())
    assert len(pictures(path)[1]) == 25


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
def test_random_bytes_are_refused_or_read(tmp_path: Path, content: bytes) -> None:
    """Random bytes are refused; what happens to be taken for media has no frames and no crash."""
    path = tmp_path / "random.mp4"
    path.write_bytes(content)
    with suppress(RejectedInput):
        assert pictures(path)[1] == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_survived(plain: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Bytes changed or cut off anywhere never do more than cost frames or the file."""
    content = bytearray(plain.read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        _, frames = pictures(path)
    except RejectedInput:
        return
    assert len(frames) <= 30
    assert all(frame.shape == frames[0][1].shape for _, frame in frames)


def test_missing_index_is_refused(plain: Path, tmp_path: Path) -> None:
    """An upload that broke off before the index at the file's end is told from what is no media."""
    path = tmp_path / "half.mp4"
    content = plain.read_bytes()
    assert content.index(b"moov") > len(content) // 2
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path) is Code.DAMAGED_MEDIA


def test_frames_and_times(plain: Path) -> None:
    """Frames are the decoder's own, bit for bit, with times in order and the keyframes' among."""
    video, frames = pictures(plain)
    assert b"".join(frame.tobytes() for _, frame in frames) == raw(plain)
    times = [pts for pts, _ in frames]
    assert times == sorted(set(times))
    assert (times[1] - times[0]) * video.time_base == Fraction(1, 25)
    assert set(video.keyframes) <= set(times)
    assert (video.packets, video.damaged_packets) == (25, 0)
    assert video.nominal_rate == 25
    assert video.stated_frames == 25
    assert video.stated_seconds == pytest.approx(1, abs=0.1)


def test_seeking_starts_at_a_keyframe_before(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """From any time on, decoding starts no later than there, with the same pictures."""
    path = ffmpeg(*source(seconds=2), *X264, "-g", 10, "-bf", 2, tmp_path / "groups.mp4")
    whole = dict(pictures(path)[1])
    for start in sorted(whole)[::7]:
        with open_video(path) as video:
            part = [(pts, picture.packed()) for pts, picture in video.pictures(start)]
        assert part[0][0] <= start
        assert all(np.array_equal(frame, whole[pts]) for pts, frame in part)
        assert len(part) >= sum(pts >= start for pts in whole)


@pytest.mark.parametrize("angle", [90, 180, 270])
@pytest.mark.parametrize("size", ["160x90", "162x94"])
def test_rotation_is_ffmpegs_own(ffmpeg: Ffmpeg, tmp_path: Path, angle: int, size: str) -> None:
    """A phone's turned video comes out upright, pixel for pixel as the ffmpeg program turns it."""
    still = ffmpeg(*source(size), *X264, tmp_path / "still.mp4")
    path = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", angle, "-i", still, "-c", "copy", path)
    video, frames = pictures(path)
    width, height = map(int, size.split("x"))
    wanted = (width, height) if angle == 180 else (height, width)
    picture = Picture.unpack(frames[0][1])
    assert (picture.width, picture.height) == wanted
    assert (video.rotation + angle) % 360 == 0
    assert b"".join(frame.tobytes() for _, frame in frames) == raw(path)


def test_odd_sizes_lose_their_last_line(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """An odd last row or column is left out, and the other pixels stay what they are."""
    # The test source itself would make the size even.
    odd = ("-vf", "format=yuv444p,crop=161:91:0:0:exact=1")
    path = ffmpeg(*source("176x96"), *odd, *X264[:4], tmp_path / "odd.mkv")
    _, frames = pictures(path)
    picture = Picture.unpack(frames[0][1])
    assert (picture.width, picture.height) == (160, 90)
    luma = np.frombuffer(raw(path, "yuv444p"), np.uint8)[: 161 * 91].reshape(91, 161)
    assert np.array_equal(picture.y, luma[:90, :160])


@pytest.mark.parametrize(
    ("pixel_format", "codec"),
    [
        ("yuv444p", "libx264"),
        ("yuv422p", "libx264"),
        ("yuv420p10le", "libx264"),
        ("yuvj420p", "mjpeg"),
        ("yuvj444p", "mjpeg"),
        ("yuva444p10le", "prores_ks"),
        ("rgb24", "png"),
        ("gray", "ffv1"),
    ],
)
def test_other_pixel_formats(ffmpeg: Ffmpeg, tmp_path: Path, pixel_format: str, codec: str) -> None:
    """Other samplings, depths and ranges keep their look: RGB differs little from ffmpeg's own."""
    path = tmp_path / "other.mkv"
    # Soft, since hard edges of colour differ by how chroma is scaled, which is not the point.
    soft = ("-vf", "gblur=sigma=6", "-pix_fmt", pixel_format, "-q:v", 2)
    ffmpeg(*source("128x96", 0.2), *soft, "-c:v", codec, path)
    with open_video(path) as video:
        seen = [whole_rgb(picture, video.colour) for _, picture in video.pictures()]
    wanted = np.frombuffer(raw(path, "rgb24"), np.uint8).reshape(len(seen), 96, 128, 3)
    assert np.abs(np.stack(seen).astype(int) - wanted).mean() < 2.5


@pytest.mark.parametrize("name", ["bt709", "smpte170m", "bt2020nc"])
def test_colour_tags_are_read(ffmpeg: Ffmpeg, tmp_path: Path, name: str) -> None:
    """What the stream says about its colours is what the pictures are read with."""
    tags = f"setparams=range=pc:colorspace={name}:color_primaries=bt709:color_trc=bt709"
    path = ffmpeg(*source(seconds=0.2), "-vf", tags, *X264, tmp_path / "tagged.mp4")
    colour = pictures(path)[0].colour
    known = {"bt709": "bt709", "smpte170m": "bt601", "bt2020nc": "bt2020"}
    assert colour.matrix == known[name]
    assert colour.full_range
    assert (colour.primaries, colour.transfer) == ("bt709", "bt709")


def test_colours_are_guessed_by_size(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Without tags, large pictures are taken for BT.709 and small ones for BT.601."""
    small = ffmpeg(*source("160x90", 0.1), *X264, tmp_path / "small.mp4")
    large = ffmpeg(*source("1280x720", 0.1), *X264, tmp_path / "large.mp4")
    assert pictures(small)[0].colour.matrix == "bt601"
    assert pictures(large)[0].colour.matrix == "bt709"
    assert not pictures(small)[0].colour.full_range


def test_pictures_beyond_the_limit_are_refused(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A small file of huge pictures is refused before one of them is decoded."""
    black = ("-f", "lavfi", "-i", "color=size=8192x4320:rate=1:duration=1")
    path = ffmpeg(*black, *X264, tmp_path / "bomb.mp4")
    with pytest.raises(RejectedInput) as caught, open_video(path):
        pass
    assert caught.value.code is Code.TOO_LARGE


def test_a_change_of_size_goes_on_at_the_first(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A stream whose pictures change their size midway keeps the size that it began with."""
    parts = [
        ffmpeg(*source(size, 0.4), *X264, "-f", "mpegts", tmp_path / f"{size}.ts")
        for size in ("160x90", "320x180")
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    _, frames = pictures(path)
    assert len(frames) >= 18
    assert {frame.shape for _, frame in frames} == {(135, 160)}


def test_cover_art_is_no_video(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A song with a cover picture is sound."""
    cover = tmp_path / "cover.png"
    Image.new("RGB", (64, 64), "red").save(cover)
    sound = ("-f", "lavfi", "-i", "sine=duration=1")
    song = ffmpeg(
        *(*sound, "-i", cover, "-map", 0, "-map", 1, "-c:v", "copy"),
        *("-disposition:v", "attached_pic", tmp_path / "song.mp3"),
    )
    with open_container(song) as container:
        assert len(container.streams.video) == 1
        assert video_stream(container) is None
    with pytest.raises(RejectedInput) as caught, open_video(song):
        pass
    assert caught.value.code is Code.NOT_MEDIA
