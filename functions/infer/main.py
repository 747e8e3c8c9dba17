"""Infer's composition root."""

from functools import cache

import cv2

from functions.asgi import app_for
from functions.chain import Handle, Surroundings
from functions.errors import NotSetUpError
from functions.infer.backends import OnnxRuntime
from functions.infer.family import Family
from functions.infer.handler import Infer
from functions.infer.manifest import find_model
from functions.infer.settings import InferSettings
from functions.infer.viseme import Viseme
from functions.lambda_door import lambda_for
from functions.plans import Model

FAMILIES = {"viseme": Viseme.load}


def build(around: Surroundings) -> Handle:
    """Infer's handler with everything it needs; models are loaded when they are first wanted."""
    # One process per core; threads of OpenCV's would only compete with the others.
    cv2.setNumThreads(1)
    settings = InferSettings()
    backend = OnnxRuntime(settings.threads, settings.provider)

    @cache
    def model(wanted: Model) -> Family:
        manifest = find_model(wanted.name, wanted.version)
        if manifest.family not in FAMILIES:
            raise NotSetUpError(f"model {manifest.label} is of an unknown family")
        return FAMILIES[manifest.family](manifest, backend, settings.batch)

    infer = Infer(
        store=around.store,
        buckets=around.buckets,
        model=model,
        scratch=around.scratch,
        progress=around.progress,
    )
    return infer.handle


app = app_for("infer", build)
lambda_handler = lambda_for("infer", build)
