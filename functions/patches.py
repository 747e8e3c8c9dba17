"""Mouth patches: what infer hands to encode, one file a segment.

A zip, stored, of `patches.json` (the header), `placement.npz` (where each patch goes) and
`patches.avi` (lossless 4:4:4 video of the patches, in the footage's own YUV). One object, so that
it is there whole or not at all.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions import documents
from functions.analysis import dump_arrays, load_arrays
from functions.check import Tally
from functions.lossless import read_frames
from functions.picture import Plane

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Mask:
    """A feathered ellipse in the patch: 1 in the middle, exactly 0 at the patch's border.

    All in parts of the patch's side.

    Args:
        centre: x, y.
        radii: x, y, of the ellipse before it is feathered.
        feather: the standard deviation of the blur.
        border: width of the strip along the patch's edge that stays 0.
    """

    centre: tuple[float, float] = (0.5, 0.53)
    radii: tuple[float, float] = (0.42, 0.41)
    feather: float = 0.02
    border: float = 0.024

    def outside(self, size: int) -> NDArray[np.bool_]:
        """(size, size): pixels that no weight reaches, not even through interpolation."""
        place = (np.arange(size) + 0.5) / size
        reach = 3.5 * self.feather + 4 / size
        x = (place - self.centre[0]) / (self.radii[0] + reach)
        y = (place - self.centre[1]) / (self.radii[1] + reach)
        return np.asarray(x[None] ** 2 + y[:, None] ** 2 > 1)


OK = "ok"
"""The outcome of runs that succeeded."""


@dataclass(frozen=True)
class GraphRuns:
    """Runs of one graph that went alike.

    Args:
        graph: the stem of its file.
        backend: what really computed, or what was asked to, such as `torch/npu:0`.
        precision: what it computed in, such as `fp16`; empty where it didn't get so far.
        batch: rows that were computed at once; 0 where the graph was being loaded.
        runs: how many of them.
        seconds: of wall time, all together.
        outcome: `ok`, or what went wrong: see docs/backends.md.
        says: what the backend said of it.
    """

    graph: str
    backend: str
    precision: str
    batch: int
    runs: int
    seconds: float
    outcome: str = OK
    says: str = ""


@dataclass(frozen=True)
class Served:
    """Who rendered these patches, for the report.

    Args:
        model: name and version.
        licence: of the model, SPDX where there is one.
        backend: such as `onnxruntime/CPUExecutionProvider`; several where one took over.
        seconds: of wall time for the segment.
        cpu_seconds: of processor time for the segment.
        attempts: who ran what, with what success.
        instead_of: the model that was asked for, where no backend could run it and the operator's
            policy has the default model take its place.
    """

    model: str
    licence: str
    backend: str
    seconds: float
    cpu_seconds: float
    attempts: tuple[GraphRuns, ...] = ()
    instead_of: str = ""


@dataclass(frozen=True)
class Header:
    """What holds for all patches of a segment: output frames [first, last).

    `tally` is what the lip-sync check measured on a sample of them; None where it wasn't made.
    """

    first: int
    last: int
    size: int
    mask: Mask
    served: Served
    tally: Tally | None = None


@dataclass(frozen=True, eq=False)
class Placement:
    """Where each patch of a segment goes.

    Args:
        affine: (n, 2, 3) float32, upright frame pixels to patch pixels.
        opacity: (n,) float32 in 0..1; 0 leaves the frame untouched.
    """

    affine: NDArray[np.float32]
    opacity: NDArray[np.float32]


def write_patches(to: Path, header: Header, placement: Placement, video: Path) -> None:
    """Writes a segment's patches.

    Args:
        to: the file to make.
        header: see `Header`.
        placement: see `Placement`.
        video: (n) frames of yuv444p that `functions.lossless.FrameWriter` wrote.
    """
    arrays = dump_arrays(affine=placement.affine, opacity=placement.opacity)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        # Fixed dates: the same patches are the same bytes.
        archive.writestr(zipfile.ZipInfo("patches.json", _EPOCH), documents.dump(header))
        archive.writestr(zipfile.ZipInfo("placement.npz", _EPOCH), arrays)
        archive.writestr(zipfile.ZipInfo("patches.avi", _EPOCH), video.read_bytes())


@dataclass(frozen=True, eq=False)
class Patches:
    """A segment's patches as encode reads them."""

    header: Header
    placement: Placement
    _video: bytes

    @staticmethod
    def load(data: bytes) -> "Patches":
        """Reads what `write_patches` wrote."""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            header = documents.load(Header, archive.read("patches.json"))
            placement = Placement(**load_arrays(archive.read("placement.npz")))
            return Patches(header, placement, archive.read("patches.avi"))

    def frames(self) -> Iterator[Plane]:
        """(3, size, size) uint8 YUV 4:4:4, one for each output frame of the segment, in order."""
        return read_frames(self._video, "yuv444p")
