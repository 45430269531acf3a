"""The four networks of MLPerf Tiny, and two of FINN's for binary weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mase_opt.training.models.small import classes_of, image_of
from mase_opt.training.registry import DatasetInfo, model

if TYPE_CHECKING:
    from torch import nn

MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
MOBILENET_END = ((512, 1),) * 5 + ((1024, 2), (1024, 1))
"""Channels and strides of MobileNetV1's separable convolutions."""


@model("resnet8")
def resnet8(info: DatasetInfo, width: int = 16) -> nn.Module:
    """MLPerf Tiny: image classification, ResNet of 8 layers for 32x32 pixels."""
    from mase_opt.training.models.tiny_nets import ConvNorm, Pooled, Residual

    layers = [
        ConvNorm(image_of(info, 8)[0], width),
        Residual(width, width, 1),
        Residual(width, 2 * width, 2),
        Residual(2 * width, 4 * width, 2),
    ]
    return Pooled(layers, 4 * width, classes_of(info))


@model("ds-cnn")
def ds_cnn(info: DatasetInfo, width: int = 64, blocks: int = 4) -> nn.Module:
    """MLPerf Tiny: keyword spotting, separable convolutions on 49x10 coefficients."""
    from mase_opt.training.models.tiny_nets import ConvNorm, Pooled

    layers = [ConvNorm(image_of(info, 8)[0], width, (10, 4), 2, padding=(5, 1))]
    for _ in range(blocks):
        layers += [ConvNorm(width, width, groups=width), ConvNorm(width, width, 1)]
    return Pooled(layers, width, classes_of(info))


@model("mobilenetv1-025")
def mobilenetv1_025(info: DatasetInfo, share: float = 0.25) -> nn.Module:
    """MLPerf Tiny: visual wake words, a quarter of MobileNetV1's channels."""
    from mase_opt.training.models.tiny_nets import ConvNorm, Pooled

    before = round(32 * share)
    layers = [ConvNorm(image_of(info, 32)[0], before, 3, 2)]
    for channels, stride in (*MOBILENET, *MOBILENET_END):
        after = round(channels * share)
        layers.append(ConvNorm(before, before, 3, stride, groups=before))
        layers.append(ConvNorm(before, after, 1))
        before = after
    return Pooled(layers, before, classes_of(info))


@model("deep-autoencoder", tasks=("reconstruction",))
def deep_autoencoder(
    info: DatasetInfo, hidden: int = 128, narrow: int = 8
) -> nn.Module:
    """MLPerf Tiny: anomaly detection, 640 numbers through 8 and back."""
    from mase_opt.training.models.tiny_nets import Autoencoder

    return Autoencoder(info.features, hidden, narrow)


@model("tfc")
def tfc(info: DatasetInfo, hidden: int = 64) -> nn.Module:
    """FINN's TFC in floating point: three hidden layers of 64."""
    from mase_opt.training.models.tiny_nets import binary_mlp

    return binary_mlp((info.features, hidden, hidden, hidden, classes_of(info)))


@model("cnv")
def cnv(info: DatasetInfo, width: int = 64, hidden: int = 512) -> nn.Module:
    """FINN's CNV in floating point: six convolutions, for 32x32 pixels."""
    from mase_opt.training.models.tiny_nets import Cnv

    channels, side, _ = image_of(info, 30)
    return Cnv(channels, side, classes_of(info), width, hidden)
