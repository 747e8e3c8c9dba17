"""An independent reading of what is published about Wav2Lip, and footage to try it on."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import scipy.signal

from functions.analysis import Chunk, Footage, Track
from functions.picture import Colour, Picture

RATE = Fraction(25)
SIDE = 400


@dataclass(frozen=True)
class Takes:
    """Frames of luma noise in flat colours, with a face whose box has whole pixels."""

    footage: Footage
    box: tuple[int, int, int, int]
    step: int

    @staticmethod
    def make(box, frames=6, step=1):
        footage = Footage(
            digest="d",
            sha256="",
            kind="video",
            width=SIDE,
            height=SIDE,
            rate_numerator=25,
            rate_denominator=1,
            frames=frames,
            colour=Colour("bt601"),
            rotation=0,
            faces=frames,
            chunks=(Chunk(0, 0, frames, SIDE, SIDE),),
            poster_frame=0,
            container="",
            decoder="",
        )
        return Takes(footage, box, step)

    def track(self, chunk):
        left, top, right, bottom = self.box
        # Points count from the centres of pixels, boxes from their edges.
        points = np.full((chunk.count, 468, 2), ((left + right) / 2, (top + bottom) / 2))
        points[:, 10], points[:, 152] = (left - 0.5, top - 0.5), (right - 0.5, bottom - 0.5)
        points[:, 33, 0] -= 20
        points[:, 263, 0] += 20
        zeros = np.zeros((chunk.count, 2), np.int32)
        return Track(points.astype(np.float32), np.ones(chunk.count, np.float32), zeros)

    def picture(self, frame):
        random = np.random.default_rng(frame)
        # Steps of four keep averages of four whole, and no colour is one that must be clipped.
        y = random.integers(90, 180, (SIDE, SIDE)) // self.step * self.step
        half = (SIDE // 2, SIDE // 2)
        u, v = np.full(half, 118 + frame, np.uint8), np.full(half, 138 - frame, np.uint8)
        return Picture(y.astype(np.uint8), u, v)

    def windows(self, chunk, frames):
        return (self.picture(frame) for frame in frames)


def bgr_of(picture):
    """BT.601 in its common form, without rounding: (H, W, 3) in 0..1."""
    y = (picture.y.astype(np.float64) - 16) * 255 / 219
    u, v = float(picture.u[0, 0]) - 128.0, float(picture.v[0, 0]) - 128.0
    red = y + 1.402 * v * 255 / 224
    green = y - (0.114 * 1.772 * u + 0.299 * 1.402 * v) / 0.587 * 255 / 224
    blue = y + 1.772 * u * 255 / 224
    return np.clip(np.stack([blue, green, red], axis=2) / 255, 0, 1)


def published_input(picture, box, size):
    """The published inference, in numbers: crop, resize, black lower half, then the whole."""
    left, top, right, bottom = box
    crop = bgr_of(picture)[top:bottom, left:right]
    rows, columns = crop.shape[0] // size, crop.shape[1] // size
    # A bilinear resize by 1/2 takes the average of two, by 1 nothing at all.
    assert {rows, columns} <= {1, 2}
    face = crop.reshape(size, rows, size, columns, 3).mean(axis=(1, 3))
    masked = face.copy()
    masked[size // 2 :] = 0
    return np.concatenate([masked, face], axis=2).transpose(2, 0, 1)


@cache
def slaney_bank():
    """80 triangles of unit area from 55 to 7600 Hz, evenly spaced on Slaney's scale."""

    def mel(hz):
        return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) * 27 / np.log(6.4)

    def hertz(value):
        return value * 200 / 3 if value < 15 else 1000 * np.exp((value - 15) * np.log(6.4) / 27)

    corners = [hertz(value) for value in np.linspace(mel(55), mel(7600), 82)]
    bank = np.zeros((80, 401))
    for band, (low, middle, high) in enumerate(
        zip(corners[:-2], corners[1:-1], corners[2:], strict=True)
    ):
        for point in range(401):
            up = (20 * point - low) / (middle - low)
            down = (high - 20 * point) / (high - middle)
            bank[band, point] = max(0, min(up, down)) * 2 / (high - low)
    return bank


def published_mel(sound):
    """[80, 1 + n // 200] by decibels and normalisation, as the published settings put it."""
    emphasised = scipy.signal.lfilter([1, -0.97], [1], sound.astype(np.float64))
    padded = np.pad(emphasised, 400)
    window = scipy.signal.get_window("hann", 800)
    columns = [padded[at : at + 800] * window for at in range(0, len(sound) + 1, 200)]
    magnitude = np.abs(np.fft.rfft(columns, axis=1)).T
    decibels = 20 * np.log10(np.maximum(10 ** (-100 / 20), slaney_bank() @ magnitude)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)


class Spy:
    """A graph that keeps what it was given, by the names of a small graph."""

    def __init__(self, graph):
        self._graph = graph
        self.given = []

    def __getattr__(self, name):
        return getattr(self._graph, name)

    def run(self, inputs):
        self.given.append(inputs)
        return self._graph.run(inputs)
