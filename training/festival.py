"""festival's voices, built from recorded people: speech and the times of its phones.

Each voice has an alphabet of its own; the tables here turn it into IPA.
"""

from __future__ import annotations

import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mouth_tracks import ARPABET, Segment

__all__ = ["VOICES", "speak"]

SECONDS_ALLOWED: Final = 60


@dataclass(frozen=True)
class Voice:
    """One festival voice.

    Attributes:
        function: what selects it in festival's Scheme.
        language: whose sentences it speaks.
        encoding: of its text.
        phones: its alphabet, as far as it differs from the IPA.
        length_marks: what may follow a phone and changes no lips.
    """

    function: str
    language: str
    encoding: str
    phones: dict[str, str]
    length_marks: str = ""


RUSSIAN: Final = {
    "ii": "i", "yy": "ɨ", "uu": "u", "ee": "ɛ", "oo": "o", "aa": "a", "a": "ɐ", "i": "ɪ",
    "y": "ɨ", "ae": "ə", "ay": "ɪ", "ur": "ʊ", "c": "ts", "ch": "tɕ", "sh": "ʂ", "sch": "ɕ",
    "zh": "ʐ", "h": "x", "hh": "x", "pp": "p", "bb": "b", "tt": "t", "dd": "d", "kk": "k",
    "gg": "ɡ", "ff": "f", "vv": "v", "ss": "s", "zz": "z", "mm": "m", "nn": "n", "ll": "l",
    "rr": "r", "g": "ɡ", "pau": "",
}  # fmt: skip
FINNISH: Final = {
    "@": "æ", "7": "ø", "&": "ə", "T": "θ", "D": "ð", "S": "ʃ", "N": "ŋ", "L": "l", "g": "ɡ",
    "a": "ɑ", "Z": "ʒ", "#": "", "##": "",
}  # fmt: skip
CATALAN: Final = {
    "ax": "ə", "E": "ɛ", "O": "ɔ", "J": "ɲ", "L": "ʎ", "S": "ʃ", "Z": "ʒ", "rr": "r", "r": "ɾ",
    "N": "ŋ", "uw": "u", "g": "ɡ", "pau": "",
}  # fmt: skip

CZECH: Final = {
    "c": "ts", "ch": "x", "c~": "tʃ", "d~": "ɟ", "dz~": "dʒ", "g": "ɡ", "h": "ɦ", "n*": "ŋ",
    "n~": "ɲ", "r~": "rʒ", "r*": "rʃ", "s~": "ʃ", "t~": "c", "z~": "ʒ", "e": "ɛ", "i": "ɪ",
    "#": "", "_": "",
}  # fmt: skip
ITALIAN: Final = {
    "E": "ɛ", "O": "ɔ", "S": "ʃ", "Z": "ʒ", "tS": "tʃ", "dZ": "dʒ", "J": "ɲ", "ng": "ŋ", "nf": "ɱ",
    "L": "ʎ", "g": "ɡ", "#": "",
}  # fmt: skip

VOICES: Final = {
    "ked": Voice("voice_ked_diphone", "en", "ascii", ARPABET),
    "nsh": Voice("voice_msu_ru_nsh_clunits", "ru", "utf-8", RUSSIAN),
    "lj": Voice("voice_suo_fi_lj_diphone", "fi", "latin-1", FINNISH, ":"),
    "mv": Voice("voice_hy_fi_mv_diphone", "fi", "latin-1", FINNISH, ":"),
    "lp": Voice("voice_lp_diphone", "it", "latin-1", ITALIAN, "1"),
    "pc": Voice("voice_pc_diphone", "it", "latin-1", ITALIAN, "1"),
    "dita": Voice("voice_czech_dita", "cs", "iso8859-2", CZECH, ":"),
    "machac": Voice("voice_czech_machac", "cs", "iso8859-2", CZECH, ":"),
    "ph": Voice("voice_czech_ph", "cs", "iso8859-2", CZECH, ":"),
    "ona": Voice("voice_upc_ca_ona_hts", "ca", "latin-1", CATALAN, "12"),
}


def speak(
    text: str, voice: str, *, stretch: float = 1.0
) -> tuple[NDArray[np.float32], int, list[Segment]]:
    """Speak a text in the voice's language.

    Args:
        text: what to say, without quotation marks or backslashes.
        voice: one of `VOICES`.
        stretch: above 1 slower, below 1 faster, where the voice can.

    Returns:
        float32 samples in -1..1, their rate, and the phones in IPA.

    Raises:
        RuntimeError: festival failed.
    """
    chosen = VOICES[voice]
    with tempfile.TemporaryDirectory() as folder:
        script, sound, times = (Path(folder) / name for name in ("say.scm", "say.wav", "say.segs"))
        lines = [
            f"({chosen.function})",
            f"(Parameter.set 'Duration_Stretch {stretch:.3f})",
            f'(set! said (Utterance Text "{text}"))',
            "(utt.synth said)",
            f'(utt.save.wave said "{sound}" \'riff)',
            f'(utt.save.segs said "{times}")',
        ]
        script.write_text("\n".join(lines), chosen.encoding)
        command = ["festival", "-b", str(script)]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS_ALLOWED, check=False)
        if done.returncode != 0 or not times.exists():
            raise RuntimeError(f"festival failed ({done.returncode}): {done.stderr[-500:]!r}")
        with wave.open(str(sound)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        rows = times.read_text(chosen.encoding).splitlines()
    return samples.astype(np.float32) / np.float32(32768), rate, _segments(rows, chosen)


def _segments(rows: list[str], voice: Voice) -> list[Segment]:
    """Read lines of "end number phone" after the one that says "#"."""
    segments, start = [], 0.0
    for row in rows[rows.index("#") + 1 :]:
        end, _, name = row.split()
        bare = name.rstrip(voice.length_marks) or name
        segments.append(Segment(start, float(end), voice.phones.get(bare, bare)))
        start = float(end)
    return segments
