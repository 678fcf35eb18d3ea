"""A plain port of the published VideoINR network: the oracle of the tests and the benchmark's other side.

Written as the original is: NCHW, every query point of a frame at once, everything recomputed for each pair,
parameters named as in a published state_dict. It knows nothing of this package; nothing here is clever.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 64
GROUPS = 8
FREQUENCY = 30.0
EDGE = 1 - 1e-6


def conv(inputs: int, outputs: int = CHANNELS, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv(CHANNELS)
        self.conv2 = conv(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class DeformablePack(nn.Module):
    """Modulated deformable convolution (DCNv2) with the convolution that finds its offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(CHANNELS, CHANNELS, 3, 3))
        self.bias = nn.Parameter(torch.zeros(CHANNELS))
        self.conv_offset_mask = conv(CHANNELS, 27 * GROUPS)

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        first, second, mask = self.conv_offset_mask(feature).chunk(3, 1)
        offset = torch.cat((first, second), 1).view(batch * GROUPS, 9, 2, height, width)
        mask = torch.sigmoid(mask).view(batch * GROUPS, 1, 9, height, width)
        tap = torch.arange(9)
        y = torch.arange(height).view(1, 1, -1, 1) + (tap // 3 - 1).view(1, -1, 1, 1) + offset[:, :, 0]
        x_position = torch.arange(width).view(1, 1, 1, -1) + (tap % 3 - 1).view(1, -1, 1, 1) + offset[:, :, 1]
        grid = torch.stack(((2 * x_position + 1) / width - 1, (2 * y + 1) / height - 1), -1)
        grouped = x.view(batch * GROUPS, channels // GROUPS, height, width)
        columns = F.grid_sample(grouped, grid.view(batch * GROUPS, 9 * height, width, 2), align_corners=False)
        columns = columns.view(batch * GROUPS, channels // GROUPS, 9, height, width) * mask
        columns = columns.view(batch, channels * 9, height * width)
        out = self.weight.view(channels, -1) @ columns
        return out.view(batch, channels, height, width) + self.bias.view(1, -1, 1, 1)


class PcdAlign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for side in (1, 2):
            for level in (3, 2, 1):
                self.add_module(f"L{level}_offset_conv1_{side}", conv(128))
                self.add_module(f"L{level}_offset_conv2_{side}", conv(64 if level == 3 else 128))
                if level != 3:
                    self.add_module(f"L{level}_offset_conv3_{side}", conv(64))
                    self.add_module(f"L{level}_fea_conv_{side}", conv(128))
                self.add_module(f"L{level}_dcnpack_{side}", DeformablePack())

    def align(self, side: int, aligned: list[Tensor], other: list[Tensor]) -> Tensor:
        def layer(name: str) -> nn.Module:
            return getattr(self, f"{name}_{side}")

        offset = lrelu(layer("L3_offset_conv1")(torch.cat((aligned[2], other[2]), 1)))
        offset = lrelu(layer("L3_offset_conv2")(offset))
        feature = lrelu(layer("L3_dcnpack")(aligned[2], offset))
        for level in (2, 1):
            both = torch.cat((aligned[level - 1], other[level - 1]), 1)
            finer = lrelu(layer(f"L{level}_offset_conv1")(both))
            finer = lrelu(layer(f"L{level}_offset_conv2")(torch.cat((finer, up(offset) * 2), 1)))
            offset = lrelu(layer(f"L{level}_offset_conv3")(finer))
            deformed = layer(f"L{level}_dcnpack")(aligned[level - 1], offset)
            feature = layer(f"L{level}_fea_conv")(torch.cat((deformed, up(feature)), 1))
            if level == 2:
                feature = lrelu(feature)
        return feature

    def forward(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return torch.cat((self.align(1, a, b), self.align(2, b, a)), 1)


class EasyPcd(nn.Module):
    """PCD alignment of two features that brings its own pyramid and fuses the result."""

    def __init__(self) -> None:
        super().__init__()
        self.fea_L2_conv1 = conv(64, stride=2)
        self.fea_L2_conv2 = conv(64)
        self.fea_L3_conv1 = conv(64, stride=2)
        self.fea_L3_conv2 = conv(64)
        self.pcd_align = PcdAlign()
        self.fusion = nn.Conv2d(128, 64, 1)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        half = lrelu(self.fea_L2_conv2(lrelu(self.fea_L2_conv1(x))))
        quarter = lrelu(self.fea_L3_conv2(lrelu(self.fea_L3_conv1(half))))
        return [x, half, quarter]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.fusion(self.pcd_align(self.pyramid(a), self.pyramid(b)))


class LstmCell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(128, 256)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = self.conv(torch.cat((x, h), 1)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class DeformableConvLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell_list = nn.ModuleList([LstmCell()])
        self.pcd_h = EasyPcd()
        self.pcd_c = EasyPcd()

    def forward(self, sequence: list[Tensor]) -> list[Tensor]:
        h = c = torch.zeros_like(sequence[0])
        outputs = []
        for x in sequence:
            h, c = self.cell_list[0](x, self.pcd_h(x, h), self.pcd_c(x, c))
            outputs.append(h)
        return outputs


class ConvBlstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.forward_net = DeformableConvLstm()
        self.conv_1x1 = nn.Conv2d(128, 64, 1)

    def forward(self, sequence: list[Tensor]) -> Tensor:
        onward = self.forward_net(sequence)
        backward = self.forward_net(sequence[::-1])[::-1]
        both = [torch.cat(pair, 1) for pair in zip(onward, backward, strict=True)]
        return torch.stack([self.conv_1x1(pair) for pair in both], 1)


class Sine(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(FREQUENCY * self.linear(x))


class Siren(nn.Module):
    def __init__(self, inputs: int, hidden: list[int], outputs: int) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        layers: list[nn.Module] = [Sine(*pair) for pair in itertools.pairwise(widths)]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) at each point to (B, C, H, W)."""
        return self.net(x).permute(0, 3, 1, 2)


def side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate (B, C, H, W) tensors to (B, H, W, all C), a point's values together."""
    return torch.cat([tensor.permute(0, 2, 3, 1) for tensor in tensors], -1)


def cell_centres(height: int, width: int) -> Tensor:
    """(height, width, 2) pixel centres (y, x) in [-1, 1]."""
    y = -1 + 1 / height + (2 / height) * torch.arange(height).float()
    x = -1 + 1 / width + (2 / width) * torch.arange(width).float()
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)


def sample(x: Tensor, grid_yx: Tensor, mode: str = "bilinear") -> Tensor:
    return F.grid_sample(x, grid_yx.flip(-1), mode=mode, align_corners=False)


class PlainVideoInr(nn.Module):
    """The published network; weights under a published state_dict's names, all 442 of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_first = conv(3)
        self.feature_extraction = nn.Sequential(*(ResidualBlock() for _ in range(5)))
        self.fea_L2_conv1 = conv(64, stride=2)
        self.fea_L2_conv2 = conv(64)
        self.fea_L3_conv1 = conv(64, stride=2)
        self.fea_L3_conv2 = conv(64)
        self.pcd_align = PcdAlign()
        self.fusion = nn.Conv2d(128, 64, 1)
        self.ConvBLSTM = ConvBlstm()
        self.recon_trunk = nn.Sequential(*(ResidualBlock() for _ in range(40)))
        self.upconv1 = conv(64, 256)  # this and the next three are in the state_dict, but unused
        self.upconv2 = conv(64, 256)
        self.HRconv = conv(64)
        self.conv_last = conv(64, 3)
        self.feat_imnet = Siren(201, [64, 64, 256], 64)
        self.flow_imnet = Siren(263, [64, 64, 256], 4)
        self.encode_imnet = Siren(525, [64, 64, 256, 256], 3)

    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        """Compute the features of a pair (B, 2, 3, H, W), sizes multiples of 4, and what lies on the way."""
        batch = frames.shape[0]
        fine = self.feature_extraction(lrelu(self.conv_first(frames.flatten(0, 1))))
        half = lrelu(self.fea_L2_conv2(lrelu(self.fea_L2_conv1(fine))))
        quarter = lrelu(self.fea_L3_conv2(lrelu(self.fea_L3_conv1(half))))
        pyramid = [level.unflatten(0, (batch, 2)) for level in (fine, half, quarter)]
        first = [level[:, 0] for level in pyramid]
        second = [level[:, 1] for level in pyramid]
        aligned = self.pcd_align(first, second)
        fused = self.fusion(aligned)
        recurrent = self.ConvBLSTM([first[0], fused, second[0]])
        feat = self.recon_trunk(recurrent.flatten(0, 1)).unflatten(0, (batch, 3))
        return {
            "feature_extraction": fine,
            "pcd_align": aligned,
            "fusion": fused,
            "ConvBLSTM": recurrent,
            "feat": feat,
        }

    def decode(
        self, frames: Tensor, feat: Tensor, tau: float, size: tuple[int, int], enlargement: int
    ) -> dict[str, Tensor]:
        """Render one instant: (B, 3, Ho, Wo) under ``out``, and what lies on the way."""
        batch, _, _, height, width = frames.shape
        features, rgb = feat.flatten(1, 2), frames.flatten(1, 2)
        query = cell_centres(*size).clamp(-EDGE, EDGE).expand(batch, -1, -1, -1)
        time = torch.full((batch, 1, *size), tau)

        centres = cell_centres(height, width).permute(2, 0, 1).expand(batch, -1, -1, -1)
        relative = query.permute(0, 3, 1, 2) - sample(centres, query, "nearest")
        relative = relative * torch.tensor([height, width]).view(1, 2, 1, 1)
        near = [sample(features, query, "nearest"), sample(rgb, query, "nearest")]
        hr_feature = self.feat_imnet(side_by_side([*near, relative, time]))
        near.clear()  # large: kept, such inputs would count against the port in the benchmark

        if enlargement != 1:
            rgb = F.interpolate(rgb, scale_factor=enlargement, mode="bilinear", align_corners=False)
        at_query = [sample(hr_feature, query, "nearest"), sample(features, query), sample(rgb, query)]
        flow = self.flow_imnet(side_by_side([*at_query, time]))
        at_query.clear()

        half_size = torch.tensor([(size[0] - 1) / 2, (size[1] - 1) / 2]).view(1, 2, 1, 1)
        axes = torch.linspace(-1, 1, size[0]), torch.linspace(-1, 1, size[1])
        corners = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        grids = [
            (corners + f.flip(1) / half_size).clamp(-EDGE, EDGE).permute(0, 2, 3, 1) for f in flow.chunk(2, 1)
        ]
        warped = side_by_side(
            [*(sample(table, grid) for table in (hr_feature, features, rgb) for grid in grids), time]
        )
        return {"hr_feature": hr_feature, "flow": flow, "out": self.encode_imnet(warped)}
