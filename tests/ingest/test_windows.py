from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from functions.analysis import Chunk, Track
from functions.ingest.faces import Face
from functions.ingest.track import TrackSmoother
from functions.ingest.windows import WindowCutter
from functions.lossless import read_frames
from functions.picture import Picture

SIZE = (96, 80)
SHAPE = np.random.default_rng(0).random((468, 2)).astype(np.float32)
SHAPE[:4] = [[0, 0], [1, 0], [0, 1], [1, 1]]

FaceBox = tuple[float, float, float]
"""Left, top and side of a face, pixels."""


def landmarks(box: FaceBox) -> NDArray[np.float32]:
    """(468, 2): points that fill the square."""
    x, y, side = box
    return (SHAPE * side + [x, y]).astype(np.float32)


def is_step(before: FaceBox, box: FaceBox) -> bool:
    """Whether a face can have moved so from one frame to the next, and is not found anew."""
    (x0, y0, side0), (x1, y1, side1) = before, box
    move = np.hypot(x1 + side1 / 2 - x0 - side0 / 2, y1 + side1 / 2 - y0 - side0 / 2)
    return bool(move < 0.35 * side0 and max(side0, side1) < 1.3 * min(side0, side1))


def source(number: int, size: tuple[int, int]) -> Picture:
    """A frame like no other."""
    rng = np.random.default_rng(number)
    width, height = size
    return Picture.unpack(rng.integers(0, 256, (height * 3 // 2, width), np.uint8))


class Collected:
    """What came out: chunks with their windows, bit for bit, and tracks."""

    def __init__(self) -> None:
        self.chunks: list[tuple[Chunk, list[Picture], Track]] = []

    def __call__(self, chunk: Chunk, windows: Path, track: Track) -> None:
        frames = [Picture.unpack(frame) for frame in read_frames(windows.read_bytes(), "yuv420p")]
        self.chunks.append((chunk, frames, track))


def cut(
    scratch: Path,
    boxes: list[FaceBox | None],
    max_frames: int = 50,
    size: tuple[int, int] = SIZE,
) -> list[tuple[Chunk, list[Picture], Track]]:
    """Cuts frames with faces at these places, as ingest does; checks what always holds."""
    sink, smoother = Collected(), TrackSmoother()
    cutter = WindowCutter(size, max_frames, scratch, sink)
    for number, box in enumerate(boxes):
        points = None if box is None else landmarks(box)
        cutter.cut(source(number, size), points)
        before = boxes[number - 1] if number else None
        followed = box is not None and before is not None and is_step(before, box)
        face = None if points is None else Face((0, 0, 1, 1), points, 1.0, followed)
        for entry in smoother.push(face):
            cutter.track(entry)
    for entry in smoother.flush():
        cutter.track(entry)
    cutter.finish()
    assert cutter.chunks == [chunk for chunk, _, _ in sink.chunks]
    check(sink, boxes, max_frames, size)
    assert list(scratch.iterdir()) == [], "no file is left behind"
    return sink.chunks


def check(
    sink: Collected, boxes: list[FaceBox | None], max_frames: int, size: tuple[int, int]
) -> None:
    covered: set[int] = set()
    for index, (chunk, windows, track) in enumerate(sink.chunks):
        frames = range(chunk.first, chunk.first + chunk.count)
        assert chunk.index == index
        assert 1 <= chunk.count <= max_frames
        assert not covered & set(frames)
        covered |= set(frames)
        assert len(windows) == chunk.count
        assert track.landmarks.shape == (chunk.count, 468, 2)
        assert track.confidence.shape == (chunk.count,)
        assert track.origins.shape == (chunk.count, 2)
        for row, number in enumerate(frames):
            check_window(chunk, windows[row], track, row, source(number, size))
    faces = {number for number, box in enumerate(boxes) if box is not None}
    assert faces <= covered, "every face has a window"


def check_window(chunk: Chunk, window: Picture, track: Track, row: int, frame: Picture) -> None:
    x, y = map(int, track.origins[row])
    assert x % 2 == y % 2 == chunk.width % 2 == chunk.height % 2 == 0
    assert 0 <= x <= frame.width - chunk.width
    assert 0 <= y <= frame.height - chunk.height
    assert np.array_equal(window.packed(), frame.cut(x, y, chunk.width, chunk.height).packed())
    if track.confidence[row] > 0:
        seen = np.clip(track.landmarks[row], 0, [frame.width - 1, frame.height - 1])
        assert (seen >= [x, y]).all()
        assert (seen <= [x + chunk.width - 1, y + chunk.height - 1]).all()


@st.composite
def walks(draw: st.DrawFn) -> list[FaceBox | None]:
    """Faces that appear, wander, grow, jump and are lost."""
    boxes: list[FaceBox | None] = []
    for _ in range(draw(st.integers(1, 4))):
        x, y = draw(st.floats(-10, 90)), draw(st.floats(-10, 70))
        side = draw(st.floats(8, 120))
        dx, dy, growth = (draw(st.floats(-3, 3)) for _ in range(3))
        for step in range(draw(st.integers(1, 12))):
            if draw(st.integers(0, 4)) == 0:
                boxes.append(None)
            else:
                boxes.append((x + dx * step, y + dy * step, max(8.0, side + growth * step)))
    return boxes


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(walks(), st.integers(1, 12))
def test_any_walk(tmp_path: Path, boxes: list[FaceBox | None], max_frames: int) -> None:
    """Windows are the source's own pixels, with the whole face inside, however it moves."""
    cut(tmp_path, boxes, max_frames)


def test_a_lost_face_that_left_its_window_is_not_touched(tmp_path: Path) -> None:
    """A window waits for a lost face; where the face turns out to have gone is not in it."""
    boxes: list[FaceBox | None] = [(7.5, 0.0, 19.0), None, (13.5, 0.0, 23.0)]
    chunks = cut(tmp_path, boxes)
    confidence = np.concatenate([track.confidence for _, _, track in chunks])
    assert (confidence > 0).tolist() == [True, False, True]


def test_a_still_face_has_a_still_window(tmp_path: Path) -> None:
    """While the face moves only a little, the window stays where it is, with room around it."""
    boxes = [(30 + 0.3 * (i % 4), 25.0, 20.0) for i in range(20)]
    ((chunk, _, track),) = cut(tmp_path, boxes)
    assert (chunk.first, chunk.count) == (0, 20)
    assert len(np.unique(track.origins, axis=0)) == 1
    assert 20 < chunk.width < 60


def test_chunks_are_bounded(tmp_path: Path) -> None:
    """A long shot becomes chunks of at most the asked number of frames, without a gap."""
    chunks = cut(tmp_path, [(30.0, 25.0, 20.0)] * 23, max_frames=10)
    assert [(chunk.first, chunk.count) for chunk, _, _ in chunks] == [(0, 10), (10, 10), (20, 3)]


def test_chunks_are_bounded_in_bytes(tmp_path: Path) -> None:
    """Chunks of large faces hold fewer frames, so that nobody has to hold hundreds of megabytes."""
    size = (4096, 2304)
    sink = Collected()
    cutter = WindowCutter(size, 50, tmp_path, sink)
    points = landmarks((800.0, 100.0, 2100.0))
    blank = Picture.unpack(np.zeros((size[1] * 3 // 2, size[0]), np.uint8))
    smoother = TrackSmoother()
    for _ in range(6):
        cutter.cut(blank, points)
        for entry in smoother.push(Face((0, 0, 1, 1), points, 1.0, True)):
            cutter.track(entry)
    for entry in smoother.flush():
        cutter.track(entry)
    cutter.finish()
    assert len(sink.chunks) > 1
    for chunk, _, _ in sink.chunks:
        assert chunk.count * chunk.width * chunk.height * 3 // 2 <= 64 << 20


def test_a_late_face_begins_a_chunk(tmp_path: Path) -> None:
    """Frames before the first face and after the last one have no window."""
    boxes: list[FaceBox | None] = [None] * 7 + [(30.0, 25.0, 20.0)] * 5 + [None] * 40
    ((chunk, _, track),) = cut(tmp_path, boxes, max_frames=20)
    assert chunk.first == 7
    assert 5 <= chunk.count < 20
    assert (track.confidence[:5] == 1).all()
    assert (track.confidence[5:] == 0).all()


def test_a_short_loss_is_bridged(tmp_path: Path) -> None:
    """A face that is lost for three frames keeps its window and its place in between."""
    boxes: list[FaceBox | None] = [(30.0, 25.0, 20.0)] * 12
    boxes[5:8] = [None] * 3
    ((chunk, _, track),) = cut(tmp_path, boxes)
    assert chunk.count == 12
    assert (track.confidence > 0).all()
    assert (track.confidence[5:8] < 1).all()


def test_a_growing_face_gets_a_larger_window(tmp_path: Path) -> None:
    """A face that comes nearer outgrows its window and gets another, up to the whole picture."""
    boxes = [(48 - side / 2, 40 - side / 2, side) for side in np.linspace(10, 120, 40)]
    chunks = cut(tmp_path, [tuple(map(float, box)) for box in boxes])  # type: ignore[misc]
    widths = [chunk.width for chunk, _, _ in chunks]
    assert widths == sorted(widths)
    assert len(widths) > 2
    last = chunks[-1][0]
    assert (last.width, last.height) == SIZE


def test_a_shrinking_face_gets_a_smaller_window(tmp_path: Path) -> None:
    """A face that goes away doesn't drag a large window along."""
    boxes: list[FaceBox | None] = [(20.0, 15.0, 50.0)] * 4 + [(40.0, 35.0, 12.0)] * 4
    chunks = cut(tmp_path, boxes)
    assert len(chunks) == 2
    assert chunks[1][0].width < chunks[0][0].width / 1.6


def test_a_face_that_jumps_is_followed(tmp_path: Path) -> None:
    """A face that is elsewhere in the next frame is in that frame's window."""
    boxes: list[FaceBox | None] = [(5.0, 5.0, 20.0), (70.0, 50.0, 20.0)] * 5
    (_, _, track), *_ = cut(tmp_path, boxes)
    assert len(np.unique(track.origins, axis=0)) == 2


@pytest.mark.parametrize("size", [(16, 16), (34, 46), (2, 2)])
def test_small_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    """Where the picture is hardly larger than the face, the window is the picture."""
    side = float(min(size))
    ((chunk, _, _),) = cut(tmp_path, [(0.0, 0.0, side)] * 3, size=size)
    assert (chunk.width, chunk.height) == size


def test_no_face_no_windows(tmp_path: Path) -> None:
    """Footage without a face leaves nothing."""
    assert cut(tmp_path, [None] * 9) == []
