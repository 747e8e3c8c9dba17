"""What a job can ask for: `koubo.toml`, dropped before the media."""

import difflib
import json
import tomllib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from functions.errors import Code, RejectedInput

FaceChoice = Literal["largest", "left", "right"] | Annotated[int, Field(ge=1, le=99)]
"""Which of several faces: a number counts them from the picture's left."""


@dataclass(frozen=True)
class Label:
    """How the explicit AI label looks; whether it is there at all is the operator's setting.

    Args:
        language: `zh` shows "AI生成", `en` shows "AI-generated".
        whole: keep it for the whole video, not only its first seconds.
    """

    language: Literal["zh", "en"] = "zh"
    whole: bool = False


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Options:
    """A job's options, with their defaults.

    Args:
        model: the lip-sync model, `name` or `name/version`; empty for the operator's choice.
        loop: what footage shorter than the voice does: forth and back, or from the start again.
        quality: of the encoder: smaller and faster, the default, or better and slower.
        label_language: see `Label.language`.
        label_whole: see `Label.whole`.
        face: which one speaks, where the footage shows several.
    """

    model: str = ""
    loop: Literal["pingpong", "restart"] = "pingpong"
    quality: Literal["speed", "standard", "quality"] = "standard"
    label_language: Literal["zh", "en"] = "zh"
    label_whole: bool = False
    face: FaceChoice = "largest"

    @property
    def label(self) -> Label:
        """The label's part of the options."""
        return Label(self.label_language, self.label_whole)


def write_options(options: Options) -> bytes:
    """The `koubo.toml` that `parse_options` reads back."""
    lines = []
    for name in _NAMES:
        value = getattr(options, name)
        # JSON's strings and truth values are TOML's too, but for pairs of surrogates and DEL.
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        lines.append(f"{name} = {text}\n")
    return "".join(lines).encode()


_NAMES = list(Options.__dataclass_fields__)


def parse_options(text: bytes) -> Options:
    """Reads a `koubo.toml`.

    Raises:
        RejectedInput: it is no TOML, has a key that we don't know, or a value that can't be.
    """
    try:
        values = tomllib.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        # Not only the reader's own errors: endless digits and brackets raise Python's.
        raise RejectedInput(Code.BAD_OPTIONS, f"koubo.toml is not TOML: {error}.") from error
    try:
        options: Options = TypeAdapter(Options).validate_python(values)
    except ValidationError as error:
        raise RejectedInput(Code.BAD_OPTIONS, _explain(error)) from error
    return options


def parse_face(text: str) -> FaceChoice:
    """Reads `face` where it isn't TOML, such as on a command line.

    Raises:
        ValueError: it names no face.
    """
    value = int(text) if text.isascii() and text.isdigit() else text
    try:
        choice: FaceChoice = TypeAdapter(FaceChoice).validate_python(value)
    except ValidationError as error:
        known = "largest, left, right, or a number from 1 to 99, counted from the left"
        raise ValueError(f"{text!r} names no face; known are {known}") from error
    return choice


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "unexpected_keyword_argument":
            near = difflib.get_close_matches(name, _NAMES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_NAMES)}."
            lines.append(f"koubo.toml has an unknown key {name!r}; {hint}")
        else:
            lines.append(f"koubo.toml: {name} is {problem['input']!r}; {problem['msg'].lower()}.")
    return " ".join(lines)
