"""Reads the weights of a checkpoint, and nothing but weights. Needs torch."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from functions.errors import BadModelError

Weights = dict[str, torch.Tensor]

_WRAPPERS = ("state_dict", "model")
_PARALLEL = "module."


def read_weights(path: Path) -> Weights:
    """The tensors of a `.safetensors` file or of what `torch.save` wrote, by name.

    A pickle can run any code when it is read; torch's own reader of plain tensors is used, which
    refuses everything else. Wrappers that training code puts around the tensors are taken off.

    Raises:
        BadModelError: it is no such file, or holds anything besides weights.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        # Mapped, so that memory holds what is used of it.
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise BadModelError(f"{path.name} holds something else than weights: {first}") from error
    for name in _WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    if not isinstance(held, Mapping) or not held:
        raise BadModelError(f"{path.name} holds a {type(held).__name__} instead of named weights")
    for name, tensor in held.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise BadModelError(f"{path.name} holds {name!r}, which is no weight")
    return {name.removeprefix(_PARALLEL): tensor for name, tensor in held.items()}


def fill(network: torch.nn.Module, weights: Weights, what: str) -> torch.nn.Module:
    """Puts weights into a network and makes it ready to be exported.

    Raises:
        BadModelError: names or shapes are another network's.
    """
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        said = " ".join(line[:200] for line in lines)
        raise BadModelError(f"these are no weights of {what}: {said}") from error
    return network.float().eval()


def _read_safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError  # noqa: PLC0415 -- only where there is such a file
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise BadModelError(f"{path.name} is no safetensors file: {error}") from error


def _is_zip(path: Path) -> bool:
    """Whether it has the form that torch can map: those before torch 1.6 are one long pickle."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
