import cv2
import numpy as np
import pytest
import skimage.data

from functions.ingest.faces import Face, FaceFinder, FaceFollower
from functions.picture import Colour

COLOUR = Colour()
# Read off the photograph by eye, pixels.
MOUTH = (224, 146)
RIGHT_CORNER, LEFT_CORNER = (203, 140), (244, 141)
RIGHT_EYE, LEFT_EYE = (193, 101), (258, 104)
FACE_SIDE = 109


@pytest.fixture(scope="module")
def finder(face_models):
    return FaceFinder(face_models)


def canvas(width, height, seed=0):
    """A grey wall with a little noise: (height, width, 3) RGB."""
    noise = np.random.default_rng(seed).integers(0, 12, (height, width, 1), dtype=np.uint8)
    return np.repeat(noise + 120, 3, axis=2)


def hung(wall, photograph, x, y, scale):
    """The photograph's head, scaled and hung on the wall with its corner at (x, y)."""
    head = photograph[:256, 96:352]
    side = round(256 * scale)
    small = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    wall = wall.copy()
    wall[y : y + side, x : x + side] = small
    return wall


def where(point, x, y, scale):
    """A point of the photograph, on the wall."""
    return np.array([(point[0] - 96) * scale + x, point[1] * scale + y])


def mouth(face):
    """Between the middles of the upper and the lower inner lip."""
    return face.landmarks[[13, 14]].mean(axis=0)


def test_a_portrait_has_its_one_face(finder, astronaut, as_picture):
    """Eyes and mouth lie where a person sees them, to a few pixels of 109."""
    (face,) = finder.find(as_picture(astronaut), COLOUR)
    assert face.landmarks.shape == (468, 2)
    assert face.landmarks.dtype == np.float32
    assert 0.9 < face.confidence <= 1
    assert np.linalg.norm(mouth(face) - MOUTH) < 2
    assert np.linalg.norm(face.landmarks[61] - RIGHT_CORNER) < 3
    assert np.linalg.norm(face.landmarks[291] - LEFT_CORNER) < 3
    assert np.linalg.norm(face.landmarks[33] - RIGHT_EYE) < 4
    assert np.linalg.norm(face.landmarks[263] - LEFT_EYE) < 4
    np.testing.assert_allclose(face.box[:2], face.landmarks.min(axis=0))
    np.testing.assert_allclose(face.box[2:], face.landmarks.max(axis=0))


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1100, 560), (617, 301)])
def test_a_small_face_is_found_anywhere(finder, astronaut, as_picture, x, y):
    """A face of 6 % of the picture's height is found in a corner as in the middle."""
    scale = 0.06 * 720 / FACE_SIDE
    picture = as_picture(hung(canvas(1280, 720), astronaut, x, y, scale))
    assert finder.find_large(picture, COLOUR) == []
    (face,) = finder.find(picture, COLOUR)
    assert np.linalg.norm(mouth(face) - where(MOUTH, x, y, scale)) < 3


def test_of_two_faces_the_larger_comes_first(finder, astronaut, as_picture):
    """Both faces of a group picture are found, each once."""
    wall = hung(canvas(800, 480), astronaut, 20, 120, 1.1)
    picture = as_picture(hung(wall, astronaut, 360, 20, 1.7))
    large, small = finder.find(picture, COLOUR)
    assert large.side > 1.3 * small.side
    assert np.linalg.norm(mouth(large) - where(MOUTH, 360, 20, 1.7)) < 6
    assert np.linalg.norm(mouth(small) - where(MOUTH, 20, 120, 1.1)) < 5


def test_a_tilted_face_is_found(finder, astronaut, as_picture):
    """A head on its shoulder keeps its landmarks: they turn with the picture."""
    turn = cv2.getRotationMatrix2D((256, 256), 30, 1.0)
    tilted = cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    (face,) = finder.find(as_picture(tilted), COLOUR)
    assert np.linalg.norm(mouth(face) - turn @ [*MOUTH, 1]) < 5


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "motorcycle_left", "noise"])
def test_what_is_no_face_is_not_found(finder, as_picture, name):
    """A cat's face, machines and noise have none."""
    if name == "noise":
        rgb = np.random.default_rng(5).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    elif name == "motorcycle_left":
        rgb = skimage.data.stereo_motorcycle()[0]
    else:
        rgb = getattr(skimage.data, name)()
    even = np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
    assert finder.find(as_picture(even), COLOUR) == []


