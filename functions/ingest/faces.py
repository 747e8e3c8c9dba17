"""Faces in pictures: all of them in one picture, or one of them through the frames of a video.

A face is what both models agree on: the detector proposes a region, the mesh fits it and says how
sure it is that it saw a face.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.ingest.face_detector import Candidate, FaceDetector, overlap
from functions.ingest.face_mesh import LEFT_EYE, LIPS, RIGHT_EYE, FaceMesh, Mesh
from functions.ingest.face_models import FaceModels
from functions.ingest.mouth_view import View
from functions.ingest.region import Region
from functions.options import FaceChoice
from functions.picture import Colour, Picture

_MIN_CONFIDENCE = 0.5
# The mesh takes a cat's face for one (0.99 and more). Shown the region again, upright, the detector
# gave 0.73 and more to human faces, even of 25 pixels, and 0.61 at most to what isn't one.
_MIN_CERTAINTY = 0.65
_MIN_SIDE = 16.0  # pixels of a face's longer side; below it there is no mouth to speak of
_LONGEST_SHAPE = 3.0  # longer to shorter side of an upright face
_TILED_EVERY = 10  # frames between two searches in tiles
_CHECKED_EVERY = 25  # frames between two looks of the detector at the face that is followed
_MIN_KEPT_CERTAINTY = 0.5  # then; half-covered and turned faces gave 0.83 and more
_THUMBNAIL = (32, 18)
# Mean change of the thumbnail's luma, of 255, that starts a new scene: any large one, or one that
# stands out. Talking presenters changed by 0.3 to 0.6 a frame, their jump cuts by 7 to 8.
_CUT, _JUMP_CUT, _STANDS_OUT = 12.0, 3.0, 4.0
_FARTHEST_MOVE = 0.5  # of the face's side, from one frame to the next
_MOST_GROWTH = 1.5  # of the face's side, from one frame to the next
# Of the lost face's side: a face found within that is the same. Cheek to cheek two are 1 apart.
_NEAR = 0.8
_PATIENCE = 10  # frames for which a lost face is waited for, though another one is in sight


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a frame.

    Args:
        box: x0, y0, x1, y1 around the landmarks, frame pixels.
        landmarks: (468, 2) float32, frame pixels, MediaPipe's numbering, the lips refined.
        confidence: 0..1.
        followed: it is the same face as in the frame before, and was found from there.
        view: of what surrounds the mouth.
        scene: counts the footage's cuts.
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    confidence: float
    followed: bool = False
    view: View | None = None
    scene: int = 0

    @property
    def side(self) -> float:
        """The longer side of the box, frame pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    def distance(self, other: "Face") -> float:
        """Between the two boxes' centres, frame pixels."""
        across = self.box[0] + self.box[2] - other.box[0] - other.box[2]
        down = self.box[1] + self.box[3] - other.box[1] - other.box[3]
        return float(np.hypot(across, down)) / 2


