"""Programs of one torch module or function each, as expressions of their inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import sweeps
import torch

F, nn = torch.nn.functional, torch.nn

CORNERS = np.array(
    "-3 -2.5 -2 -1.75 -1.5 -1.25 -1 -.75 -.5 -.25 -.1 -0 "
    "0 .1 .25 .5 .75 1 1.25 1.5 2 2.5 2.75 3".split(),
    np.float64,
)
"""Ends, ties, thresholds of activations, and both zeros."""


def _floats(*shape: int, seed: int = 0) -> torch.Tensor:
    """Corners first, then numbers from -3 to 3."""
    count = int(np.prod(shape))
    rng = np.random.default_rng([seed, *shape])
    values = np.concatenate([CORNERS, rng.uniform(-3, 3, max(count - 24, 0))])[:count]
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def _ints(*shape: int, seed: int, dtype: torch.dtype) -> torch.Tensor:
    """The ends of the type, small numbers, then any."""
    info = torch.iinfo(dtype)
    lowest, highest = int(info.min), int(info.max)
    corners = [lowest, highest, 0, 1, 2, 7, 100, lowest + 1, highest - 1, highest // 3]
    if lowest:
        corners += [-1, -2, -7, -100, -8, 8, highest // 2, -(highest // 3)]
    if info.bits > 53:
        corners += [2**53 + 1, -(2**53) - 1, 2**62 + 3]
    rng = np.random.default_rng([seed, *shape])
    count = int(np.prod(shape))
    values = np.array(corners, dtype=object)
    others = rng.integers(-9, 10, count) if lowest else rng.integers(0, 256, count)
    values = np.concatenate([values, others.astype(object)])[:count]
    rng.shuffle(values)
    name = str(dtype).removeprefix("torch.")
    return torch.from_numpy(values.astype(name).reshape(shape))


def _inputs() -> dict[str, torch.Tensor]:
    x, y = _floats(4, 12), _floats(4, 12, seed=1).flip(0).roll(5, 1)
    inputs = {
        "x": x,
        "y": y,
        "z": _floats(4, 12, seed=2).roll(7, 1),
        "p": x.abs() + 0.25,
        "q": torch.where(y == 0, 0.5, y),
        "unit": (x + 3) / 6,
        "row": _floats(12, seed=3),
        "seq": _floats(2, 4, 12),
        "image": _floats(2, 4, 8, 10),
        "one_image": _floats(4, 8, 10),
        "small": _floats(2, 4, 3, 5),
        "volume": _floats(1, 2, 4, 5, 6),
        "square": _floats(2, 5, 5),
        "b": y > 0,
        "labels": torch.tensor([1, 0, 11, 5]),
        "indices": torch.tensor([[1, 0, 5, 2], [3, 3, 0, 4]]),
        "signs": torch.where(x > 0, 1.0, -1.0),
    }
    for bits in (8, 16, 32, 64):
        dtype = getattr(torch, f"int{bits}")
        inputs[f"i{bits}"] = _ints(3, 8, seed=1, dtype=dtype)
        inputs[f"j{bits}"] = _ints(3, 8, seed=2, dtype=dtype)
        inputs[f"n{bits}"] = _nonzero(inputs[f"j{bits}"])
    inputs["u8"] = _ints(3, 8, seed=1, dtype=torch.uint8)
    inputs["v8"] = _ints(3, 8, seed=2, dtype=torch.uint8)
    inputs["nu8"] = _nonzero(inputs["v8"])
    return inputs


def _nonzero(values: torch.Tensor) -> torch.Tensor:
    return torch.where(values == 0, 3, values)


INPUTS = _inputs()


MODULES: dict[str, list[str]] = {
    # activations
    "x": [
        "nn.ELU()", "nn.ELU(0.7)", "nn.CELU()", "nn.CELU(0.5)", "nn.SELU()",
        "nn.GELU()", "nn.GELU('tanh')", "nn.GLU()", "nn.GLU(0)",
        "nn.Hardshrink()", "nn.Hardshrink(0.75)", "nn.Hardshrink(0.0)",
        "nn.Softshrink()", "nn.Softshrink(0.75)", "nn.Softshrink(0.0)",
        "nn.Hardsigmoid()", "nn.Hardswish()", "nn.Hardtanh()",
        "nn.Hardtanh(-0.5, 2.0)", "nn.Hardtanh(0.0, 6.0)", "nn.Identity()",
        "nn.LeakyReLU()", "nn.LeakyReLU(0.25)", "nn.LeakyReLU(-0.5)",
        "nn.LogSigmoid()", "nn.LogSoftmax(1)", "nn.LogSoftmax(0)", "nn.Mish()",
        "nn.PReLU()", "nn.PReLU(12)", "nn.ReLU()", "nn.ReLU6()", "nn.RReLU()",
        "nn.RReLU(0.1, 0.4)", "nn.Sigmoid()", "nn.SiLU()", "nn.Softmax(1)",
        "nn.Softmax(0)", "nn.Softmin(1)", "nn.Softplus()", "nn.Softplus(2.0)",
        "nn.Softplus(1.0, 1.0)", "nn.Softplus(0.5, 2.0)", "nn.Softsign()",
        "nn.Tanh()", "nn.Tanhshrink()", "nn.Threshold(0.5, -1.0)",
        "nn.Threshold(-0.5, 2.0)", "nn.Threshold(0.0, 0.0)",
        "nn.Dropout()", "nn.AlphaDropout()", "nn.FeatureAlphaDropout()",
        "nn.Flatten(0)", "nn.Unflatten(1, (3, 4))", "nn.Linear(12, 5)",
        "nn.Linear(12, 5, bias=False)", "nn.LayerNorm(12)", "nn.LayerNorm((4, 12))",
        "nn.LayerNorm(12, bias=False)", "nn.LayerNorm(12, elementwise_affine=False)",
        "nn.RMSNorm(12)", "nn.RMSNorm((4, 12), eps=0.1)",
        "nn.RMSNorm(12, elementwise_affine=False)", "nn.BatchNorm1d(12)",
        "nn.BatchNorm1d(12, affine=False)",
        "nn.BatchNorm1d(12, track_running_stats=False)", "nn.GroupNorm(3, 12)",
        "nn.RNNCell(12, 5)", "nn.RNNCell(12, 5, nonlinearity='relu')",
        "nn.GRUCell(12, 5)", "nn.LSTMCell(12, 5)",
        "nn.Sequential(nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 3))",
        "nn.RNN(12, 5)", "nn.GRU(12, 5)", "nn.LSTM(12, 5)",
        "nn.AdaptiveAvgPool1d(3)", "nn.AdaptiveMaxPool1d(3)", "nn.AvgPool1d(3)",
        "nn.MaxPool1d(3)", "nn.ZeroPad1d(2)",
    ],
    "seq": [
        "nn.Conv1d(4, 6, 3)", "nn.Conv1d(4, 6, 3, 2, 1, 2, 2)",
        "nn.Conv1d(4, 6, 4, padding='same')", "nn.Conv1d(4, 6, 3, padding='valid')",
        "nn.Conv1d(4, 6, 3, padding=2, padding_mode='circular')",
        "nn.Conv1d(4, 6, 3, padding=2, padding_mode='reflect')",
        "nn.Conv1d(4, 6, 3, padding=2, padding_mode='replicate')",
        "nn.ConvTranspose1d(4, 6, 3)", "nn.ConvTranspose1d(4, 6, 3, 2, 1, 1)",
        "nn.AvgPool1d(3)", "nn.AvgPool1d(3, 2, 1)", "nn.AvgPool1d(5, 4, 2, True)",
        "nn.AvgPool1d(3, 2, 1, count_include_pad=False)",
        "nn.AvgPool1d(3, 2, 1, True, False)", "nn.MaxPool1d(3)",
        "nn.MaxPool1d(3, 2, 1)", "nn.MaxPool1d(5, 4, 2, 1, ceil_mode=True)",
        "nn.MaxPool1d(3, 2, 1, 2)", "nn.MaxPool1d(3, return_indices=True)",
        "nn.LPPool1d(2, 3)", "nn.LPPool1d(1, 2)", "nn.LPPool1d(3, 2)",
        "nn.AdaptiveAvgPool1d(5)", "nn.AdaptiveAvgPool1d(1)",
        "nn.AdaptiveMaxPool1d(5)", "nn.AdaptiveMaxPool1d(1)",
        "nn.AdaptiveMaxPool1d(3, return_indices=True)",
        "nn.BatchNorm1d(4)", "nn.InstanceNorm1d(4)",
        "nn.InstanceNorm1d(4, affine=True)",
        "nn.InstanceNorm1d(4, affine=True, track_running_stats=True)",
        "nn.GroupNorm(2, 4)", "nn.GroupNorm(4, 4, affine=False)",
        "nn.CircularPad1d((2, 3))", "nn.ReflectionPad1d((2, 3))",
        "nn.ReplicationPad1d((2, 3))", "nn.ZeroPad1d((2, -1))",
        "nn.ConstantPad1d((1, 2), 1.5)", "nn.Upsample(scale_factor=2)",
        "nn.Upsample(scale_factor=1.5)", "nn.Upsample(size=9)",
        "nn.Upsample(scale_factor=2, mode='linear')",
        "nn.Upsample(size=7, mode='linear', align_corners=True)",
        "nn.Dropout1d()", "nn.PReLU(4)", "nn.Softmax(-1)", "nn.Flatten()",
        "nn.ChannelShuffle(2)", "nn.LocalResponseNorm(3)", "nn.Linear(12, 5)",
        "nn.RNN(12, 5, batch_first=True)", "nn.GRU(12, 5, batch_first=True)",
        "nn.LSTM(12, 5, batch_first=True)", "nn.LSTM(12, 5, 2, bidirectional=True)",
        "nn.GRU(12, 5, 2, bidirectional=True)",
        "nn.RNN(12, 5, nonlinearity='relu')",
        "nn.TransformerEncoderLayer(12, 3, 8)",
        "nn.TransformerEncoderLayer(12, 3, 8, batch_first=True, norm_first=True)",
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 3, 8), 2)",
    ],
    "image": [
        "nn.Conv2d(4, 6, 3)", "nn.Conv2d(4, 6, (2, 3), (2, 1), (1, 0), (1, 2), 2)",
        "nn.Conv2d(4, 6, 4, padding='same')", "nn.Conv2d(4, 4, 3, groups=4)",
        "nn.Conv2d(4, 6, 3, padding=1, padding_mode='circular')",
        "nn.Conv2d(4, 6, 3, padding=1, padding_mode='reflect')",
        "nn.Conv2d(4, 6, 3, padding=1, padding_mode='replicate')",
        "nn.Conv2d(4, 6, 1, bias=False)", "nn.ConvTranspose2d(4, 6, 3)",
        "nn.ConvTranspose2d(4, 6, 3, 2, 1, 1)",
        "nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, dilation=2)",
        "nn.AvgPool2d(2)", "nn.AvgPool2d(3, 2, 1)", "nn.AvgPool2d(3, 2, 1, True)",
        "nn.AvgPool2d(3, 2, 1, True, False)", "nn.AvgPool2d(3, 2, 1, False, False)",
        "nn.AvgPool2d(3, 2, 1, divisor_override=5)",
        "nn.AvgPool2d(3, 2, 1, True, divisor_override=5)",
        "nn.AvgPool2d((2, 3), (1, 2))", "nn.MaxPool2d(2)", "nn.MaxPool2d(3, 2, 1)",
        "nn.MaxPool2d(3, 2, 1, 2)", "nn.MaxPool2d(3, 2, 1, ceil_mode=True)",
        "nn.MaxPool2d(2, return_indices=True)", "nn.LPPool2d(2, 2)",
        "nn.LPPool2d(1, 3, 2)", "nn.FractionalMaxPool2d(2, output_size=4)",
        "nn.AdaptiveAvgPool2d(1)", "nn.AdaptiveAvgPool2d((3, 4))",
        "nn.AdaptiveAvgPool2d((None, 2))", "nn.AdaptiveMaxPool2d(1)",
        "nn.AdaptiveMaxPool2d((3, 4))",
        "nn.AdaptiveMaxPool2d(3, return_indices=True)", "nn.BatchNorm2d(4)",
        "nn.BatchNorm2d(4, eps=0.5, affine=False)", "nn.SyncBatchNorm(4)",
        "nn.InstanceNorm2d(4)", "nn.InstanceNorm2d(4, affine=True, eps=0.1)",
        "nn.InstanceNorm2d(4, track_running_stats=True)", "nn.GroupNorm(2, 4)",
        "nn.LayerNorm((4, 8, 10))", "nn.LayerNorm(10)", "nn.LocalResponseNorm(2)",
        "nn.LocalResponseNorm(3, 0.5, 0.75, 2.0)", "nn.CrossMapLRN2d(3)",
        "nn.Softmax2d()", "nn.Softmax(1)", "nn.LogSoftmax(1)", "nn.PReLU(4)",
        "nn.PixelShuffle(2)", "nn.PixelUnshuffle(2)", "nn.ChannelShuffle(2)",
        "nn.Dropout2d()", "nn.CircularPad2d((1, 2, 3, 0))",
        "nn.ReflectionPad2d((1, 2, 3, 0))", "nn.ReplicationPad2d((1, 2, 3, 0))",
        "nn.ZeroPad2d((1, -2, 3, 0))", "nn.ConstantPad2d((1, 2, 3, 0), -1.5)",
        "nn.Upsample(scale_factor=2)", "nn.Upsample(scale_factor=(2.0, 3.0))",
        "nn.Upsample(scale_factor=0.5)", "nn.Upsample(scale_factor=1.7)",
        "nn.Upsample(size=(5, 13))",
        "nn.Upsample(scale_factor=2, mode='bilinear')",
        "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
        "nn.Upsample(size=(5, 13), mode='bilinear')",
        "nn.Upsample(size=(5, 13), mode='bilinear', align_corners=True)",
        "nn.Upsample(scale_factor=1.5, mode='bilinear')",
        "nn.Upsample(scale_factor=2, mode='bicubic')",
        "nn.Upsample(size=(5, 13), mode='bicubic', align_corners=True)",
        "nn.UpsamplingBilinear2d(scale_factor=2)",
        "nn.UpsamplingNearest2d(scale_factor=2)", "nn.Unfold(2)",
        "nn.Unfold((2, 3), (1, 2), 1, 2)", "nn.Flatten(1, 2)", "nn.Threshold(0.5, 2)",
    ],
    "one_image": [
        "nn.Conv2d(4, 6, 3)", "nn.ConvTranspose2d(4, 6, 3, 2)", "nn.AvgPool2d(2)",
        "nn.MaxPool2d(2)", "nn.AdaptiveAvgPool2d(3)", "nn.AdaptiveMaxPool2d(3)",
        "nn.ReflectionPad2d(1)", "nn.Softmax2d()", "nn.PixelShuffle(2)",
        "nn.InstanceNorm2d(4)",
    ],
    "small": [
        "nn.AdaptiveAvgPool2d((2, 3))", "nn.AdaptiveAvgPool2d((4, 7))",
        "nn.AdaptiveMaxPool2d((2, 3))", "nn.AdaptiveMaxPool2d((4, 7))",
        "nn.MaxPool2d(3, 3, 1, ceil_mode=True)", "nn.AvgPool2d(2, 2, 1, True)",
    ],
    "volume": [
        "nn.Conv3d(2, 3, 2)", "nn.ConvTranspose3d(2, 3, 2)", "nn.AvgPool3d(2)",
        "nn.AvgPool3d(2, 2, 1, True, False)", "nn.MaxPool3d(2)", "nn.LPPool3d(2, 2)",
        "nn.AdaptiveAvgPool3d(2)", "nn.AdaptiveMaxPool3d(2)", "nn.BatchNorm3d(2)",
        "nn.InstanceNorm3d(2)", "nn.GroupNorm(1, 2)", "nn.ConstantPad3d(1, 0.5)",
        "nn.ZeroPad3d(1)", "nn.CircularPad3d(1)", "nn.ReflectionPad3d(1)",
        "nn.ReplicationPad3d(1)", "nn.Dropout3d()", "nn.Upsample(scale_factor=2)",
        "nn.Upsample(scale_factor=2, mode='trilinear')",
        "nn.FractionalMaxPool3d(2, output_size=2)",
    ],
    "indices": [
        "nn.Embedding(6, 4)", "nn.Embedding(6, 4, padding_idx=0)",
        "nn.Embedding(6, 4, max_norm=1.0)", "nn.EmbeddingBag(6, 4)",
        "nn.EmbeddingBag(6, 4, mode='sum')", "nn.EmbeddingBag(6, 4, mode='max')",
    ],
    "x, y": [
        "nn.CosineSimilarity()", "nn.CosineSimilarity(0, 0.1)",
        "nn.PairwiseDistance()", "nn.PairwiseDistance(1.0)",
        "nn.PairwiseDistance(3.0, keepdim=True)", "nn.Bilinear(12, 12, 3)",
        "nn.L1Loss()", "nn.L1Loss(reduction='sum')", "nn.L1Loss(reduction='none')",
        "nn.MSELoss()", "nn.MSELoss(reduction='none')", "nn.SmoothL1Loss()",
        "nn.SmoothL1Loss(beta=0.5)", "nn.SmoothL1Loss(reduction='none')",
        "nn.HuberLoss()", "nn.HuberLoss(delta=0.5, reduction='none')",
        "nn.PoissonNLLLoss()", "nn.PoissonNLLLoss(False)",
        "nn.KLDivLoss(reduction='batchmean')", "nn.KLDivLoss(log_target=True)",
        "nn.BCEWithLogitsLoss()", "nn.CrossEntropyLoss()",
    ],
    "x, unit": [
        "nn.BCEWithLogitsLoss()", "nn.BCEWithLogitsLoss(pos_weight=torch.ones(12) * 2)",
        "nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(label_smoothing=0.1)",
        "nn.MultiLabelSoftMarginLoss()",
    ],
    "unit, unit": ["nn.BCELoss()", "nn.BCELoss(reduction='none')"],
    "x, labels": [
        "nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(reduction='none')",
        "nn.CrossEntropyLoss(label_smoothing=0.1)", "nn.NLLLoss()",
        "nn.CrossEntropyLoss(ignore_index=5)", "nn.NLLLoss(ignore_index=5)",
        "nn.MultiMarginLoss()", "nn.MultiMarginLoss(2)",
    ],
    "x, signs": [
        "nn.SoftMarginLoss()", "nn.HingeEmbeddingLoss()",
        "nn.HingeEmbeddingLoss(0.5, reduction='none')",
    ],
    "x, y, z": [
        "nn.TripletMarginLoss()", "nn.TripletMarginLoss(0.5, p=1.0, swap=True)",
        "nn.TripletMarginWithDistanceLoss()",
    ],
    "x, y, signs": ["nn.MarginRankingLoss()", "nn.MarginRankingLoss(0.5)"],
    "x, y, p": ["nn.GaussianNLLLoss()", "nn.GaussianNLLLoss(full=True)"],
    "seq, seq, seq": [
        "nn.MultiheadAttention(12, 3)",
        "nn.MultiheadAttention(12, 3, batch_first=True)",
        "nn.MultiheadAttention(12, 1, bias=False, add_zero_attn=True)",
        "nn.MultiheadAttention(12, 3, add_bias_kv=True)",
    ],
    "seq, seq": [
        "nn.TransformerDecoderLayer(12, 3, 8)",
        "nn.Transformer(12, 3, 1, 1, 8)",
    ],
}  # fmt: skip
"""Inputs and the modules that take them."""

FUNCTIONS: dict[str, list[str]] = {
    "functional": [
        "F.adaptive_avg_pool1d(seq, 5)", "F.adaptive_max_pool1d(seq, 5)",
        "F.adaptive_avg_pool2d(image, (3, 1))", "F.adaptive_max_pool2d(image, (3, 1))",
        "F.adaptive_max_pool2d(image, 3, return_indices=True)[1]",
        "F.affine_grid(square[:, :2, :3], (2, 1, 3, 4))", "F.avg_pool2d(image, 3, 2)",
        "F.avg_pool1d(seq, 2, ceil_mode=True)",
        "F.batch_norm(x, row * 0, row * row + 1, row, row)",
        "F.batch_norm(x, row, row.abs(), eps=0.5)",
        "F.batch_norm(x, None, None, training=True)",
        "F.bilinear(x, y, square.reshape(-1)[:48].reshape(1, 4, 12).mT[:, :, :1]"
        ".expand(1, 12, 12))",
        "F.binary_cross_entropy(unit, unit)",
        "F.binary_cross_entropy_with_logits(x, unit, pos_weight=row.abs())",
        "F.celu(x, 1.5)", "F.channel_shuffle(image, 2)",
        "F.conv1d(seq, seq[:, :, :3])",
        "F.conv2d(image, image[:, :, :3, :2], stride=2)",
        "F.conv2d(image, image[:1, :1, :2, :2].expand(4, 1, 2, 2), groups=4)",
        "F.conv_transpose1d(seq, seq[0, :, None, :3].expand(4, 2, 3))",
        "F.conv_transpose2d(image, image[0, :, None, :3, :3], padding=1)",
        "F.conv_tbc(seq, seq[:, :1, :4].expand(2, 12, 4), row[:4])",
        "F.cosine_similarity(x, y, dim=0)", "F.cosine_similarity(x, x * 0, dim=1)",
        "F.cross_entropy(x, labels)", "F.cross_entropy(x, labels, weight=row.abs())",
        "F.dropout(x, training=False)", "F.elu(x, 0.3)",
        "F.embedding(indices, image[0, 0, :6])",
        "F.embedding(indices, seq[0, 0, :].expand(6, 12))",
        "F.gelu(x)", "F.gelu(x, approximate='tanh')", "F.glu(x)", "F.glu(x, 0)",
        "F.grid_sample(image, square[:, :4, :2].reshape(2, 2, 2, 2) / 3)",
        "F.grid_sample(image, square[:, :4, :2].reshape(2, 2, 2, 2), mode='nearest')",
        "F.group_norm(seq, 2)", "F.group_norm(seq, 2, row[:4], row[4:8], 0.5)",
        "F.hardshrink(x, 1.0)", "F.hardsigmoid(x)", "F.hardswish(x)",
        "F.hardtanh(x, -1.5, 0.5)", "F.instance_norm(seq)",
        "F.instance_norm(image, eps=0.5)",
        "F.interpolate(image, scale_factor=2)", "F.interpolate(image, size=(3, 7))",
        "F.interpolate(image, size=(3, 7), mode='area')",
        "F.interpolate(image, size=(3, 7), mode='nearest-exact')",
        "F.interpolate(image, size=(16, 20), mode='nearest-exact')",
        "F.interpolate(image, size=(16, 20), mode='bilinear')",
        "F.interpolate(image, size=(3, 7), mode='bilinear', antialias=True)",
        "F.interpolate(image, scale_factor=0.6, mode='bilinear')",
        "F.interpolate(image, scale_factor=0.6, mode='bilinear', "
        "recompute_scale_factor=1)",
        "F.kl_div(x, unit, reduction='sum')", "F.l1_loss(x, y)",
        "F.layer_norm(x, (12,))", "F.layer_norm(x, (4, 12), x, y, 0.5)",
        "F.leaky_relu(x, 0.75)", "F.leaky_relu(x, 1.5)", "F.linear(x, y)",
        "F.linear(x, y, row[:4])", "F.linear(x, row)", "F.linear(row, y)",
        "F.local_response_norm(image, 3)", "F.log_softmax(x, 1)",
        "F.log_softmax(seq, 1)",
        "F.logsigmoid(x)", "F.lp_pool1d(seq, 2.0, 3)", "F.lp_pool2d(image, 2, 3, 2)",
        "F.lp_pool2d(image, 1.5, 3, 2)",
        "F.max_pool1d(seq, 3, 2, 1)", "F.max_pool2d(image, 3, 2, 1, ceil_mode=True)",
        "F.max_pool2d(-image.abs() - 1, 3, 2, 1)", "F.mish(x)", "F.mse_loss(x, y)",
        "F.mse_loss(x, row)", "F.nll_loss(x, labels)", "F.normalize(x)",
        "F.normalize(x, p=1.0, dim=0)", "F.normalize(x * 0)", "F.normalize(x, 3.0)",
        "F.normalize(x, float('inf'))", "F.one_hot(labels, 12)", "F.one_hot(labels)",
        "F.pad(x, (1, 2, 3, 0))", "F.pad(x, (1, 2), value=-2.5)",
        "F.pad(i8, (1, 2), value=-7)",
        "F.pad(seq, (2, 3), 'reflect')", "F.pad(seq, (2, 3), 'replicate')",
        "F.pad(seq, (2, 3), 'circular')", "F.pad(seq, (-2, 3), 'constant', 1.0)",
        "F.pad(image, (2, 1, 0, 3), 'reflect')",
        "F.pad(image, (2, 1, 0, 3), 'replicate')",
        "F.pad(image, (2, 1, 0, 3), 'circular')",
        "F.pairwise_distance(x, y)", "F.pairwise_distance(x, y, 1.0)", "F.pdist(x)",
        "F.pixel_shuffle(image, 2)", "F.pixel_unshuffle(image, 2)",
        "F.poisson_nll_loss(x, y)",
        "F.prelu(x, row)", "F.prelu(seq, row[:4])", "F.prelu(image, row[:1])",
        "F.relu(x)", "F.relu6(x * 3)", "F.rms_norm(x, (12,))",
        "F.rms_norm(x, (12,), row, 0.25)",
        "F.rrelu(x, 0.1, 0.3, False)", "F.selu(x)", "F.sigmoid(x)", "F.silu(x)",
        "F.scaled_dot_product_attention(seq, seq, seq)",
        "F.scaled_dot_product_attention(square, square, square, is_causal=True)",
        "F.scaled_dot_product_attention(square, square, square, square[0])",
        "F.scaled_dot_product_attention(square, square, square, square[0] > -1)",
        "F.scaled_dot_product_attention(square, square, square, scale=0.5)",
        "F.scaled_dot_product_attention(image[:, :, :6, :4], image[:, :2, :6, :4], "
        "image[:, :2, :6, :4], enable_gqa=True)",
        "F.smooth_l1_loss(x, y, beta=0.75)", "F.soft_margin_loss(x, signs)",
        "F.softmax(x, 0)",
        "F.softmax(seq, 1)", "F.softmin(x, 1)", "F.softplus(x)", "F.softplus(x * 10)",
        "F.softplus(x, 2.0, 30.0)", "F.softplus(x, 1.0, 2.0)", "F.softshrink(x, 0.25)",
        "F.softsign(x)", "F.tanh(x)",
        "F.tanhshrink(x)", "F.threshold(x, -0.5, 7.0)",
        "F.triplet_margin_loss(x, y, z)",
        "F.unfold(image, 3, padding=1, stride=2)", "F.upsample(image, scale_factor=2)",
        "F.fold(F.unfold(image, 2), (8, 10), 2)",
        "F.fold(image.reshape(2, 16, 20), (5, 6), (2, 2))",
        "F.max_unpool2d(*F.max_pool2d(image, 2, return_indices=True), 2)",
        "F.huber_loss(x, y, delta=0.75)", "F.gaussian_nll_loss(x, y, p)",
        "F.multilabel_soft_margin_loss(x, unit)",
        "F.cosine_embedding_loss(x, y, signs[:, 0])",
        "F.margin_ranking_loss(x, y, signs)", "F.hinge_embedding_loss(x, signs)",
        "F.multi_margin_loss(x, labels)",
    ],
    "elementwise": [
        *(f"torch.{name}(x)" for name in (
            "abs", "neg", "positive", "sign", "sgn", "signbit", "square", "exp", "exp2",
            "expm1", "sigmoid", "tanh", "sin", "cos", "tan", "sinh", "cosh", "atan",
            "asinh", "erf", "erfc", "floor", "ceil", "round", "trunc", "fix", "frac",
            "relu", "selu", "isnan", "isinf", "isfinite", "logical_not", "deg2rad",
            "rad2deg", "sinc", "nan_to_num", "i0", "reciprocal", "clone", "isposinf",
            "isneginf", "conj", "real", "angle", "zeros_like", "ones_like",
        )),
        *(f"torch.{name}(p)" for name in (
            "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "acosh",
            "lgamma", "digamma",
        )),
        *(f"torch.{name}(unit)" for name in (
            "asin", "acos", "atanh", "erfinv", "logit", "special.ndtri", "special.ndtr",
        )),
        *(f"torch.{name}(x, y)" for name in (
            "add", "sub", "mul", "rsub", "maximum", "minimum", "fmax", "fmin", "max",
            "min",
            "eq", "ne", "lt", "le", "gt", "ge", "atan2", "hypot", "copysign", "isclose",
            "logical_and", "logical_or", "logical_xor", "logaddexp", "logaddexp2",
            "heaviside", "dist", "nextafter",
        )),
        *(f"torch.{name}(x, q)" for name in (
            "div", "true_divide", "floor_divide", "fmod", "remainder",
        )),
        "torch.div(x, q, rounding_mode='floor')",
        "torch.div(x, q, rounding_mode='trunc')",
        "torch.div(x, 0.3, rounding_mode='floor')",
        "torch.div(x, -0.1, rounding_mode='trunc')",
        "x // 0.1", "x % 0.1", "x % -0.75", "0.7 % q", "2.5 // q", "torch.fmod(x, 0.1)",
        "torch.fmod(x, -0.75)", "torch.fmod(x * 1e6, 0.7)",
        "torch.remainder(x * 1e6, 0.7)",
        "torch.remainder(x, q * 1e-3)", "torch.floor_divide(x, q * 1e-3)",
        "torch.fmod(x, q * 1e-3)",
        "torch.add(x, y, alpha=2.5)", "torch.sub(x, y, alpha=-0.5)", "1.5 - x", "2 / q",
        "x + 1", "x * 3", "x / 3", "torch.rsub(x, 2.0, alpha=3)",
        "torch.addcmul(x, y, z, value=0.5)", "torch.addcdiv(x, y, p, value=0.5)",
        "torch.lerp(x, y, 0.25)", "torch.lerp(x, y, unit)", "torch.lerp(x, y, 0.75)",
        "torch.clamp(x, -1, 1)",
        "torch.clamp(x, min=0.5)", "torch.clamp(x, max=0.5)",
        "torch.clamp(x, 1.0, -1.0)",
        "torch.clamp(x, 0, 6)", "torch.clamp(x, y, y + 1)", "torch.clip(x, -0.5, 0.75)",
        "torch.clamp_min(x, 0.25)", "torch.clamp_max(x, 0.25)", "torch.where(b, x, y)",
        "torch.where(x > 0, x, 0.0)", "torch.where(x > 0, 1.5, -1)", "torch.pow(x, 2)",
        "torch.pow(x, 3)", "torch.pow(x, 4)", "torch.pow(x, 5)", "torch.pow(x, 0)",
        "torch.pow(x, 1)", "torch.pow(x, 2.5)", "torch.pow(p, 0.5)",
        "torch.pow(x, 0.5)",
        "torch.pow(p, -0.5)", "torch.pow(x, -1)", "torch.pow(q, -2)",
        "torch.pow(p, 2.7)",
        "torch.pow(2.0, x)", "torch.pow(2, x)", "torch.pow(-2.0, torch.round(x))",
        "torch.pow(p, y)", "torch.pow(x, torch.round(y))", "torch.float_power(p, 2)",
        "torch.masked_fill(x, b, 2.0)", "x.masked_fill(b, -1e9)",
        "torch.round(x, decimals=1)",
        "torch.round(x * 10)", "torch.floor(-x / 3)", "torch.ceil(-x / 3)",
        "torch.nan_to_num(x / y)", "torch.logical_not(b)", "~b", "b & (x > 0)",
        "b | (x > 0)",
        "b ^ (x > 0)", "b == (x > 0)", "b > (x > 0)", "x == 0", "x != 0.5", "x > 0",
        "x >= -0.5", "x < 0", "x <= 0.5", "x == 0.1", "x > 0.1", "1 - b.float()",
        "b * x",
        "b.long() + 1", "b + b", "b * b", "b / 2", "b.float() / 2", "torch.sign(x) * y",
        "torch.special.expit(x)", "torch.special.xlog1py(x, p)", "torch.xlogy(x, p)",
        "torch.special.entr(unit)", "torch.special.log_ndtr(x)",
        "torch.logit(unit, 0.1)",
        "torch.threshold(x, 0.5, 1)", "torch.celu(x, 2.0)", "torch.rrelu(x)",
        "torch.prelu(x, row)", "torch.hardshrink(x)",
        "x.relu_() + 1", "torch.ldexp(x, indices[0, :1])", "torch.polygamma(1, p)",
    ],
    "reductions": [
        *(f"torch.{name}(x)" for name in (
            "sum", "mean", "max", "min", "amax", "amin", "argmax", "argmin", "std",
            "var",
            "norm", "prod", "all", "any", "median", "nansum", "nanmean",
            "count_nonzero",
            "std_mean", "var_mean", "aminmax", "trace",
        )),
        *(f"torch.{name}(x, 1)" for name in (
            "sum", "mean", "amax", "amin", "argmax", "argmin", "std", "var", "cumsum",
            "cumprod", "logsumexp", "prod", "all", "any", "max", "min", "median",
            "mode",
            "sort", "argsort", "softmax", "log_softmax", "cummax", "cummin", "nansum",
            "count_nonzero", "diff", "logcumsumexp",
        )),
        *(f"torch.{name}(x, 0, keepdim=True)" for name in (
            "sum", "mean", "amax", "amin", "argmax", "argmin", "std", "var",
            "logsumexp",
            "prod", "all", "any", "max", "min",
        )),
        *(f"torch.{name}(seq, (0, 2))" for name in (
            "sum", "mean", "amax", "amin", "std", "var", "logsumexp", "all", "any",
        )),
        "torch.sum(seq, -1)", "torch.mean(seq, (-1, 0), keepdim=True)",
        "torch.argmax(torch.round(x), 1)", "torch.argmin(torch.round(x), 1)",
        "torch.argmax(torch.round(x))", "torch.argmin(torch.round(x), 0)",
        "torch.max(torch.round(x), 0)", "torch.min(torch.round(x), 0)",
        "torch.argmax(x, 0, keepdim=True)", "torch.argmax(x * 0, 1)",
        "torch.argmin(x * 0, 1)",
        "torch.std(x, 1, correction=0)", "torch.var(x, 1, correction=0)",
        "torch.var(x, unbiased=False)", "torch.var(x, 1, correction=2)",
        "torch.std(x, unbiased=False)", "torch.norm(x, 1)", "torch.norm(x, 3)",
        "torch.norm(x, 2, 1)", "torch.norm(x, float('inf'))",
        "torch.norm(x, float('inf'), 1)",
        "torch.norm(x, float('-inf'))", "torch.norm(x, 0)", "torch.linalg.norm(x)",
        "torch.linalg.vector_norm(x, 1, 1)", "torch.linalg.vector_norm(x, 2.5)",
        "torch.linalg.vector_norm(x, 0)",
        "torch.linalg.vector_norm(x, float('inf'), 0)",
        "torch.linalg.norm(x, 'fro')", "torch.linalg.norm(x, 1)", "torch.dist(x, y, 1)",
        "torch.cumsum(x, 0)", "torch.cumsum(b, 0)", "torch.sum(b)", "torch.sum(b, 1)",
        "torch.mean(b.float(), 1)", "torch.any(b)", "torch.all(b, 1)",
        "torch.any(b, 0)",
        "torch.topk(x, 3)", "torch.topk(x, 3, largest=False)",
        "torch.sort(x, 1, descending=True)",
        "torch.cdist(x, y)", "torch.cov(x)", "torch.corrcoef(x)",
        "torch.einsum('ij,kj->ik', x, y)",
        "torch.einsum('ij,ij->', x, y)", "torch.einsum('bij,bkj->bik', square, square)",
        "torch.einsum('ij->ji', x)", "torch.einsum('ij->i', x)",
        "torch.einsum('ij,ij->i', x, y)",
        "torch.matmul(x, y.T)", "torch.matmul(row, row)", "torch.matmul(x, row)",
        "torch.matmul(row, x.T)", "torch.matmul(seq, y.T)",
        "torch.matmul(square, square[:1])",
        "torch.mm(x, y.T)", "torch.bmm(square, square)",
        "torch.addmm(y[:, :4], x, y.T)",
        "torch.addmm(row[:4], x, y.T, beta=0.5, alpha=2)",
        "torch.addmv(row[:4], x, row)",
        "torch.addbmm(square[0], square, square)",
        "torch.baddbmm(square, square, square)",
        "torch.baddbmm(square, square, square, beta=0.5, alpha=2)",
        "torch.dot(row, row)", "torch.inner(x, y)", "torch.outer(row, row)",
        "torch.mv(x, row)",
        "torch.ger(row, row)", "torch.kron(square[0, :2, :2], square[1, :2, :2])",
        "torch.linalg.multi_dot([x, y.T, z])", "torch.chain_matmul(x, y.T)",
        "torch.tensordot(x, y, dims=([1], [1]))",
        "torch.cross(seq[:, :3], seq[:, 1:], dim=1)",
        "torch.logsumexp(x * 50, 1)", "torch.softmax(x * 50, 1)",
        "torch.log_softmax(x * 50, 1)",
        "torch.renorm(x, 2, 0, 1.0)", "torch.bincount(labels)", "torch.histc(x)",
        "torch.trapezoid(x)", "torch.quantile(x, 0.5)",
    ],
    "shapes": [
        "x.view(2, 24)", "x.reshape(-1)", "x.T", "seq.permute(2, 0, 1)",
        "seq.transpose(-1, 0)",
        "torch.cat([x, y], 1)", "torch.cat([x, i8.reshape(2, 12)])",
        "torch.stack([x, y])",
        "torch.hstack([x, y])", "torch.vstack([x, y])", "torch.dstack([x, y])",
        "torch.split(x, 5, 1)", "torch.split(x, [5, 7], 1)", "torch.chunk(x, 5, 1)",
        "torch.tensor_split(x, 5, 1)", "torch.unbind(x)", "torch.tile(x, (2, 3))",
        "torch.repeat_interleave(x, 2, 1)", "x.repeat(2, 1, 3)", "x.expand(2, 4, 12)",
        "torch.broadcast_to(row, (4, 12))", "torch.flip(seq, (0, 2))",
        "torch.fliplr(x)",
        "torch.roll(x, 5)", "torch.roll(x, (1, -2), (0, 1))", "torch.rot90(x)",
        "torch.tril(x)", "torch.triu(x, 2)", "torch.tril(x, -1)",
        "torch.diag(square[0])",
        "torch.diag(row)", "torch.diagonal(square, 1, 1, 2)", "torch.diag_embed(x)",
        "x[1]", "x[-1]", "x[:, 3]", "x[:, -3:]", "x[1:3, ::2]", "x[..., None]",
        "x[None]",
        "x[:, [1, 3, 5]]", "x[[0, 2]]", "x[[0, 2], [1, -1]]", "x[b]", "x[labels % 4]",
        "x[labels % 4 - 4]", "seq[:, labels % 4]", "seq[labels % 2, :, labels]",
        "torch.index_select(x, 1, labels)", "torch.gather(x, 1, indices.expand(2, 4))",
        "torch.gather(x, 0, indices % 4)", "torch.take(x, labels)",
        "torch.take_along_dim(x, labels[:, None], 1)", "torch.narrow(x, 1, 2, 5)",
        "torch.select(x, 1, 4)", "torch.squeeze(x[None])", "torch.squeeze(x[None], 0)",
        "torch.unsqueeze(x, 1)", "torch.flatten(seq, 1)",
        "torch.unflatten(x, 1, (3, 4))",
        "torch.movedim(seq, 0, 2)", "torch.swapaxes(seq, 0, 1)", "torch.atleast_3d(x)",
        "torch.meshgrid(row, row[:3], indexing='ij')",
        "torch.meshgrid(row, row[:3], indexing='xy')",
        "torch.cartesian_prod(row[:3], row[3:6])", "torch.combinations(row[:4])",
        "torch.scatter(x, 1, labels[:, None], 9.0)",
        "torch.scatter(x, 1, labels[:, None], y)",
        "torch.scatter_add(x, 1, labels[:, None], y)",
        "torch.index_add(x, 1, labels, x[:, :4])",
        "torch.index_fill(x, 1, labels, 7.0)",
        "torch.index_copy(x, 1, labels, x[:, :4])",
        "torch.index_put(x, (labels % 4,), y)", "torch.masked_select(x, b)",
        "torch.slice_scatter(x, y[:, :3], 1, 2, 5)",
        "torch.select_scatter(x, row, 0, 2)",
        "torch.constant_pad_nd(x, (1, -2), 0.5)", "x.unfold(1, 4, 3)",
        "torch.as_strided(x, (3, 4), (1, 12))", "torch.nonzero(x)",
        "torch.unique(labels)",
        "x + torch.arange(12)", "x + torch.arange(0, 6, 0.5)",
        "x + torch.linspace(0, 1, 12)",
        "x * torch.eye(12)[:4]", "x + torch.full((12,), 2.5)", "torch.full_like(x, 2)",
        "x.new_zeros(2, 3)", "x.new_full((2,), 1.5) + x[0, 0]",
        "torch.tril_indices(3, 3) + labels[0]", "x.to(torch.float64)", "x.double() * 2",
        "x.half().float()", "x.bfloat16().float()", "x.to(torch.int32)",
        "(x * 100).to(torch.int8)",
        "x.long()", "x.bool()", "(unit * 255).to(torch.uint8)", "x.int().float()",
        "torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0]))",
        "torch.searchsorted(row.sort()[0], x)",
        "torch.complex(x, y).abs()", "torch.fft.fft(x).abs()",
        "torch.view_as_real(torch.complex(x, y))",
    ],
}  # fmt: skip

UNARY_INTEGER = (
    "abs({i})", "-{i}", "{i}.sign()", "{i} ** 2", "{i} ** 3", "{i} ** 4", "{i} ** 5",
    "{i} ** 0", "{i} ** 1", "{i} + 100", "{i} - 100", "100 - {i}", "{i} * 3",
    "{i} * -1",
    "{i} // 3", "{i} // -3", "{i} % 3", "{i} % -3", "{i} / 3", "{i} + 0.5",
    "torch.fmod({i}, 3)", "torch.div({i}, 3, rounding_mode='trunc')",
    "torch.div({i}, 3, rounding_mode='floor')", "torch.sum({i})", "torch.sum({i}, 1)",
    "torch.sum({i}, 1, dtype={i}.dtype)", "torch.cumsum({i}, 1)",
    "torch.cumsum({i}, 1, dtype={i}.dtype)", "torch.prod({i}, 1)",
    "torch.max({i})", "torch.min({i})", "torch.max({i}, 1)", "torch.min({i}, 1)",
    "torch.amax({i}, 0)", "torch.amin({i}, 0)", "torch.argmax({i}, 1)",
    "torch.argmin({i}, 1)", "torch.argmax({i})", "torch.argmin({i})",
    "torch.argmin({i} // 16, 0)", "torch.clamp({i}, 1, 100)", "torch.clamp({i}, min=2)",
    "torch.clamp({i}, max=5)", "torch.relu({i})", "torch.square({i})", "~{i}",
    "{i} & 7",
    "{i} | 8", "{i} ^ 3", "{i} << 1", "{i} >> 1", "{i} == 7", "{i} > 2", "{i} < 0",
    "{i} >= 1.5", "{i} != 0", "{i}.bool()", "{i}.float()", "{i}.to(torch.int8)",
    "{i}.to(torch.uint8)", "{i}.to(torch.int16)", "{i}.to(torch.int32)",
    "{i}.to(torch.int64)", "torch.mean({i}.float(), 1)", "torch.floor({i})",
    "torch.ceil({i})", "torch.round({i})", "torch.trunc({i})", "torch.all({i}, 1)",
    "torch.any({i}, 1)", "torch.logical_not({i})", "torch.sort({i}, 1)",
    "torch.topk({i}, 2)", "torch.add({i}, {i}, alpha=3)",
    "torch.sub({i}, 1, alpha=100)",
    "torch.rsub({i}, 1, alpha=3)", "torch.exp({i} % 5)", "torch.sqrt({i}.abs())",
    "torch.count_nonzero({i})", "F.pad({i}, (1, 1), value=3)",
    "torch.where({i} > 2, {i}, 0)",
    "torch.where({i} > 2, {i}, 0.5)", "torch.masked_fill({i}, {i} > 2, 1)",
    "torch.einsum('ij,kj->ik', {i}, {i})", "{i} @ {i}.T", "{i}.float() @ {i}.T.float()",
    "F.relu6({i})", "F.hardtanh({i}, 1, 3)", "F.threshold({i}, 2, 1)",
    "torch.pow(2, {i} % 7)", "torch.pow({i}, {i} % 4)", "torch.dot({i}[0], {i}[1])",
    "torch.outer({i}[0], {i}[1])", "torch.addmm({i}[:, :3], {i}, {i}.T)",
    "torch.addmm({i}[:, :3], {i}, {i}.T, beta=2, alpha=3)",
    "torch.baddbmm({i}[None, :, :3], {i}[None], {i}.T[None])",
    "torch.addcmul({i}, {i}, {i}, value=2)", "torch.diff({i})", "torch.tril({i})",
    "torch.flip({i}, (1,))", "torch.roll({i}, 3, 1)", "{i}.repeat(2, 1)",
    "torch.cat([{i}, {i}])", "torch.triu({i}, 1)", "torch.amax({i})",
    "torch.aminmax({i})",
    "F.linear({i}, {i})", "F.linear({i}, {i}, {i}[0, :3])",
    "F.conv1d({i}[None], {i}[:, :3, None])", "torch.norm({i}.float())",
    "torch.var({i}.float())",
)  # fmt: skip
BINARY_INTEGER = (
    "{i} + {j}", "{i} - {j}", "{i} * {j}", "{i} // {n}", "{i} % {n}", "{i} / {n}",
    "torch.fmod({i}, {n})", "torch.div({i}, {n}, rounding_mode='trunc')",
    "torch.div({i}, {n}, rounding_mode='floor')", "torch.maximum({i}, {j})",
    "torch.minimum({i}, {j})", "{i} == {j}", "{i} < {j}", "{i} >= {j}", "{i} & {j}",
    "{i} | {j}", "{i} ^ {j}", "torch.where({i} > {j}, {i}, {j})", "{i} + x[:3, :8]",
    "{i} * x[:3, :8]", "{i} + {j}.float()", "torch.logical_xor({i}, {j})",
    "torch.add({i}, {j}, alpha=7)", "torch.cat([{i}, {j}], 1)",
    "torch.clamp({i}, {j}, {n})",
    "torch.gcd({i}, {j})", "{i} @ {j}.T", "torch.lerp({i}.float(), {j}.float(), 0.5)",
    "100 // {n}", "100 % {n}", "{i} << ({j} & 3)", "{i} >> ({j} & 3)",
)  # fmt: skip
MIXED_INTEGER = (
    "u8 + 200", "u8 + i8", "u8 * i16", "u8 - v8", "i8 + i32", "i32 * i64",
    "u8 // i8.abs().clamp(1)",
    "i8 + b[:3, :8]", "u8 * b[:3, :8]", "torch.maximum(u8, i8)", "torch.cat([u8, i8])",
    "u8 == i8", "u8 > i8", "i32 < i64", "u8 > -1", "i8 == 300", "i8 + 300", "u8 - 300",
    "u8 * -1",
    "F.avg_pool1d(i64[None] // 2, 3)", "F.avg_pool2d(i64[None], 2)",
    "F.avg_pool2d(i64[None] // 9, 2, divisor_override=3)", "F.max_pool2d(i64[None], 2)",
    "F.max_pool2d(u8[None], 2)", "F.adaptive_avg_pool2d(x[None], 3)",
    "i8 * 2.5", "torch.where(b[:3, :8], u8, i8)", "b[:3, :8] * 3",
    "torch.sum(b, 0) - 5",
    "(i64 - i64 // 7 * 7)", "(i64 // 2**40) * 3", "i64 // (2**53 + 1)",
    "i64 % (2**53 + 1)",
)  # fmt: skip


def _integers() -> list[str]:
    texts: list[str] = []
    for kind in ("8", "u8", "64", "32", "16") if sweeps.WIDE else ("8",):
        names = {"i": f"i{kind}", "j": f"j{kind}", "n": f"n{kind}"}
        if kind == "u8":
            names = {"i": "u8", "j": "v8", "n": "nu8"}
        texts += [t.format(**names) for t in (*UNARY_INTEGER, *BINARY_INTEGER)]
    return [*texts, *MIXED_INTEGER]


class _Function(nn.Module):
    """A function as a module without parameters."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def _program(module: nn.Module, inputs: list[torch.Tensor]) -> sweeps.Program:
    from mase_opt.frontend.import_torch import import_torch

    module.eval()
    with torch.no_grad():
        expected = module(*(x.clone() for x in inputs))
    return sweeps.Program(
        partial(import_torch, module, tuple(inputs)),
        [x.numpy() for x in inputs],
        [x.numpy() for x in _tensors(expected)],
    )


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value if v is not None for t in _tensors(v)]


