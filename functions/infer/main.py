"""Infer's doors: the app that uvicorn serves, and what AWS Lambda calls.

They are no part of `build.py`, since workers of the embedded default need no door and start sooner
without the libraries of one.
"""

from functions.asgi import app_for
from functions.infer.build import build
from functions.lambda_door import lambda_for

app = app_for("infer", build)
lambda_handler = lambda_for("infer", build)
