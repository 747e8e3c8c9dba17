"""Encode's composition root: who works with whom, by the environment."""

import cv2

from functions.chain import Handle, Surroundings
from functions.encode.handler import Encode
from functions.encode.settings import EncodeSettings, LabelSettings


def build(around: Surroundings) -> Handle:
    """Encode's handler, with its settings from the environment."""
    # One process per core works on one segment each; threads of OpenCV's would only compete.
    cv2.setNumThreads(1)
    encode = Encode(
        store=around.store,
        buckets=around.buckets,
        cache=around.cache,
        settings=EncodeSettings(),
        labels=LabelSettings(),
        scratch=around.scratch,
        progress=around.progress,
    )
    return encode.handle
