"""Ultralight Digital Human's published network, from its layer table. Needs torch.

The state dict of https://github.com/anliyuan/Ultralight-Digital-Human: a U-Net of depthwise blocks
that takes in the voice at its narrowest place. Two kinds of audio features, and two widths, of
which the narrow one is meant for phones; the weights tell which it is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from functions.errors import BadModelError

SIZE = 160
WIDE = (32, 64, 128, 256, 512)
NARROW = (16, 32, 64, 128, 256)
AUDIO = {"hubert": (16, 32, 32), "wenet": (128, 16, 32)}
"""What the network hears in each frame, by the kind of features."""


class Depthwise(nn.Module):
    """Widens twofold, looks at each channel by itself, narrows again; may add what went in."""

    def __init__(self, taken: int, given: int, stride: int = 1, *, residual: bool = False) -> None:
        super().__init__()
        wide = 2 * taken
        self.conv = nn.Sequential(
            nn.Conv2d(taken, wide, 1, bias=False),
            *(nn.BatchNorm2d(wide), nn.ReLU()),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            *(nn.BatchNorm2d(wide), nn.ReLU()),
            nn.Conv2d(wide, given, 1, bias=False),
            nn.BatchNorm2d(given),
        )
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """[n, taken, h, w]."""
        seen: Tensor = self.conv(x)
        return x + seen if self.residual else seen


class Pair(nn.Module):
    """Two blocks, the second of which adds what went into it."""

    def __init__(self, taken: int, given: int, stride: int = 1) -> None:
        super().__init__()
        first, second = Depthwise(taken, given, stride), Depthwise(given, given, residual=True)
        self.double_conv = nn.Sequential(first, second)

    def forward(self, x: Tensor) -> Tensor:
        """[n, taken, h, w]."""
        seen: Tensor = self.double_conv(x)
        return seen


class Up(nn.Module):
    """Doubles the side and takes up what the way down saw there."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.conv = Pair(taken, given)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """[n, c, h, w] and [n, d, 2h, 2w], c + d of which are taken."""
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        seen: Tensor = self.conv(torch.cat([x, beside], dim=1))
        return seen


class Hears(nn.Module):
    """The audio features to [n, width, 10, 10]."""

    def __init__(self, kind: str, widths: tuple[int, ...]) -> None:
        super().__init__()
        _, second, third, fourth, fifth = widths
        taken = AUDIO[kind][0]
        hubert = kind == "hubert"
        self.conv1 = Depthwise(taken, second if hubert else third, residual=not hubert)
        self.conv2 = Depthwise(second if hubert else third, third, residual=not hubert)
        self.conv3 = nn.Conv2d(third, fourth, 3, (2, 2) if hubert else (1, 2), 1)
        self.bn3 = nn.BatchNorm2d(fourth)
        self.conv4 = Depthwise(fourth, fourth, residual=True)
        self.conv5 = nn.Conv2d(fourth, fifth, 3, 2, 3)
        self.bn5 = nn.BatchNorm2d(fifth)
        self.conv6 = Depthwise(fifth, fifth, residual=True)
        self.conv7 = Depthwise(fifth, fifth, residual=True)

    def forward(self, x: Tensor) -> Tensor:
        """See `AUDIO`."""
        x = torch.relu(self.bn3(self.conv3(self.conv2(self.conv1(x)))))
        x = torch.relu(self.bn5(self.conv5(self.conv4(x))))
        heard: Tensor = self.conv7(self.conv6(x))
        return heard


class _Inside(nn.Module):
    """Something under the name that the published state dict has for it."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.add_module(name, inner)
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.get_submodule(self.name)(x)
        return seen


class Ultralight(nn.Module):
    """[n, 6, 160, 160] faces and the voice (see `AUDIO`) to [n, 3, 160, 160] in 0..1.

    Args:
        kind: `hubert` or `wenet`.
        widths: `WIDE` or `NARROW`.
    """

    def __init__(self, kind: str = "hubert", widths: tuple[int, ...] = WIDE) -> None:
        super().__init__()
        self.audio_model = Hears(kind, widths)
        last = widths[-1]
        self.fuse_conv = nn.Sequential(Pair(2 * last, last), Pair(last, widths[3]))
        self.inc = _Inside("inconv", nn.Sequential(Depthwise(6, widths[0])))
        for level in range(1, 5):
            pair = Pair(widths[level - 1], widths[level], 2)
            self.add_module(f"down{level}", _Inside("maxpool_conv", nn.Sequential(pair)))
        # Half of what a way up takes is the way down's; the last one gives all it takes in width.
        given = (widths[3] // 2, widths[2] // 2, widths[1] // 2, widths[0])
        for level in range(1, 5):
            self.add_module(f"up{level}", Up(widths[5 - level], given[level - 1]))
        self.outc = _Inside("conv", nn.Conv2d(widths[0], 3, 1))

    def forward(self, face: Tensor, audio: Tensor) -> Tensor:
        """See the class."""
        seen = [self.inc(face)]
        for level in range(1, 5):
            seen.append(self.get_submodule(f"down{level}")(seen[-1]))
        x = self.fuse_conv(torch.cat([seen.pop(), self.audio_model(audio)], dim=1))
        for level in range(1, 5):
            x = self.get_submodule(f"up{level}")(x, seen.pop())
        return torch.sigmoid(self.outc(x))


def fitting(weights: dict[str, Tensor]) -> tuple[str, tuple[int, ...]]:
    """The kind of features and the widths that these weights were made for.

    Raises:
        BadModelError: they are no weights of this network.
    """
    heard = weights.get("audio_model.conv1.conv.0.weight")
    shown = weights.get("outc.conv.weight")
    if heard is None or shown is None:
        raise BadModelError(
            "these are no weights of Ultralight: its audio_model and outc are missing"
        )
    narrow = shown.shape[1] == NARROW[0]
    kind = "hubert" if heard.shape[1] == AUDIO["hubert"][0] else "wenet"
    return kind, NARROW if narrow else WIDE
