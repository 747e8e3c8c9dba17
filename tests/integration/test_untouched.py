"""Before the encoder gets them, pixels outside the mask and the label are the source's own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from demo import sample_face
from functions import documents
from functions.analysis import Footage, FrameMap
from functions.encode import handler as encode_handler
from functions.encode.composite import touched
from functions.encode.label import render_label
from functions.encode.settings import LabelSettings
from functions.ffmpeg_program import ffmpeg_path
from functions.ingest.face_models import FaceModels
from functions.layout import FootageKeys
from functions.patches import Patches
from functions.picture import Picture
from functions.plans import Plan, source_frames
from functions.process import Limits, run_supervised
from functions.stills import read_portrait

from .in_process import BUCKETS, TENANT, Chain, build

Frames = list[NDArray[np.uint8]]
Ffmpeg = Callable[..., Path]
SIZE = (320, 240)


@dataclass
class Tap:
    """Stands before the encoder: keeps each frame that goes in, and the patches on it.

    Args:
        frames: packed, in the order in which they came.
        patches: of each segment.
    """

    frames: Frames = field(default_factory=list)
    patches: list[Patches] = field(default_factory=list)

    def attach(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compose = encode_handler.compose

        def tapped(
            pictures: Iterable[Picture], patches: Patches, *rest: Any
        ) -> Iterator[memoryview]:
            self.patches.append(patches)
            for frame in compose(pictures, patches, *rest):
                self.frames.append(np.frombuffer(frame, np.uint8).copy())
                yield frame

        monkeypatch.setattr(encode_handler, "compose", tapped)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second and a half of the face, which the other clips are made of."""
    return sample_face.clip(tmp_path_factory.mktemp("still") / "face.mp4", 1.5, SIZE)


def _x264(*options: object) -> tuple[object, ...]:
    return ("-c:v", "libx264", "-preset", "veryfast", "-crf", 18, "-pix_fmt", "yuv420p", *options)


def _cfr(clip: Path, to: Path, ffmpeg: Ffmpeg) -> Path:
    return ffmpeg("-i", clip, *_x264("-g", 12), to / "cfr.mp4")


def _ntsc(clip: Path, to: Path, ffmpeg: Ffmpeg) -> Path:
    again = ("-vf", "setpts=N/(30000/1001)/TB", "-r", "30000/1001")
    return ffmpeg("-i", clip, *again, *_x264("-g", 10), to / "ntsc.mp4")


def _vfr(clip: Path, to: Path, ffmpeg: Ffmpeg) -> Path:
    # Leaves gaps of one to four frames, and the first one out.
    uneven = "select=eq(mod(n\\,7)\\,1)+eq(mod(n\\,7)\\,2)+eq(mod(n\\,7)\\,5)"
    return ffmpeg("-i", clip, "-vf", uneven, "-fps_mode", "vfr", *_x264("-g", 8), to / "vfr.mp4")


def _b_frames(clip: Path, to: Path, ffmpeg: Ffmpeg) -> Path:
    options = _x264("-bf", 3, "-b_strategy", 0, "-g", 15, "-x264-params", "open-gop=1")
    return ffmpeg("-i", clip, *options, to / "b-frames.mp4")


def _rotated(clip: Path, to: Path, ffmpeg: Ffmpeg) -> Path:
    lying = ffmpeg("-i", clip, "-vf", "transpose=clock", *_x264(), to / "lying.mp4")
    return ffmpeg("-display_rotation:v:0", 90, "-i", lying, "-c", "copy", to / "rotated.mp4")


FORMS = {"cfr": _cfr, "29.97": _ntsc, "vfr": _vfr, "b-frames": _b_frames, "rotated": _rotated}


