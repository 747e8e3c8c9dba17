"""Checkpoints in the layouts in which models are published, with random weights."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import WhisperConfig, WhisperModel

# As `musetalk.json` has it.
UNET = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.6.0.dev0",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 384,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 8,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}
VAE = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 256,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
WHISPER_TINY = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "max_source_positions": 1500,
    "num_mel_bins": 80,
    "decoder_layers": 1,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 16,
    "vocab_size": 100,
    **{f"{name}_token_id": 1 for name in ("pad", "bos", "eos", "decoder_start")},
}
SMALL_UNET = UNET | {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1}
SMALL_VAE = VAE | {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1}
SMALL_WHISPER = WHISPER_TINY | {"encoder_ffn_dim": 32}

OLD_NAMES = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))


def write_unet(folder: Path, config: dict) -> UNet2DConditionModel:
    """`musetalk.json` and `unet.pth`."""
    folder.mkdir(parents=True)
    unet = UNet2DConditionModel.from_config(plain(config)).eval()
    torch.save(unet.state_dict(), folder / "unet.pth")
    (folder / "musetalk.json").write_text(json.dumps(config))
    return unet


def write_vae(folder: Path, config: dict) -> AutoencoderKL:
    """`config.json` and weights, whose attention has the names of old files."""
    folder.mkdir(parents=True)
    vae = AutoencoderKL.from_config(plain(config)).eval()
    weights = {}
    for name, tensor in vae.state_dict().items():
        old = name
        for new, other in OLD_NAMES:
            old = old.replace(f".{new}.", f".{other}.")
        weights[old] = tensor
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return vae


def write_whisper(folder: Path, config: dict) -> WhisperModel:
    """`config.json` and the weights of a whole Whisper."""
    folder.mkdir(parents=True)
    whisper = WhisperModel(WhisperConfig(**config)).eval()
    weights = {f"model.{name}": tensor for name, tensor in whisper.state_dict().items()}
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return whisper


def plain(config: dict) -> dict:
    """Without diffusers' notes."""
    return {name: value for name, value in config.items() if not name.startswith("_")}
