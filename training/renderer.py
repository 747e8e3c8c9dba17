"""The mouth renderer: geometry alone, written in torch so that it can be exported to ONNX.

Nothing in it is learned. Radial basis functions carry the landmarks of the lower face to where the
mouth tracks want them, a dense flow warps the crop, and the opening is filled with teeth, tongue
and the dark behind them: real ones from a reference frame where it shows any, drawn ones else.

Coordinates are the crop's, -1..1 from outer edge to outer edge, y down. Lengths called `hw` are
half the width of the mouth's opening. All that is costly happens in two fixed rectangles: FLOW,
outside of which the flow is zero, and MOUTH, where an opening can lie.

Run as `python -m training.renderer [FILE]`.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from functions.infer.mouth import LANDMARKS
from training.mouth_canvas import FLOW, MOUTH, SIZE, SKIN, bicubic, blur, centres, ramp, smooth
from training.mouth_lips import (
    CHEEKS,
    CHIN,
    JAW,
    LOWER,
    LOWER_OUTER,
    PHILTRUM,
    SKULL,
    UPPER,
    UPPER_OUTER,
    Lips,
    along,
    corner_centre,
    place,
)
from training.mouth_opening import Opening

OPSET = 17
TO = Path(__file__).parents[1] / "functions/infer/models/viseme/1/mouth.onnx"

# How far each group's pull reaches; lips hold their shape, the chin moves as one.
_REACH = ((JAW, 0.14), (CHIN, 0.10), (SKULL, 0.13), (PHILTRUM, 0.07), (CHEEKS, 0.11))
_LIP_REACH = 0.075
_FAR = 0.02  # weight of "no movement": decides how fast a pull dies away
_GRID = (32, 36)  # nodes of the flow, down and across; bicubic between them


class MouthRenderer(nn.Module):
    """Renders a mouth that is open, wide, closed and touching its teeth as the tracks say.

    Takes face (B, 3, 256, 256) RGB in 0..1, lm (B, K, 2), mouth (B, 4) as open 0..1, width -1..1,
    close 0..1, lipteeth 0..1; gain (B, 2): of the opening, and of the source's mouth width to
    bring it to rest; ref (1, 3, 256, 256) with ref_lm (1, K, 2): a frame of the same face whose
    mouth is open. Returns (B, 3, 256, 256) RGB in 0..1, equal to face outside FLOW.
    """

    def __init__(self) -> None:
        super().__init__()
        axis = centres(SIZE)
        self.row_y = nn.Buffer(axis[FLOW.top : FLOW.bottom, None])
        self.column_x = nn.Buffer(axis[None, FLOW.left : FLOW.right])
        identity = torch.stack(
            torch.broadcast_tensors(self.column_x, self.row_y),
        )
        self.identity = nn.Buffer(identity[None])
        self.blur = nn.Buffer(blur(FLOW.right - FLOW.left, 2.0))
        self.falloff = nn.Buffer(self._falloff())
        self.sides = nn.Buffer(self._sides())
        nodes_y, nodes_x, window = self._nodes()
        self.nodes = nn.Buffer(torch.stack([nodes_x, nodes_y], -1).reshape(1, -1, 2))
        self.window = nn.Buffer(window)
        self.up_rows = nn.Buffer(bicubic(_GRID[0], FLOW.bottom - FLOW.top))
        self.up_columns = nn.Buffer(bicubic(_GRID[1], FLOW.right - FLOW.left).T.contiguous())

    @staticmethod
    def _falloff() -> Tensor:
        reach = torch.full((len(LANDMARKS),), _LIP_REACH)
        for group, value in _REACH:
            reach[group] = value
        return 1 / (2 * reach**2)

    @staticmethod
    def _sides() -> Tensor:
        """(2, K): which landmarks pull at what lies above the mouth's line, and at what is below.

        Only so can the lips part: neighbours on either side of the line go different ways.
        """
        sides = torch.ones(2, len(LANDMARKS))
        for group in (LOWER_OUTER, LOWER, JAW, CHIN):
            sides[0, group] = 0
        for group in (UPPER_OUTER, UPPER, PHILTRUM):
            sides[1, group] = 0
        return sides

    @staticmethod
    def _nodes() -> tuple[Tensor, Tensor, Tensor]:
        """Grid nodes in FLOW, and a window over them that is 0 in the outermost two."""
        rows, columns = _GRID
        y = torch.arange(rows).add(0.5).mul((FLOW.bottom - FLOW.top) / rows).add(FLOW.top)
        x = torch.arange(columns).add(0.5).mul((FLOW.right - FLOW.left) / columns).add(FLOW.left)
        y, x = torch.meshgrid(y / SIZE * 2 - 1, x / SIZE * 2 - 1, indexing="ij")
        # The ellipse lies a little outside the paste mask's, so that the flow ends within it.
        ellipse = ((x / 0.90) ** 2 + ((y - 0.06) / 0.90) ** 2).sqrt()
        window = smooth((1 - ellipse) / 0.3) * smooth((y + 0.55) / 0.25)
        window[:2] = window[-2:] = 0
        window[:, :2] = window[:, -2:] = 0
        return y, x, window

    def forward(
        self, face: Tensor, lm: Tensor, mouth: Tensor, gain: Tensor, ref: Tensor, ref_lm: Tensor
    ) -> Tensor:
        """See the class."""
        lips = place(lm, mouth, gain)
        edges = [along(lips.target[:, lip], self.column_x) for lip in (UPPER, LOWER)]
        # Both at once: the product of a single row is rounded in another way than that of many,
        # and a frame has to be the same bits in a batch of one.
        upper, lower = (torch.stack(edges, 1) @ self.blur).unbind(1)
        flow = self.flow(lips, (upper + lower) / 2)
        warped = self.sample(face, self.identity + flow)
        inner = MOUTH.within(FLOW)
        columns = slice(inner.left, inner.right)
        skin = SKIN.of(face).mean((2, 3), keepdim=True)
        identity = inner.of(self.identity)
        opening = Opening(lips, identity, upper[:, columns], lower[:, columns], skin)
        filled = opening.fill(inner.of(warped), self.sample, ref, ref_lm)
        return FLOW.put(face, inner.put(warped, filled)).clamp(0, 1)

    def flow(self, lips: Lips, line: Tensor) -> Tensor:
        """(B, 2, rows, columns): what to add to a place in FLOW to find what is shown there.

        Args:
            lips: from `place`.
            line: (B, columns) y of the line that parts above from below.
        """
        to, move = lips.target, lips.source - lips.target
        pull = self._pull(to, to)
        moves = move[:, None].expand(-1, 2, -1, -1)
        # Normalised weights flatten the movement; giving back what is missing at the landmarks
        # twice brings lips that must meet within a pixel of each other.
        for _ in range(2):
            moves = moves + (move[:, None] - self._spread(pull, moves))
        coarse = self._spread(self._pull(self.nodes, to), moves).transpose(2, 3)
        coarse = coarse.reshape(-1, 2, 2, *_GRID) * self.window
        above, below = (self.up_rows @ coarse @ self.up_columns).unbind(1)
        beyond = ((self.column_x - corner_centre(to)).abs() / lips.half_width - 0.95).clamp(min=0)
        # Hard between the lips: halfway between the two flows lies the inside of an open source.
        softness = 0.001 + 0.5 * beyond * lips.half_width
        lower = ramp((self.row_y - line[:, None]) / softness[:, None])[:, None]
        return above + (below - above) * lower

    def _pull(self, at: Tensor, to: Tensor) -> Tensor:
        """(B, N, K): how strongly each target landmark pulls at each of the places (B or 1, N, 2).

        exp(-|p - t|^2 / 2 s^2), its square multiplied out so that it is one matrix product.
        """
        square = (at**2).sum(-1, keepdim=True)
        places = torch.cat([square, -2 * at, torch.ones_like(square)], -1)
        ones = torch.ones_like(to[..., :1])
        landmarks = torch.cat([ones, to, (to**2).sum(-1, keepdim=True)], -1)
        scaled = (landmarks * self.falloff[:, None]).transpose(1, 2)
        return torch.exp(-(places @ scaled))

    def _spread(self, pull: Tensor, moves: Tensor) -> Tensor:
        """(B, 2, N, 2): the landmarks' moves (B, 2, K, 2), blended at N places on either side."""
        sided = torch.cat([moves, torch.ones_like(moves[..., :1])], -1) * self.sides[:, :, None]
        blended = pull @ torch.cat(list(sided.unbind(1)), -1)
        blended = torch.stack(list(blended.split(3, -1)), 1)
        return blended[..., :2] / (blended[..., 2:] + _FAR)

    @staticmethod
    def sample(image: Tensor, places: Tensor) -> Tensor:
        """An image's colours at (B, 2, rows, columns) places."""
        # Padding with zeros is several times faster in onnxruntime than repeating the border;
        # places held half a pixel inside the edge make the two equal.
        edge = 1 - 1 / SIZE
        return nn.functional.grid_sample(
            image,
            places.clamp(-edge, edge).permute(0, 2, 3, 1),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )


def export(to: Path) -> None:
    """Writes the renderer as ONNX; the batch is free, the rest of every shape is fixed."""
    count, landmarks = 2, len(LANDMARKS)
    names = ("face", "lm", "mouth", "gain", "ref", "ref_lm")
    shapes = (
        *((count, 3, SIZE, SIZE), (count, landmarks, 2), (count, 4), (count, 2)),
        *((1, 3, SIZE, SIZE), (1, landmarks, 2)),
    )
    torch.manual_seed(0)
    batched = ("face", "lm", "mouth", "gain", "patch")
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of each constant that it folds, which is what it is asked to do.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            MouthRenderer().eval(),
            tuple(torch.rand(shape) for shape in shapes),
            str(to),
            input_names=list(names),
            output_names=["patch"],
            dynamic_axes={name: {0: "batch"} for name in batched},
            opset_version=OPSET,
            dynamo=False,
        )


if __name__ == "__main__":
    export(Path(sys.argv[1]) if len(sys.argv) > 1 else TO)
