"""A voice and a footage as infer reads them from the store: piece by piece."""

import io
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from functions import documents
from functions.analysis import Chunk, Footage, Track, Voice
from functions.errors import RetryableError
from functions.layout import FootageKeys, VoiceKeys
from functions.lossless import read_frames
from functions.picture import Picture
from functions.storage import Store

_HEADER = 4096  # bytes in which a WAV's samples begin, with room for what writers put before them
_SAMPLE_BYTES = 2


@dataclass(frozen=True)
class StoredFootage:
    """A `functions.infer.family.FootageReader` of the store.

    Args:
        store: where the analysis is.
        bucket: the work bucket.
        keys: of the footage.
        footage: its document.
        model: name and version of the model that reads it; names what is kept for it.
    """

    store: Store
    bucket: str
    keys: FootageKeys
    footage: Footage
    model: tuple[str, str]

    @staticmethod
    def open(
        store: Store, bucket: str, keys: FootageKeys, model: tuple[str, str]
    ) -> "StoredFootage":
        """Reads the document; FileNotFoundError where the analysis isn't whole."""
        document = store.get(bucket, keys.document)
        return StoredFootage(store, bucket, keys, documents.load(Footage, document), model)

    def track(self, chunk: Chunk) -> Track:
        """See `FootageReader`."""
        return Track.load(self.store.get(self.bucket, self.keys.track(chunk.index)))

    def windows(self, chunk: Chunk, frames: Sequence[int]) -> Iterator[Picture]:
        """See `FootageReader`."""
        video = self.store.get(self.bucket, self.keys.window(chunk.index))
        places = [frame - chunk.first for frame in frames]
        return map(Picture.unpack, read_frames(video, "yuv420p", places))

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `FootageReader`."""
        key = self.keys.prepared(*self.model, name)
        try:
            return self.store.get(self.bucket, key)
        except FileNotFoundError:
            self.store.put_new(self.bucket, key, make())
        # Another worker may have been first, and what is stored is what holds.
        return self.store.get(self.bucket, key)


@dataclass(frozen=True)
class StoredVoice:
    """A `functions.infer.family.VoiceReader` of the store.

    Args:
        store: where the analysis is.
        bucket: the work bucket.
        keys: of the voice.
        level: see `Voice.level`.
        start: bytes before the first sample.
        count: samples.
    """

    store: Store
    bucket: str
    keys: VoiceKeys
    level: float
    start: int
    count: int

    @staticmethod
    def open(store: Store, bucket: str, keys: VoiceKeys, sample_rate: int) -> "StoredVoice":
        """Reads the document and the head of the samples.

        Raises:
            FileNotFoundError: the analysis isn't whole.
            RetryableError: the samples aren't mono, 16 bits deep and of that rate.
        """
        voice = documents.load(Voice, store.get(bucket, keys.document))
        head = store.get_range(bucket, keys.samples, 0, _HEADER)
        try:
            with wave.open(io.BytesIO(head)) as file:
                form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
                count, start = file.getnframes(), head.index(b"data") + 8
        except (wave.Error, EOFError, ValueError) as error:
            raise RetryableError(f"{keys.samples} is no WAV: {error}") from error
        if form != (1, _SAMPLE_BYTES, sample_rate):
            raise RetryableError(f"{keys.samples} has channels, bytes and rate {form}")
        return StoredVoice(store, bucket, keys, voice.level, start, count)

    def samples(self, first: int, last: int) -> NDArray[np.float32]:
        """See `VoiceReader`."""
        first, last = max(first, 0), min(last, self.count)
        place, length = self.start + first * _SAMPLE_BYTES, (last - first) * _SAMPLE_BYTES
        data = self.store.get_range(self.bucket, self.keys.samples, place, length)
        return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 32768)
