"""Infer's composition root: who works with whom, by the environment."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2

from functions.chain import Handle, Surroundings
from functions.infer.backends import OnnxRuntime
from functions.infer.backends.offered import order
from functions.infer.breaker import Recovery
from functions.infer.ear import Ear
from functions.infer.family import Family
from functions.infer.handler import Infer
from functions.infer.manifest import DEFAULT_MODEL, find_model
from functions.infer.model_shelf import LoadedModels, ModelShelf, load_family
from functions.infer.recovery import start
from functions.infer.router import Router
from functions.infer.sampling import Meter
from functions.infer.settings import InferSettings
from functions.infer.telemetry import DEVICES
from functions.infer.weight_cache import WeightCache
from functions.settings import FACE_MESH_FILE, CacheSettings, ModelSettings


def build(around: Surroundings) -> Handle:
    """Infer's handler with everything it needs; models are loaded when they are first wanted."""
    # One process per core; threads of OpenCV's would only compete with the others.
    cv2.setNumThreads(1)
    settings = InferSettings()
    recovery = Recovery(settings.retry_seconds, settings.retry_most_seconds)
    router = Router(order(settings), recovery)
    DEVICES.watch([device.backend for device in router.devices])
    start(router)
    caches, models = CacheSettings(), ModelSettings()
    weights = WeightCache(
        caches.weight_files,
        caches.weights_limit,
        models.max_file_bytes,
        progress=around.progress,
    )
    shelf = ModelShelf(around.store, around.buckets.models, weights, models.folder)
    infer = Infer(
        store=around.store,
        buckets=around.buckets,
        model=LoadedModels(shelf, router, settings.batch),
        instead=_default_model(settings) if settings.policy == "default-model" else None,
        scratch=around.scratch,
        progress=around.progress,
        meter=_meter(around.models / FACE_MESH_FILE),
    )
    return infer.handle


def _meter(mesh: Path) -> Meter | None:
    """Measures lip sync where the face mesh is installed."""
    if not mesh.is_file():
        return None
    # Not on the device that renders: it is small, and so are its pictures.
    small = OnnxRuntime()
    ear = small.load(find_model(*DEFAULT_MODEL).file("ear.onnx"))
    return Meter(small.load(mesh), Ear(ear))


def _default_model(settings: InferSettings) -> Callable[[], Family]:
    """Loads the model that takes the place of those that no backend can run, on the CPU."""

    @cache
    def load() -> Family:
        manifest = find_model(settings.default_model, settings.default_version)
        return load_family(manifest, OnnxRuntime(threads=settings.threads), settings.batch)

    return load