def drift(i):
    """Where the head hangs in frame i of a gently moving clip."""
    return round(100 + 30 * np.sin(i / 5)), round(60 + 12 * np.cos(i / 4))


def frame(astronaut, i, seed=0):
    return hung(canvas(640, 360, seed), astronaut, *drift(i), 1.0)


def test_a_moving_face_is_followed(finder, astronaut, as_picture):
    """One detection, then the mesh alone stays on the face within a pixel or two."""
    follower = FaceFollower(finder)
    faces = [follower.follow(as_picture(frame(astronaut, i)), COLOUR) for i in range(30)]
    assert [face.followed for face in faces] == [False] + [True] * 29
    offsets = np.array([mouth(face) - where(MOUTH, *drift(i), 1.0) for i, face in enumerate(faces)])
    assert np.linalg.norm(offsets - offsets.mean(axis=0), axis=1).max() < 1.5


def test_a_gap_has_no_face_and_ends_where_the_face_is(finder, astronaut, as_picture):
    """Frames whose face is covered yield none; the face is found anew when it comes back."""
    follower = FaceFollower(finder)
    faces = []
    for i in range(12):
        picture = frame(astronaut, i)
        if 4 <= i < 8:
            x, y = drift(i)
            picture[y + 50 : y + 200, x + 60 : x + 200] = 125
        faces.append(follower.follow(as_picture(picture), COLOUR))
    assert [face is not None for face in faces] == [True] * 4 + [False] * 4 + [True] * 4
    assert [face.followed for face in faces[8:]] == [False, True, True, True]


def test_a_cut_starts_anew(finder, astronaut, as_picture):
    """After a scene cut the face is found, not slid to, though both shots show it in one place."""
    follower = FaceFollower(finder)
    here, there = canvas(640, 360), canvas(640, 360) // 2
    shots = [hung(here, astronaut, 100, 60, 1.0)] * 3 + [hung(there, astronaut, 120, 60, 1.1)] * 3
    faces = [follower.follow(as_picture(shot), COLOUR) for shot in shots]
    assert [face.followed for face in faces] == [False, True, True, False, True, True]
    assert np.linalg.norm(mouth(faces[3]) - where(MOUTH, 120, 60, 1.1)) < 4


def test_a_jump_cut_starts_anew(finder, astronaut, as_picture):
    """A cut within one scene, which changes the picture little, is told from motion."""
    follower = FaceFollower(finder)
    shots = [frame(astronaut, i) for i in range(8)]
    shots += [hung(canvas(640, 360), astronaut, 150 + i, 70, 1.1) for i in range(4)]
    faces = [follower.follow(as_picture(shot), COLOUR) for shot in shots]
    assert [i for i, face in enumerate(faces) if not face.followed] == [0, 8]


