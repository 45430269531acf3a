"""
CSWin Transformer, after Dong et al., arXiv:2107.00652, in the smallest useful form.

Half of the heads attend within horizontal stripes, half within vertical ones; values
get a depthwise convolution as positional encoding (LePE). The last stage attends over
the whole map.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


class StripeAttention(nn.Module):
    """Attention within stripes of `rows` x `columns` of a map; `[N, H, W, C]`."""

    def __init__(self, dim: int, heads: int, rows: int, columns: int):
        super().__init__()
        self.heads, self.rows, self.columns = heads, rows, columns
        self.position = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        n, height, width, dim = q.shape
        down, across = height // self.rows, width // self.columns
        image = v.reshape(n, down, self.rows, across, self.columns, dim)
        image = image.permute(0, 1, 3, 5, 2, 4).flatten(0, 2)
        position = self.position(image).flatten(2)
        position = position.unflatten(1, (self.heads, -1)).transpose(2, 3)
        q, k, v = (self.split(t, down, across) for t in (q, k, v))
        out = scaled_dot_product_attention(q, k, v) + position
        out = out.transpose(1, 2).reshape(n, down, across, self.rows, self.columns, dim)
        return out.permute(0, 1, 3, 2, 4, 5).reshape(n, height, width, dim)

    def split(self, t: torch.Tensor, down: int, across: int) -> torch.Tensor:
        """`[N, H, W, C]` to `[stripes, heads, positions, C / heads]`."""
        n, _, _, dim = t.shape
        t = t.reshape(n, down, self.rows, across, self.columns, dim)
        t = t.permute(0, 1, 3, 2, 4, 5).reshape(
            n * down * across, self.rows * self.columns, self.heads, dim // self.heads
        )
        return t.transpose(1, 2)


class Block(nn.Module):
    """Cross-shaped window attention and an MLP, both residual."""

    def __init__(self, dim: int, heads: int, size: int, stripe: int, last: bool):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        if last:
            self.parts = nn.ModuleList([StripeAttention(dim, heads, size, size)])
        else:
            self.parts = nn.ModuleList(
                [
                    StripeAttention(dim // 2, heads // 2, stripe, size),
                    StripeAttention(dim // 2, heads // 2, size, stripe),
                ]
            )
        self.projection = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = len(self.parts)
        chunks = [t.chunk(parts, -1) for t in self.qkv(self.norm1(x)).chunk(3, -1)]
        attended = [
            part(*(chunk[i] for chunk in chunks)) for i, part in enumerate(self.parts)
        ]
        x = x + self.projection(torch.cat(attended, -1))
        return x + self.mlp(self.norm2(x))


class Downsample(nn.Module):
    """Halve the map, change the width."""

    def __init__(self, dim: int, out: int):
        super().__init__()
        self.conv = nn.Conv2d(dim, out, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x.permute(0, 3, 1, 2))
        return self.norm(x.permute(0, 2, 3, 1))


class CSWin(nn.Module):
    """
    Four stages with stripes of growing width; images `[N, channels, size, size]`.

    Stripes that do not divide a map are as wide as what divides both.
    """

    def __init__(
        self,
        size: int = 64,
        dim: int = 16,
        depths: tuple[int, ...] = (1, 1, 2, 1),
        heads: tuple[int, ...] = (2, 2, 4, 4),
        stripes: tuple[int, ...] = (1, 2, 2, 2),
        classes: int = 10,
        *,
        channels: int = 3,
    ):
        super().__init__()
        self.embed = nn.Conv2d(channels, dim, 7, stride=4, padding=2)
        self.norm = nn.LayerNorm(dim)
        size //= 4
        self.stages = nn.ModuleList()
        for stage, depth in enumerate(depths):
            last = stage == len(depths) - 1
            layers: list[nn.Module] = []
            if stage:
                layers.append(Downsample(dim, 2 * dim))
                dim, size = 2 * dim, size // 2
            layers += [
                Block(dim, heads[stage], size, math.gcd(stripes[stage], size), last)
                for _ in range(depth)
            ]
            self.stages.append(nn.Sequential(*layers))
        self.head_norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.embed(x).permute(0, 2, 3, 1))
        for stage in self.stages:
            x = stage(x)
        return self.head(self.head_norm(x).mean((1, 2)))
