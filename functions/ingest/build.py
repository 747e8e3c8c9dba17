"""Ingest's composition root: who works with whom, by the environment."""

import cv2

from functions.chain import Handle, Surroundings
from functions.ingest.face_models import find
from functions.ingest.faces import FaceFinder
from functions.ingest.handler import Ingest
from functions.ingest.settings import IngestSettings


def build(around: Surroundings) -> Handle:
    """Ingest's handler with everything it needs."""
    # One process per core; threads of OpenCV's would only compete with the others.
    cv2.setNumThreads(1)
    settings = IngestSettings()
    finder = FaceFinder(find(around.models), threads=1)
    ingest = Ingest(
        store=around.store,
        buckets=around.buckets,
        cache=around.cache,
        finder=finder,
        settings=settings,
        scratch=around.scratch,
        progress=around.progress,
    )
    return ingest.handle