def _decoded(path: Path, to: Path) -> Frames:
    """Every frame as the ffmpeg program shows it: upright, yuv420p, packed."""
    raw = to / "frames.yuv"
    command = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", "-i", str(path)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", str(raw)]
    run_supervised(command, limits=Limits(seconds=60))
    data = np.fromfile(raw, np.uint8)
    raw.unlink()
    return list(data.reshape(-1, SIZE[0] * SIZE[1] * 3 // 2))


def _footage(chain: Chain, plan: Plan) -> tuple[Footage, FrameMap]:
    keys = FootageKeys(TENANT, plan.face.digest)
    footage = documents.load(Footage, chain.store.get(BUCKETS.work, keys.document))
    return footage, FrameMap.load(chain.store.get(BUCKETS.work, keys.frames))


def _free(footage: Footage, plan: Plan, patches: Patches, index: int) -> list[NDArray[np.bool_]]:
    """(H, W) and twice (H / 2, W / 2): what neither mask nor label may change."""
    size = (footage.width, footage.height)
    placement, header = patches.placement, patches.header
    opacity = float(placement.opacity[index])
    luma, chroma = touched(size, header.size, placement.affine[index], opacity, header.mask)
    box = render_label(plan.options.label, LabelSettings().corner, *size, footage.colour).box
    luma[box.top : box.bottom, box.left : box.right] = True
    chroma[box.top // 2 : box.bottom // 2, box.left // 2 : box.right // 2] = True
    return [~luma, ~chroma, ~chroma]


def _check(chain: Chain, plan: Plan, tap: Tap, source: Frames) -> tuple[int, int]:
    """Compares each frame that went to the encoder with the one that it shows.

    Returns:
        How many frames have a changed pixel in the mask, and how many had no patch.
    """
    footage, _ = _footage(chain, plan)
    order = list(source_frames(range(plan.frames), footage.frames, plan.options.loop))
    assert len(tap.frames) == plan.frames
    changed = without = at = 0
    for patches in tap.patches:
        for index in range(patches.header.last - patches.header.first):
            shape = (footage.height * 3 // 2, footage.width)
            got = Picture.unpack(tap.frames[at].reshape(shape))
            want = Picture.unpack(source[order[at]].reshape(shape))
            free = _free(footage, plan, patches, index)
            planes = [(got.y, want.y), (got.u, want.u), (got.v, want.v)]
            for (a, b), mine in zip(planes, free, strict=True):
                assert np.array_equal(a[mine], b[mine]), f"frame {at}"
                assert mine.mean() > 0.5
            lower = slice(footage.height // 3, None)  # below the label
            changed += not np.array_equal(got.y[lower], want.y[lower])
            without += float(patches.placement.opacity[index]) == 0
            at += 1
    return changed, without


@pytest.mark.parametrize("form", FORMS)
def test_outside_the_mask_nothing_changes(
    form: str,
    still: Path,
    tmp_path: Path,
    face_models: FaceModels,
    short_voice: Path,
    ffmpeg: Ffmpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each frame equals what the ffmpeg program decodes, but for the mask and the label's box."""
    clip = FORMS[form](still, tmp_path, ffmpeg)
    tap = Tap()
    tap.attach(monkeypatch)
    chain = build(tmp_path / "data", face_models)
    plan = chain.make("job", short_voice, clip)
    footage, frame_map = _footage(chain, plan)
    assert (footage.width, footage.height) == SIZE
    decoded = _decoded(clip, tmp_path)
    times = dict(zip(np.unique(_times(clip)), decoded, strict=True))
    source = [times[int(pts)] for pts in frame_map.pts]
    changed, without = _check(chain, plan, tap, source)
    assert without == 0
    assert changed > 0.9 * plan.frames


def _times(path: Path) -> list[int]:
    """Presentation times of all packets."""
    with av.open(str(path)) as container:
        return [p.pts for p in container.demux(video=0) if p.pts is not None]


def test_portrait(
    tmp_path: Path,
    face_models: FaceModels,
    short_voice: Path,
    face_portrait: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A portrait's every frame is the same picture outside the mask and the label's box."""
    tap = Tap()
    tap.attach(monkeypatch)
    chain = build(tmp_path / "data", face_models)
    plan = chain.make("job", short_voice, face_portrait)
    changed, without = _check(chain, plan, tap, [read_portrait(face_portrait).packed().reshape(-1)])
    assert without == 0
    assert changed > 0.9 * plan.frames


def test_frames_without_a_face_pass_untouched(
    still: Path,
    tmp_path: Path,
    face_models: FaceModels,
    short_voice: Path,
    ffmpeg: Ffmpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the face is away for a second, frames are the source's; before and after they speak."""
    away = ("-f", "lavfi", "-i", f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=25:duration=1")
    joined = "[0:v][1:v][0:v]concat=n=3:v=1,format=yuv420p"
    clip = ffmpeg("-i", still, *away, "-filter_complex", joined, *_x264(), tmp_path / "away.mp4")
    tap = Tap()
    tap.attach(monkeypatch)
    chain = build(tmp_path / "data", face_models)
    plan = chain.make("job", short_voice, clip)
    source = _decoded(clip, tmp_path)
    changed, without = _check(chain, plan, tap, source)
    assert without >= 24
    assert changed == plan.frames - without
