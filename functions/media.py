"""Opening media that strangers send: what it is, and its frames as upright pictures.

PyAV reads; protocols and formats are on a whitelist (a playlist would otherwise open other files),
and pictures have a largest size, checked by the decoder and not by the header alone.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image, ImageOps, UnidentifiedImageError

from functions.errors import Code, RejectedInput
from functions.picture import Colour, Picture, Plane, rgb_to_yuv

MAX_PIXELS = 9_437_184
"""4096 x 2304: the largest picture that is decoded."""

PORTRAIT_SIDE = 1920
"""A portrait's longer side after scaling down, pixels: it becomes video of that size."""

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi,asf,flv,wav,mp3,aac,flac,ogg,aiff,caf,amr,w64"
)
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
_PORTRAITS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp"}

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
        RejectedInput: `empty_file`, or `not_media` where no allowed format fits.
    """
    if path.stat().st_size == 0:
        raise RejectedInput(Code.EMPTY_FILE, "The file has no content.")
    try:
        # The name is given whole, so that one that starts with a dash is no option.
        container = av.open(str(path.absolute()), options=_OPEN_OPTIONS, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise RejectedInput(
            Code.NOT_MEDIA, "The file is no audio, video or picture that can be read."
        ) from error
    with container:
        yield container


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


def read_portrait(path: Path) -> Picture:
    """A portrait as the picture that its video will show: upright, scaled, even-sized.

    Transparent parts become white. The colours are BT.709 in video range.

    Raises:
        RejectedInput: `not_media`, `damaged_media` or `too_large`.
    """
    with _open_image(path) as image:
        if image.width * image.height > 8 * MAX_PIXELS:
            raise RejectedInput(
                Code.TOO_LARGE, f"The picture is {image.width}x{image.height} pixels."
            )
        try:
            image.draft("RGB", (PORTRAIT_SIDE, PORTRAIT_SIDE))
            upright = _in_8_bits(ImageOps.exif_transpose(image)).convert("RGBA")
        except (OSError, SyntaxError, ValueError) as error:
            raise RejectedInput(
                Code.DAMAGED_MEDIA, "The picture can't be read to its end."
            ) from error
    canvas = Image.new("RGBA", upright.size, "white")
    canvas.alpha_composite(upright)
    scale = min(1.0, PORTRAIT_SIDE / max(canvas.size))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in canvas.size)
    rgb = canvas.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return _from_rgb(np.asarray(rgb))


def _in_8_bits(image: Image.Image) -> Image.Image:
    """The same picture; Pillow would cut 16-bit grey off at 255 and make it white."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def is_portrait(path: Path) -> bool:
    """Whether the content, not the name, is a picture of a kind that counts as a portrait."""
    try:
        with _open_image(path):
            return True
    except RejectedInput:
        return False


PORTRAIT_COLOUR = Colour("bt709", full_range=False, primaries="bt709", transfer="bt709")


@dataclass(frozen=True)
class Jpeg:
    """Writes pictures as JPEG."""

    quality: int = 88

    def encode(self, rgb: Plane) -> bytes:
        """(H, W, 3) uint8 RGB to a JPEG file's bytes."""
        out = io.BytesIO()
        Image.fromarray(rgb).save(out, "JPEG", quality=self.quality)
        return out.getvalue()


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    try:
        image = Image.open(path, formats=tuple(_PORTRAITS))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise RejectedInput(Code.NOT_MEDIA, "The file is no picture that can be read.") from error
    with image:
        yield image


def _from_rgb(rgb: Plane) -> Picture:
    scaled = rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    y, u, v = rgb_to_yuv(scaled, PORTRAIT_COLOUR)

    def halve(plane: Plane) -> Plane:
        height, width = plane.shape
        quads = plane.reshape(height // 2, 2, width // 2, 2).astype(np.float32)
        mean: Plane = np.rint(np.mean(quads, axis=(1, 3))).astype(np.uint8)
        return mean

    return Picture(y, halve(u), halve(v))


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
