"""Opening media that strangers send: what it is, and its frames as upright pictures.

PyAV reads; protocols and formats are on a whitelist (a playlist would otherwise open other files),
and pictures have a largest size, checked by the decoder and not by the header alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from functions.errors import Code, RejectedInput
from functions.picture import Colour, Picture

MAX_PIXELS = 9_437_184
"""4096 x 2304: the largest picture that is decoded."""

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi,asf,flv,wav,mp3,aac,flac,ogg,aiff,caf,amr,w64"
)
_PICTURES = frozenset((b"heic", b"heix", b"mif1", b"avif"))
"""Brands of still pictures in MP4's boxes (ISO/IEC 23008-12, 10; AV1 Image File Format, 6)."""

_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}

# ITU-T H.273 numbers, as the streams carry them, to the names that ffmpeg takes.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
_PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432"}
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}
_FULL_RANGE = 2


def decoder_version() -> str:
    """What reads the frames; their checksums hold for this."""
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"pyav {av.__version__}, libavcodec {codec}"


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Opens audio or video.

    Raises:
        RejectedInput: `empty_file`; `not_media` where no allowed format fits; `damaged_media` where
            one does at the file's start alone.
    """
    if path.stat().st_size == 0:
        raise RejectedInput(Code.EMPTY_FILE, "The file has no content.")
    brand = _brand(path)
    if brand in _PICTURES:
        # FFmpeg would read it as a video, and of a telephone's picture only one of its tiles.
        raise RejectedInput(Code.NOT_MEDIA, "The file is a HEIC or AVIF picture.")
    try:
        # The name is given whole, so that one that starts with a dash is no option.
        container = av.open(str(path.absolute()), options=_OPEN_OPTIONS, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        if brand:
            what = "The file begins as an MP4 and is damaged, or was cut off on its way."
            raise RejectedInput(Code.DAMAGED_MEDIA, what) from error
        raise RejectedInput(
            Code.NOT_MEDIA, "The file is no audio, video or picture that can be read."
        ) from error
    with container:
        yield container


def _brand(path: Path) -> bytes:
    """What an MP4 or a relative of it says it is; empty for other files (ISO/IEC 14496-12, 4.3)."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[8:] if head[4:8] == b"ftyp" else b""


class VideoFile:
    """A video that is open for reading; made by `open_video`.

    `colour` and `rotation` (degrees clockwise that turned the pictures upright) hold from the first
    picture on; `keyframes`, `packets` and `damaged_packets` grow while it is read from its start.

    Args:
        container: open, with a video stream that is no cover picture.
        stream: that stream.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._size: tuple[int, int] | None = None
        self.colour = Colour()
        self.rotation = 0
        self.keyframes: list[int] = []
        self.damaged_packets = 0
        self.packets = 0

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of a presentation time."""
        return self._stream.time_base or Fraction(1, 1000)

    @property
    def container_name(self) -> str:
        """Such as `mov,mp4,m4a,3gp,3g2,mj2`."""
        return self._container.format.name

    @property
    def nominal_rate(self) -> Fraction:
        """Frames a second as the file states it; 25 where it doesn't."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return rate if rate and rate > 0 else Fraction(25)

    @property
    def stated_seconds(self) -> float:
        """Length as the file states it; 0 where it doesn't."""
        if self._stream.duration:
            return float(self._stream.duration * self.time_base)
        return (self._container.duration or 0) / av.time_base

    @property
    def stated_frames(self) -> int:
        """Frames as the file states them; 0 where it doesn't."""
        return self._stream.frames

    def pictures(self, start_pts: int | None = None) -> Iterator[tuple[int, Picture]]:
        """Decodes, from the keyframe at or before `start_pts` or from the start.

        Yields:
            Presentation time and upright picture; its planes hold until the next step only.
        """
        for frame in self.frames(start_pts):
            if frame.pts is not None:
                yield frame.pts, self._upright(frame)

    def frames(self, start_pts: int | None = None) -> Iterator[VideoFrame]:
        """The same as decoded frames, before they are turned and converted."""
        if start_pts is not None:
            self._container.seek(start_pts, backward=True, stream=self._stream)
        for packet in self._container.demux(self._stream):
            if start_pts is None and packet.pts is not None:
                self.packets += 1
                if packet.is_keyframe:
                    self.keyframes.append(packet.pts)
            try:
                decoded = packet.decode()
            except av.error.InvalidDataError:
                # One bad packet costs its frame; ingest decides when a file is too damaged.
                self.damaged_packets += 1
                continue
            yield from (frame for frame in decoded if isinstance(frame, VideoFrame))

    def _upright(self, frame: VideoFrame) -> Picture:
        if self._size is None:
            self._size = (frame.width, frame.height)
            self.colour, self.rotation = colour_of(frame), rotation_of(frame)
        picture = _planes(frame, self._size)
        turns = rotation_of(frame) // 90
        if turns:
            # np.rot90 turns counter-clockwise.
            planes = (np.rot90(p, -turns) for p in (picture.y, picture.u, picture.v))
            picture = Picture(*planes)
        return picture


