"""Which lossless codec keeps face windows best: `python -m bench.window_codecs [VIDEO]`.

Cuts windows out of a video (the demonstration's clip by default) and writes and reads them with
each candidate: bytes, and processor milliseconds a frame, in one thread.
"""

import io
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from numpy.typing import NDArray

from demo.sample_face import clip
from functions.media import open_video

CANDIDATES: dict[str, tuple[str, dict[str, str]]] = {
    "x264 qp 0 ultrafast": ("libx264", {"preset": "ultrafast", "qp": "0", "g": "25"}),
    "x264 qp 0 veryfast": ("libx264", {"preset": "veryfast", "qp": "0", "g": "25"}),
    "FFV1 level 3": ("ffv1", {"level": "3", "g": "25"}),
    "Ut Video left": ("utvideo", {"pred": "left"}),
    "Ut Video median": ("utvideo", {"pred": "median"}),
    "HuffYUV": ("ffvhuff", {}),
}
FRAMES = 200

Frames = list[NDArray[np.uint8]]


def main(video: Path | None) -> None:
    """Prints a line for each codec and window size."""
    with TemporaryDirectory() as folder:
        path = video or clip(Path(folder) / "clip.mp4", 8, (1920, 1080))
        for side in (384, 640):
            frames = _windows(path, side)
            for name, (codec, options) in CANDIDATES.items():
                print(f"{side} px, {name:<20}", _try(frames, codec, options))


def _windows(path: Path, side: int) -> Frames:
    with open_video(path) as opened:
        frames: Frames = []
        for _, picture in opened.pictures():
            x = (picture.width - side) // 4 * 2
            y = (picture.height - side) // 8 * 2
            frames.append(picture.cut(x, y, side, side).packed())
            if len(frames) == FRAMES:
                break
    return frames


def _try(frames: Frames, codec: str, options: dict[str, str]) -> str:
    began = time.process_time()
    data = _write(frames, codec, options)
    written = time.process_time()
    with av.open(io.BytesIO(data), "r") as container:
        container.streams.video[0].thread_count = 1
        back = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    read = time.process_time()
    if not all(np.array_equal(a, b) for a, b in zip(frames, back, strict=True)):
        return "is not lossless"
    count = len(frames)
    return (
        f"write {(written - began) / count * 1e3:5.2f} ms, "
        f"read {(read - written) / count * 1e3:5.2f} ms, {len(data) / count / 1e3:6.1f} kB"
    )


def _write(frames: Frames, codec: str, options: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="nut") as container:
        stream = container.add_stream(codec, rate=25, options={**options, "threads": "1"})
        stream.height, stream.width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
        stream.pix_fmt = "yuv420p"
        for index, planes in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
