"""flite's voices, built from recorded people: speech and the times of its phones."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mouth_tracks import Segment

__all__ = ["speak"]

SECONDS_ALLOWED: Final = 60


def speak(
    text: str, voice: str, *, stretch: float = 1.0, pitch: float | None = None
) -> tuple[NDArray[np.float32], int, list[Segment]]:
    """Speak an English text.

    Args:
        text: what to say; must not begin with a dash.
        voice: a built-in voice: "kal16", "awb", "rms" or "slt".
        stretch: above 1 slower, below 1 faster.
        pitch: mean pitch in Hz instead of the voice's own; "rms" can't change its.

    Returns:
        float32 samples in -1..1, their rate, and the phones in ARPAbet, "pau" for a pause.

    Raises:
        RuntimeError: flite failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}"]
        if pitch is not None:
            command += ["--setf", f"int_f0_target_mean={pitch:.0f}"]
        command += ["-psdur", "-t", text, "-o", str(path)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_ALLOWED, check=False
        )
        if done.returncode != 0 or not path.exists():
            raise RuntimeError(f"flite failed ({done.returncode}): {done.stderr[-500:]}")
        with wave.open(str(path)) as sound:
            rate = sound.getframerate()
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    segments = []
    start = 0.0
    for item in done.stdout.split():
        phone, end = item.rsplit(":", 1)
        segments.append(Segment(start, float(end), phone))
        start = float(end)
    return samples.astype(np.float32) / np.float32(32768), rate, segments
