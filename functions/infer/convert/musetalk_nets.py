"""MuseTalk 1.5's four networks, out of the layout in which they are published. Needs torch.

The `models` folder of https://github.com/TMElyralab/MuseTalk holds `musetalkV15/unet.pth` with its
`musetalk.json` (a UNet2DConditionModel of diffusers), `sd-vae` (Stable Diffusion's AutoencoderKL)
and `whisper` (whisper-tiny), each with a `config.json` beside its weights.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from functions.errors import BadModelError
from functions.infer.convert.checkpoint import fill, read_weights

UNET = Path("musetalkV15")
VAES = (Path("sd-vae"), Path("sd-vae-ft-mse"))
WHISPER = Path("whisper")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth")
# How the attention of older autoencoders is called in their files.
_RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD_NAME = re.compile(r"(?<=\.)(query|key|value|proj_attn)(?=\.(?:weight|bias)$)")


class Step(nn.Module):
    """The UNet's first step: [n, 8, 32, 32] and [n, 50, 384] to [n, 4, 32, 32]."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, heard: Tensor) -> Tensor:
        """See the class."""
        time = torch.zeros(1, dtype=torch.int64, device=latents.device)
        painted: Tensor = self.unet(latents, time, heard, return_dict=False)[0]
        return painted


class Encodes(nn.Module):
    """The autoencoder's one half: [n, 3, 256, 256] to the moments [n, 8, 32, 32]."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        moments: Tensor = self.vae.quant_conv(self.vae.encoder(image))
        return moments


class Decodes(nn.Module):
    """The autoencoder's other half: [n, 4, 32, 32] to [n, 3, 256, 256]."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """See the class."""
        image: Tensor = self.vae.decoder(self.vae.post_quant_conv(latents))
        return image


class Listens(nn.Module):
    """Whisper's encoder: [n, 80, 3000] to all its states, [n, 1500, layers + 1, width]."""

    def __init__(self, encoder: WhisperEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, mel: Tensor) -> Tensor:
        """See the class."""
        states = self.encoder(mel, output_hidden_states=True, return_dict=True).hidden_states
        return torch.stack(tuple(states), dim=2)


def read_unet(folder: Path) -> Step:
    """The UNet of a folder with `musetalk.json` and `unet.pth`."""
    unet = UNet2DConditionModel.from_config(_plain(_read_json(folder / "musetalk.json")))
    return Step(fill(unet, read_weights(folder / "unet.pth"), "this UNet"))


def read_vae(folder: Path) -> AutoencoderKL:
    """The autoencoder of a folder with `config.json` and weights."""
    vae = AutoencoderKL.from_config(_plain(_read_json(folder / "config.json")))
    weights = read_weights(_weights_in(folder))
    wanted = vae.state_dict()
    named = {_OLD_NAME.sub(lambda old: _RENAMED[old[1]], name): t for name, t in weights.items()}
    # They were 1 x 1 convolutions in some files, which are the same numbers.
    shaped = {n: t.reshape(wanted[n].shape) if n in wanted else t for n, t in named.items()}
    return fill(vae, shaped, "this autoencoder")


def read_whisper(folder: Path) -> Listens:
    """The encoder of a folder with `config.json` and weights of a whole Whisper."""
    config = WhisperConfig.from_dict(_read_json(folder / "config.json"))
    config._attn_implementation = "sdpa"
    encoder = WhisperEncoder(config)
    part = re.compile(r"^(?:model\.)?encoder\.")
    weights = read_weights(_weights_in(folder))
    own = {part.sub("", name): tensor for name, tensor in weights.items() if part.match(name)}
    return Listens(fill(encoder, own, "this Whisper's encoder"))


def find_vae(source: Path) -> Path:
    """The autoencoder's folder, which has two names in the wild.

    Raises:
        BadModelError: there is neither.
    """
    for name in VAES:
        if (source / name).is_dir():
            return source / name
    raise BadModelError(f"{source} holds none of {', '.join(map(str, VAES))}")


def _weights_in(folder: Path) -> Path:
    for pattern in _WEIGHTS:
        for path in sorted(folder.glob(pattern)):
            return path
    raise BadModelError(f"{folder} holds no weights ({', '.join(_WEIGHTS)})")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadModelError(f"{path} is missing") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadModelError(f"{path} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadModelError(f"{path} holds no settings")
    return values


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without diffusers' notes on who wrote it."""
    return {name: value for name, value in config.items() if not name.startswith("_")}
