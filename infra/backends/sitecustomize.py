"""Copied into each environment: lays it over those below it, whose folders KOUBO_BELOW names."""

import os
import site

for _path in os.environ.get("KOUBO_BELOW", "").split(os.pathsep):
    if _path:
        site.addsitedir(_path)
