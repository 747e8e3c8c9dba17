"""Encode's composition root."""

import cv2

from functions.asgi import app_for
from functions.chain import Handle, Surroundings
from functions.encode.handler import Encode
from functions.encode.settings import EncodeSettings, LabelSettings
from functions.lambda_door import lambda_for


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


app = app_for("encode", build)
lambda_handler = lambda_for("encode", build)
