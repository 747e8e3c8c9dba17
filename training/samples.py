"""The voices that ship: one for the demo, one as a test fixture, each with the times of its phones.

Both speak sentences of ours with voices that are held out from training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from training import espeak, flite
from training.mouth_tracks import Segment

__all__ = ["write"]

ENGLISH: Final = (
    "Koubo turns a voice and a face into a talking video. "
    "Put both files into one folder, and wait for a moment. "
    "Every word that you hear now moves my mouth, from maybe to beautiful."
)
# "口播 turns your voice into a talking video: please put the sound and the picture in a folder."
MANDARIN: Final = (
    "kou3 bo1 ba3 ni3 de5 sheng1 yin1, bian4 cheng2 shuo1 hua4 de5 shi4 pin2. "
    "qing3 ba3 lu4 yin1 he2 ren2 lian3 fang4 jin4 wen2 jian4 jia1."
)


def write(root: Path) -> list[Path]:
    """Write both voices under the repository's root and return their paths."""
    samples, rate, segments = flite.speak(ENGLISH, "slt")
    english = _write(root / "functions" / "samples" / "voice.flac", samples, rate, segments)
    samples, rate, segments = espeak.speak(
        MANDARIN, "cmn-latn-pinyin+f3", words_per_minute=160, pitch=55
    )
    return [english, _write(root / "tests" / "fixtures" / "voice_zh.flac", samples, rate, segments)]


def _write(
    path: Path, samples: NDArray[np.float32], rate: int, segments: Sequence[Segment]
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    rows = [
        {"start": round(start, 4), "end": round(end, 4), "phone": phone}
        for start, end, phone in segments
    ]
    text = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.with_suffix(".phones.json").write_text(f"[{text}]\n", "utf-8")
    return path