class FaceFinder:
    """Finds every face in a picture; keeps nothing between pictures.

    Args:
        models: from set-up.
        threads: that one model run may use.
    """

    def __init__(self, models: FaceModels, threads: int = 1) -> None:
        self._detector = FaceDetector(models.detector, threads)
        self._mesh = FaceMesh(models.mesh, threads)

    def find(self, picture: Picture, colour: Colour) -> list[Face]:
        """All faces, the largest first.

        When none is seen in the whole picture it is searched in tiles, for faces down to about
        6 % of its height.
        """
        return self.find_large(picture, colour) or self.find_small(picture, colour)

    def find_large(self, picture: Picture, colour: Colour) -> list[Face]:
        """Only what one look at the whole picture shows, the largest first."""
        return self._verified(self._detector.detect(picture, colour), picture, colour)

    def find_small(self, picture: Picture, colour: Colour) -> list[Face]:
        """What a search in tiles shows, the largest first; many times slower."""
        return self._verified(self._detector.detect_small(picture, colour), picture, colour)

    def find_near(self, picture: Picture, region: Region, colour: Colour) -> list[Face]:
        """What one look around a region shows, the largest first, small faces as well."""
        return self._verified(self._detector.detect_near(picture, region, colour), picture, colour)

    def refit(self, picture: Picture, region: Region, colour: Colour) -> Mesh | None:
        """The mesh in this region, or None when that is no face."""
        mesh = self._mesh.fit(picture, region, colour)
        return mesh if mesh.confidence >= _MIN_CONFIDENCE and _possible(mesh, picture) else None

    def same(self, picture: Picture, face: Face, colour: Colour) -> Face | None:
        """The face that another picture of that size shows where this one is, or None."""
        mesh = self.refit(picture, Mesh(face.landmarks, face.confidence).region(), colour)
        return None if mesh is None else _face(mesh, followed=True)

    def certainty(self, picture: Picture, mesh: Mesh, colour: Colour) -> float:
        """How sure the detector is of the face that a mesh fits, 0..1."""
        return self._detector.certainty(picture, mesh.region(), colour)

    def _verified(
        self, candidates: list[Candidate], picture: Picture, colour: Colour
    ) -> list[Face]:
        faces: list[Face] = []
        for candidate in candidates:
            first = self.refit(picture, candidate.region, colour)
            # A second look, framed by the first, is what following the face will see too.
            mesh = first and self.refit(picture, first.region(), colour)
            if mesh is None:
                continue
            if self.certainty(picture, mesh, colour) < _MIN_CERTAINTY:
                continue
            face = _face(mesh, followed=False)
            if all(overlap(face.box, other.box) < 0.5 for other in faces):
                faces.append(face)
        return sorted(faces, key=lambda face: -face.side)


class FaceFollower:
    """Follows one face through a video, frame by frame.

    While the face is there, only the mesh runs, in the region where the face was; now and then
    the detector confirms it. At the start, after a scene cut and while the face is lost the
    detector looks at the whole frame and around the lost face, and at most every tenth frame into
    tiles. The largest face is chosen, or the one that was asked for; after a short loss, the same
    one.

    Args:
        finder: may be shared by several followers in turn.
        choice: which face, of those that are seen at once when the first one is found.
        last: the face in the frame before, where it is known.
    """

    def __init__(
        self, finder: FaceFinder, choice: FaceChoice = "largest", last: Face | None = None
    ) -> None:
        self._finder = finder
        self._choice = choice
        self._mesh = None if last is None else Mesh(last.landmarks, last.confidence)
        self._since_checked = 0
        self._since_tiled = _TILED_EVERY
        self._last = last
        self._lost_for = 0
        self._scene = 0
        self._thumbnail: NDArray[np.float32] | None = None
        self._usual_change: float | None = None

    def follow(self, picture: Picture, colour: Colour) -> Face | None:
        """The face in the next frame, or None."""
        self._since_tiled += 1
        if self._cut(picture):
            self._mesh, self._lost_for = None, _PATIENCE
            self._scene += 1
        face = self._followed(picture, colour) or self._found(picture, colour)
        if face is None:
            self._mesh = None
            self._lost_for += 1
        else:
            face = replace(face, scene=self._scene)
            self._mesh = Mesh(face.landmarks, face.confidence)
            self._last, self._lost_for = face, 0
        return face

    def _followed(self, picture: Picture, colour: Colour) -> Face | None:
        if self._mesh is None:
            return None
        region = self._mesh.region()
        mesh = self._finder.refit(picture, region, colour)
        if mesh is None or _jumped(region, mesh.region()):
            return None
        self._since_checked += 1
        if self._since_checked >= _CHECKED_EVERY:
            self._since_checked = 0
            if self._finder.certainty(picture, mesh, colour) < _MIN_KEPT_CERTAINTY:
                return None
        return _face(mesh, followed=True)

    def _found(self, picture: Picture, colour: Colour) -> Face | None:
        faces = self._finder.find_large(picture, colour)
        if not faces and self._last is not None:
            region = Mesh(self._last.landmarks, self._last.confidence).region()
            faces = self._finder.find_near(picture, region, colour)
        if not faces and self._since_tiled >= _TILED_EVERY:
            self._since_tiled = 0
            faces = self._finder.find_small(picture, colour)
        self._since_checked = 0
        return self._chosen(faces)

    def _chosen(self, faces: list[Face]) -> Face | None:
        last = self._last
        if last is None or not faces:
            return _pick(faces, self._choice) if faces else None
        nearest = min(faces, key=last.distance)
        if last.distance(nearest) < _NEAR * last.side:
            return nearest
        # Also after a cut, which is not waited for: `follow` has used the patience up.
        return _pick(faces, self._choice) if self._lost_for >= _PATIENCE else None

    def _cut(self, picture: Picture) -> bool:
        """Whether this frame starts a new scene, judged by a tiny picture of its luma."""
        thumbnail = _thumbnail(picture)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None:
            return False
        change = float(np.abs(thumbnail - before).mean())
        usual = change if self._usual_change is None else self._usual_change
        self._usual_change = 0.8 * usual + 0.2 * change
        # Half a grey level is what coding noise alone may do.
        return change > _CUT or change > max(_JUMP_CUT, _STANDS_OUT * (usual + 0.5))