def _module_program(text: str, names: str) -> sweeps.Program:
    torch.manual_seed(0)
    module = eval(text, {"nn": nn, "torch": torch})
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point() and tensor.ndim == 1 and tensor.numel() > 1:
                tensor.uniform_(0.25, 1.5)
    return _program(module, [INPUTS[name] for name in names.split(", ")])


def _function_program(text: str) -> sweeps.Program:
    code = compile(text, text, "eval")
    names = [name for name in code.co_names if name in INPUTS]

    def function(*inputs: torch.Tensor) -> Any:
        known = {"F": F, "torch": torch, **dict(zip(names, inputs, strict=True))}
        return eval(code, known)

    return _program(_Function(function), [INPUTS[name] for name in names])


def programs(batch: str) -> Mapping[str, Callable[[], sweeps.Program]]:
    """`batch`: `modules`, `functions` or `integers`."""
    if batch == "modules":
        known = [(text, names) for names, texts in MODULES.items() for text in texts]
        chosen = set(_chosen([text for text, _ in known]))
        return {
            f"{text} of {names}": partial(_module_program, text, names)
            for text, names in known
            if text in chosen
        }
    texts = _integers()
    if batch == "functions":
        texts = _chosen(
            [
                text
                for kind, texts in FUNCTIONS.items()
                if sweeps.WIDE or kind != "shapes"
                for text in texts
            ]
        )
    return {text: partial(_function_program, text) for text in texts}


def _chosen(texts: list[str]) -> list[str]:
    """Of each module and function the first text, unless the sweep is wide."""
    if sweeps.WIDE:
        return texts
    first: dict[str, str] = {}
    for text in texts:
        called = re.match(r"[\w.]+(?=\()", text)
        first.setdefault(called.group() if called else text, text)
    return list(first.values())