def test_the_face_where_it_was_is_kept_over_a_cut(finder, astronaut, as_picture):
    """After a cut the face in the old place is followed, among several too; else the largest."""
    follower = FaceFollower(finder)
    alone = hung(canvas(640, 300), astronaut, 20, 20, 0.9)
    group = hung(hung(canvas(640, 300) // 2, astronaut, 20, 20, 0.9), astronaut, 340, 10, 1.1)
    other = hung(canvas(640, 300), astronaut, 340, 10, 1.1)
    shown = [follower.follow(as_picture(shot), COLOUR) for shot in (alone, group, other)]
    assert np.linalg.norm(mouth(shown[0]) - mouth(shown[1])) < 2
    assert np.linalg.norm(mouth(shown[2]) - where(MOUTH, 340, 10, 1.1)) < 4


def test_the_other_face_is_not_taken_for_a_hidden_one(finder, astronaut, as_picture):
    """A bystander isn't followed while the presenter is hidden for a moment; after long, it is."""
    wall = hung(hung(canvas(640, 300), astronaut, 20, 20, 1.0), astronaut, 400, 40, 0.8)
    hidden = wall.copy()
    hidden[90:200, 104:196] = canvas(92, 110)
    wall, hidden = as_picture(wall), as_picture(hidden)
    follower = FaceFollower(finder)
    first = follower.follow(wall, COLOUR)
    assert [follower.follow(hidden, COLOUR) for _ in range(3)] == [None] * 3
    assert np.linalg.norm(mouth(follower.follow(wall, COLOUR)) - mouth(first)) < 1
    late = [follower.follow(hidden, COLOUR) for _ in range(14)][-1]
    assert np.linalg.norm(mouth(late) - where(MOUTH, 400, 40, 0.8)) < 4


def test_a_small_face_comes_back_at_once(finder, astronaut, as_picture):
    """A small face that was hidden for two frames is seen in the third, without tiles."""
    wall = hung(canvas(1280, 720), astronaut, 700, 300, 0.5)
    hidden = wall.copy()
    hidden[300:428, 700:828] = canvas(128, 128)
    wall, hidden = as_picture(wall), as_picture(hidden)
    counting = Counting(finder)
    follower = FaceFollower(counting)
    faces = [follower.follow(shown, COLOUR) for shown in (wall, wall, hidden, hidden, wall)]
    assert [face is not None for face in faces] == [True, True, False, False, True]
    assert counting.tiled == 1


class Counting:
    """A finder that counts its searches in tiles."""

    def __init__(self, finder):
        self._finder = finder
        self.tiled = 0

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def find_small(self, picture, colour):
        self.tiled += 1
        return self._finder.find_small(picture, colour)


def test_the_search_in_tiles_is_rare(finder, as_picture):
    """Without a face the costly search runs in the first frame and then in every tenth."""
    counting = Counting(finder)
    follower = FaceFollower(counting)
    nothing = as_picture(canvas(320, 180))
    assert [follower.follow(nothing, COLOUR) for _ in range(21)] == [None] * 21
    assert counting.tiled == 3


def test_a_small_face_is_followed_without_tiles(finder, astronaut, as_picture):
    """Once found in a tile, a small face costs no more than a large one."""
    counting = Counting(finder)
    follower = FaceFollower(counting)
    for i in range(6):
        wall = hung(canvas(1280, 720), astronaut, 700 + 2 * i, 300, 0.5)
        face = follower.follow(as_picture(wall), COLOUR)
        assert isinstance(face, Face)
        assert np.linalg.norm(mouth(face) - where(MOUTH, 700 + 2 * i, 300, 0.5)) < 3
    assert counting.tiled == 1


@pytest.mark.parametrize("size", [(2, 2), (16, 30), (30, 16), (2, 400), (1400, 60)])
def test_any_size_of_picture_is_taken(finder, as_picture, size):
    """Slivers and specks have no face, and are no error."""
    follower = FaceFollower(finder)
    width, height = size
    picture = as_picture(canvas(width, height))
    assert [follower.follow(picture, COLOUR) for _ in range(2)] == [None, None]


@pytest.mark.parametrize(
    ("choice", "wanted"), [("largest", 2), ("left", 0), ("right", 4), (2, 1), (5, 4), (9, 4)]
)
def test_of_five_faces_the_asked_one_is_followed(finder, astronaut, as_picture, choice, wanted):
    """The largest, the outermost, or the n-th from the left; of too high a number the last."""
    wall, scales = canvas(1280, 480), (0.7, 0.75, 1.1, 0.8, 0.7)
    corners = [(20 + 230 * i, 60) for i in range(5)]
    for (x, y), scale in zip(corners, scales, strict=True):
        wall = hung(wall, astronaut, x, y, scale)
    follower = FaceFollower(finder, choice)
    picture = as_picture(wall)
    for followed in (False, True):
        face = follower.follow(picture, COLOUR)
        assert face.followed == followed
        assert np.linalg.norm(mouth(face) - where(MOUTH, *corners[wanted], scales[wanted])) < 5


def test_scenes_are_counted(finder, astronaut, as_picture):
    """Each cut begins another scene."""
    follower = FaceFollower(finder)
    here, there = canvas(640, 360), canvas(640, 360) // 2
    shots = [hung(here, astronaut, 100, 60, 1.0)] * 2 + [hung(there, astronaut, 120, 60, 1.1)] * 2
    faces = [follower.follow(as_picture(shot), COLOUR) for shot in shots]
    assert [face.scene for face in faces] == [0, 0, 1, 1]


def test_a_hidden_face_is_not_changed_for_its_neighbour(finder, astronaut, as_picture):
    """Of two heads side by side the one that was hidden for some frames goes on being followed."""
    both = canvas(1280, 720)
    for x in (200, 325):
        both[80:260, x : x + 125] = astronaut[30:210, 165:290]
    hidden = both.copy()
    hidden[80:260, 200:325] = 126
    follower = FaceFollower(finder, "left")
    shots = [both] * 2 + [hidden] * 6 + [both] * 2
    faces = [follower.follow(as_picture(shot), COLOUR) for shot in shots]
    assert [face is not None for face in faces] == [True] * 2 + [False] * 6 + [True] * 2
    assert abs(faces[-1].box[0] - faces[0].box[0]) < 10
