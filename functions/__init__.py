"""Koubo: a voice and a face in, a lip-synced talking-head video out.

A folder in here is a function that can be deployed on its own; a file is what the functions share.
"""

import os

# Since 1.29 onnxruntime for Linux tells its maker about every model that it loads, unless this
# stands in the environment before it is imported. Whoever wants that can set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Work is spread over processes, one a core; libraries that take all cores for one product of small
# matrices only make them wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