def _pick(faces: list[Face], choice: FaceChoice) -> Face:
    """One of some faces, the largest of which comes first; a number too high means the last."""
    if choice == "largest":
        return faces[0]
    across = sorted(faces, key=lambda face: face.box[0] + face.box[2])
    if isinstance(choice, int):
        return across[min(choice, len(across)) - 1]
    return across[0] if choice == "left" else across[-1]


def _thumbnail(picture: Picture) -> NDArray[np.float32]:
    """Luma, at most 32 x 18. Some of the rows will do, and whole blocks are averaged fastest."""
    columns, rows = min(_THUMBNAIL[0], picture.width), min(_THUMBNAIL[1], picture.height)
    luma = picture.y[:: max(1, picture.height // (8 * rows))]
    rows = min(rows, luma.shape[0])
    luma = luma[: luma.shape[0] // rows * rows, : luma.shape[1] // columns * columns]
    thumbnail = cv2.resize(luma, (columns, rows), interpolation=cv2.INTER_AREA)
    return thumbnail.astype(np.float32)


def _face(mesh: Mesh, *, followed: bool) -> Face:
    x0, y0 = map(float, mesh.landmarks.min(axis=0))
    x1, y1 = map(float, mesh.landmarks.max(axis=0))
    return Face((x0, y0, x1, y1), mesh.landmarks, mesh.confidence, followed, mesh.view)


def _possible(mesh: Mesh, picture: Picture) -> bool:
    """Whether this can be a face: not a point or a line, in the picture, the mouth below the eyes.

    The flag alone lets a few of these through, and following one would never end.
    """
    low, high = mesh.landmarks.min(axis=0), mesh.landmarks.max(axis=0)
    if not np.isfinite([low, high]).all():
        return False
    sides = high - low
    if sides.max() < _MIN_SIDE or sides.max() > _LONGEST_SHAPE * sides.min():
        return False
    x, y = (low + high) / 2
    if not (0 <= x < picture.width and 0 <= y < picture.height):
        return False
    right, left = mesh.landmarks[RIGHT_EYE], mesh.landmarks[LEFT_EYE]
    down = np.array([right[1] - left[1], left[0] - right[0]])
    mouth = mesh.landmarks[list(LIPS)].mean(axis=0)
    return bool((mouth - (right + left) / 2) @ down > 0)


def _jumped(before: Region, after: Region) -> bool:
    """Whether a face can't have got from one region to the other within a frame."""
    move = float(np.hypot(after.x - before.x, after.y - before.y))
    growth = max(before.side, after.side) / min(before.side, after.side)
    return move > _FARTHEST_MOVE * before.side / 1.5 or growth > _MOST_GROWTH