@contextmanager
def open_video(path: Path, threads: int = 1) -> Iterator[VideoFile]:
    """Opens a video for reading.

    Raises:
        RejectedInput: it can't be read, holds no video, or its pictures are too large.
    """
    with open_container(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise RejectedInput(Code.NOT_MEDIA, "The file holds no video.")
        context = stream.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise RejectedInput(
                Code.TOO_LARGE, f"The picture is {context.width}x{context.height} pixels."
            )
        # In the options of open() this one would be ignored without a word.
        context.options = {"max_pixels": str(MAX_PIXELS)}
        context.thread_count = threads
        context.thread_type = "FRAME" if threads > 1 else "NONE"
        yield VideoFile(container, stream)


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; the cover picture of a song is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def colour_of(frame: VideoFrame) -> Colour:
    """What the numbers of the frame's planes mean, with the usual guess where it isn't said."""
    name = frame.format.name
    if not _is_yuv(name):
        return Colour("bt709", full_range=False, primaries="bt709", transfer="bt709")
    guess = "bt709" if frame.height >= 720 or frame.width >= 1280 else "bt601"
    return Colour(
        matrix=_MATRICES.get(int(frame.colorspace), guess),  # type: ignore[arg-type]  # the dict's values are the Literal's
        full_range=name.startswith("yuvj") or int(frame.color_range) == _FULL_RANGE,
        primaries=_PRIMARIES.get(int(frame.color_primaries), "unknown"),
        transfer=_TRANSFERS.get(int(frame.color_trc), "unknown"),
    )


def rotation_of(frame: VideoFrame) -> int:
    """Degrees clockwise that turn the frame upright: 0, 90, 180 or 270."""
    # PyAV says how far the picture is turned counter-clockwise for display.
    return round(-frame.rotation / 90) % 4 * 90


def _is_yuv(name: str) -> bool:
    return name.startswith(("yuv", "nv", "p0", "p2", "uyvy", "gray"))


def _planes(frame: VideoFrame, size: tuple[int, int]) -> Picture:
    name = frame.format.name
    if name not in ("yuv420p", "yuvj420p") or (frame.width, frame.height) != size:
        # What `colour_of` says of RGB has to come true here.
        matrix, span = (None, None) if _is_yuv(name) else (Colorspace.ITU709, ColorRange.MPEG)
        # A stream that changes its size goes on at the size that it began with.
        frame = frame.reformat(*size, format="yuv420p", dst_colorspace=matrix, dst_color_range=span)
    # An odd last row or column can't be kept in 4:2:0 video and is left out.
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        for plane in frame.planes
    )
    half = (slice(height // 2), slice(width // 2))
    return Picture(y[:height, :width], u[half], v[half])
