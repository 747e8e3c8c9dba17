"""espeak-ng through its library: speech with the moment at which each phone begins.

The command line can't tell the times, the library's event callback can (``espeak-ng/speak_lib.h``
of Debian's ``libespeak-ng-dev``). The library keeps one global state: one thread only.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.mouth_tracks import Segment

__all__ = ["phonemes", "speak"]

SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS
PHONEME_EVENTS_IN_IPA: Final = 1 | 2
NO_EXIT: Final = 0x8000  # report an error instead of ending the process
UTF8: Final = 1
IN_IPA: Final = 2
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
LAST_EVENT, PHONEME_EVENT = 0, 7  # espeak_EVENT_TYPE
# What its Mandarin spells in ASCII: retroflex consonants, and three vowels.
ASCII_NAMES: Final = {"s.": "ʂ", "z.": "ʐ", "i.": "ɨ", "i[": "ɨ", "o-": "ɤ"}


class _Name(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Engine:
    """The loaded library, and what its callback has brought since the last call."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        self.library.espeak_Synth.argtypes = (
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip
        self.library.espeak_TextToPhonemes.argtypes = (
            ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int,
        )  # fmt: skip
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.rate: int = self.library.espeak_Initialize(
            SYNCHRONOUS, 0, None, PHONEME_EVENTS_IN_IPA | NO_EXIT
        )
        if self.rate <= 0:
            raise RuntimeError("espeak-ng can't find its data: install Debian's espeak-ng")
        self.sound: list[NDArray[np.int16]] = []
        self.phones: list[tuple[int, str]] = []
        self.callback = _Callback(self._receive)  # kept: the library holds only its address
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, sound: Any, count: int, events: Any) -> int:  # noqa: ANN401 -- ctypes
        if sound and count > 0:
            self.sound.append(np.ctypeslib.as_array(sound, (count,)).copy())
        index = 0
        while events[index].type != LAST_EVENT:
            event = events[index]
            if event.type == PHONEME_EVENT:
                # The eight bytes hold the name itself, and all eight may be in use.
                name = ctypes.string_at(ctypes.addressof(event) + _Event.id.offset, 8)
                text = name.split(b"\0")[0].decode("utf-8", "ignore")
                for ascii_name, ipa in ASCII_NAMES.items():
                    text = text.replace(ascii_name, ipa)
                self.phones.append((event.sample, text))
            index += 1
        return 0


@cache
def _engine() -> _Engine:
    return _Engine()


def phonemes(text: str, voice: str) -> str:
    """Return the phonemes of a text in IPA with stress marks and spaces between words.

    Raises:
        ValueError: there is no such voice.
    """
    library = _engine().library
    _choose(voice)
    kept = ctypes.c_char_p(text.encode())
    rest = ctypes.cast(kept, ctypes.c_void_p)
    clauses = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IN_IPA).decode())
    return re.sub(r"\([a-z-]+\)", "", " ".join(clauses)).strip()


def _choose(voice: str) -> None:
    if _engine().library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice!r}")


def speak(
    text: str, voice: str, *, words_per_minute: int = 170, pitch: int = 50, pitch_range: int = 50
) -> tuple[NDArray[np.float32], int, list[Segment]]:
    """Speak a text.

    Args:
        text: what to say.
        voice: espeak-ng voice, with a variant after a plus sign: "en-us+f3".
        words_per_minute: 80 to 450.
        pitch: 0 to 99.
        pitch_range: 0 (monotone) to 99.

    Returns:
        float32 samples in -1..1, their rate, and the phones in IPA.

    Raises:
        ValueError: there is no such voice.
    """
    engine = _engine()
    engine.sound, engine.phones = [], []
    library = engine.library
    _choose(voice)
    for parameter, value in ((RATE, words_per_minute), (PITCH, pitch), (RANGE, pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, UTF8, None, None)
    sound = np.concatenate(engine.sound) if engine.sound else np.zeros(0, np.int16)
    # "(en)" and the like only say that the language changes.
    phones = [(at, name) for at, name in engine.phones if not name.startswith("(")]
    ends = [at for at, _ in phones[1:]] + [len(sound)]
    segments = [
        Segment(at / engine.rate, end / engine.rate, name)
        for (at, name), end in zip(phones, ends, strict=True)
    ]
    return sound.astype(np.float32) / np.float32(32768), engine.rate, segments
