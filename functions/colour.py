"""What the numbers of a YUV picture mean."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Colour:
    """How YUV numbers become colours, and the tags that say so in the output.

    Args:
        matrix: which weights luma was made with.
        full_range: luma spans 0..255, not 16..235.
        primaries: the source's tag, as ffmpeg names it; passed on.
        transfer: the source's tag, as ffmpeg names it; passed on.
    """

    matrix: Literal["bt601", "bt709", "bt2020"] = "bt709"
    full_range: bool = False
    primaries: str = "unknown"
    transfer: str = "unknown"
