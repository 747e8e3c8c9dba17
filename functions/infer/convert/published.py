"""From published checkpoints to a model's graphs, family by family. Needs the extra `convert`."""

from collections.abc import Callable
from pathlib import Path

from functions.errors import BadModelError
from functions.infer.convert import musetalk_nets as musetalk
from functions.infer.convert import ultralight_net as ultralight
from functions.infer.convert import wav2lip_layers
from functions.infer.convert import wav2lip_net as wav2lip
from functions.infer.convert.checkpoint import fill, read_weights
from functions.infer.convert.graphs import Form, write_graph

Written = list[Path]


def convert(family: str, source: Path, to: Path, *, program: bool) -> Written:
    """Makes the graphs of a family's published checkpoint.

    Args:
        family: one of `FAMILIES`.
        source: the checkpoint, or the folder of checkpoints for MuseTalk.
        to: a folder for the graphs; made where it is missing.
        program: whether `.pt2` programs are written beside the ONNX files.

    Returns:
        the files that were written.

    Raises:
        BadModelError: the source isn't what the family's authors publish.
    """
    if family not in FAMILIES:
        raise BadModelError(f"{family} has no published layout here, only {', '.join(FAMILIES)}")
    if not source.exists():
        raise BadModelError(f"{source} is missing")
    to.mkdir(parents=True, exist_ok=True)
    return FAMILIES[family](source, to, program)


def _wav2lip(source: Path, to: Path, program: bool) -> Written:  # noqa: FBT001 -- see `convert`
    network = fill(wav2lip.Wav2Lip(), read_weights(source), "Wav2Lip for 96 pixels")
    face = (6, wav2lip_layers.SIZE, wav2lip_layers.SIZE)
    form = Form({"mel": (1, 80, 16), "face": face}, "shown")
    return write_graph(network, form, to / "generator.onnx", program=program)


def _ultralight(source: Path, to: Path, program: bool) -> Written:  # noqa: FBT001
    weights = read_weights(source)
    kind, widths = ultralight.fitting(weights)
    network = fill(ultralight.Ultralight(kind, widths), weights, f"Ultralight with {kind}")
    face = (6, ultralight.SIZE, ultralight.SIZE)
    form = Form({"input": face, "audio": ultralight.AUDIO[kind]}, "output")
    return write_graph(network, form, to / "generator.onnx", program=program)


def _musetalk(source: Path, to: Path, program: bool) -> Written:  # noqa: FBT001
    whisper = musetalk.read_whisper(source / musetalk.WHISPER)
    form = Form({"mel": (80, 3000)}, "states")
    files = write_graph(whisper, form, to / "whisper.onnx", program=program)
    vae = musetalk.read_vae(musetalk.find_vae(source))
    form = Form({"image": (3, 256, 256)}, "moments")
    files += write_graph(musetalk.Encodes(vae), form, to / "encoder.onnx", program=program)
    form = Form({"latents": (4, 32, 32)}, "image")
    files += write_graph(musetalk.Decodes(vae), form, to / "decoder.onnx", program=program)
    unet = musetalk.read_unet(source / musetalk.UNET)
    form = Form({"latents": (8, 32, 32), "heard": (50, 384)}, "painted")
    return files + write_graph(unet, form, to / "unet.onnx", program=program)


FAMILIES: dict[str, Callable[[Path, Path, bool], Written]] = {
    "wav2lip": _wav2lip,
    "ultralight": _ultralight,
    "musetalk": _musetalk,
}
