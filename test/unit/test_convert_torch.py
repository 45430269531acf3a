"""Every rule of convert-torch-to-mase: imported functions compute what torch does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import UnregisteredOp

from mase_opt.dialects import torch as dialect
from mase_opt.frontend.import_torch import export_module, import_program
from mase_opt.lib.conversion import convert_torch_to_mase as conversion
from mase_opt.lib.interpreters.mase import evaluate

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
F = torch.nn.functional


def f32(*shape: int) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
    )


def positive(*shape: int) -> torch.Tensor:
    return f32(*shape).abs() + 0.1


def i64(*shape: int, high: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, high, shape))


def mask(*shape: int) -> torch.Tensor:
    return i64(*shape, high=2).bool()


def i8(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int8)


def u8(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8)


DIVIDENDS = torch.tensor([3.0, -3.0, 3.0, -3.0, 0.0, math.inf, 3.0, math.nan])
DIVISORS = torch.tensor([math.inf, math.inf, -math.inf, -math.inf, -2.0, 2.0, 0.0, 1.0])
"""Infinite ones have a remainder, and infinity has none."""

ATEN = torch.ops.aten
Case = tuple[Callable[..., Any], tuple[torch.Tensor, ...]]

CASES: dict[str, Case] = {
    # activations
    "relu": (F.relu, (f32(2, 3),)),
    "relu6": (F.relu6, (8 * f32(2, 3),)),
    "sigmoid": (torch.sigmoid, (f32(2, 3),)),
    "hardsigmoid": (F.hardsigmoid, (3 * f32(2, 3),)),
    "tanh": (torch.tanh, (f32(2, 3),)),
    "silu": (F.silu, (f32(2, 3),)),
    "hardswish": (F.hardswish, (3 * f32(2, 3),)),
    "gelu": (F.gelu, (f32(2, 3),)),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), (f32(2, 3),)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), (f32(2, 3),)),
    "elu": (lambda x: F.elu(x, 0.7), (f32(2, 3),)),
    "selu": (F.selu, (f32(2, 3),)),
    "celu": (lambda x: F.celu(x, 1.0), (f32(2, 3),)),
    "softplus": (F.softplus, (10 * f32(2, 3),)),
    "softshrink": (lambda x: F.softshrink(x, 0.3), (f32(2, 3),)),
    "mish": (F.mish, (f32(2, 3),)),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 0.7), (f32(2, 3),)),
    "hardtanh_relu6": (lambda x: F.hardtanh(x, 0.0, 6.0), (5 * f32(2, 3),)),
    "clamp": (lambda x: torch.clamp(x, -0.3, 0.4), (f32(2, 3),)),
    "clamp_low": (lambda x: torch.clamp(x, min=-0.3), (f32(2, 3),)),
    "clamp_relu": (lambda x: torch.clamp(x, min=0), (f32(2, 3),)),
    "clamp_tensor": (torch.clamp, (f32(2, 3), -positive(3), positive(3))),
    "prelu": (F.prelu, (f32(2, 3, 4), positive(3))),
    "prelu_one": (F.prelu, (f32(2, 3), positive(1))),
    # functions
    "neg": (torch.neg, (f32(2, 3),)),
    "abs": (torch.abs, (f32(2, 3),)),
    "exp": (torch.exp, (f32(2, 3),)),
    "log": (torch.log, (positive(2, 3),)),
    "sqrt": (torch.sqrt, (positive(2, 3),)),
    "rsqrt": (torch.rsqrt, (positive(2, 3),)),
    "reciprocal": (torch.reciprocal, (positive(2, 3),)),
    "erf": (torch.erf, (f32(2, 3),)),
    "sin": (torch.sin, (f32(2, 3),)),
    "cos": (torch.cos, (f32(2, 3),)),
    "floor": (torch.floor, (5 * f32(2, 3),)),
    "square": (torch.square, (f32(2, 3),)),
    # arithmetic
    "add": (torch.add, (f32(2, 3), f32(3))),
    "add_alpha": (lambda x, y: torch.add(x, y, alpha=2.5), (f32(2, 3), f32(3))),
    "add_mixed": (torch.add, (f32(2, 3), i64(3))),
    "add_scalar": (lambda x: x + 1.5, (f32(2, 3),)),
    "add_int": (lambda x: x + 2, (i64(2, 3),)),
    "sub": (torch.sub, (f32(2, 3), f32(3))),
    "sub_scalar": (lambda x: torch.sub(x, 1.5, alpha=2), (f32(2, 3),)),
    "rsub": (lambda x: 2.5 - x, (f32(2, 3),)),
    "rsub_alpha": (lambda x: torch.rsub(x, 2.5, alpha=3), (f32(2, 3),)),
    "mul": (torch.mul, (f32(2, 1), f32(3))),
    "mul_scalar": (lambda x: x * 1.5, (f32(2, 3),)),
    "div": (torch.div, (f32(2, 3), positive(3))),
    "div_int": (torch.div, (i64(2, 3), i64(3) + 1)),
    "div_scalar": (lambda x: x / 3, (f32(2, 3),)),
    "div_floor": (
        lambda x, y: torch.div(x, y, rounding_mode="floor"),
        (5 * f32(2, 3), positive(3)),
    ),
    "div_trunc": (
        lambda x, y: torch.div(x, y, rounding_mode="trunc"),
        (i64(2, 3, high=9) - 5, i64(3) + 2),
    ),
    "div_scalar_floor": (
        lambda x: torch.div(x, 2, rounding_mode="floor"),
        (i64(2, 3, high=9) - 5,),
    ),
    "floor_divide": (torch.floor_divide, (i64(2, 3, high=9) - 5, i64(3) + 2)),
    "floor_divide_scalar": (
        lambda x: ATEN.floor_divide.Scalar(x, 3),
        (i64(2, 3, high=9) - 5,),
    ),
    "remainder": (torch.remainder, (5 * f32(2, 3), positive(3))),
    "remainder_scalar": (lambda x: x % 3, (i64(2, 3, high=9) - 5,)),
    "remainder_below": (lambda x: x % 0.1, (torch.tensor([0.5, 1.0, -3.0]),)),
    "floor_below": (lambda x: x // 0.1, (torch.tensor([0.5, 1.0, -3.0]),)),
    "remainder_infinite": (torch.remainder, (DIVIDENDS, DIVISORS)),
    "fmod_infinite": (torch.fmod, (DIVIDENDS, DIVISORS)),
    "fmod": (torch.fmod, (5 * f32(2, 3), f32(3))),
    "fmod_below": (lambda x: torch.fmod(x, -0.1), (torch.tensor([0.5, 1.0, -3.0]),)),
    "fmod_int": (lambda x: torch.fmod(x, -3), (i64(2, 3, high=9) - 5,)),
    "maximum": (torch.maximum, (f32(2, 3), f32(3))),
    "minimum": (torch.minimum, (f32(2, 3), f32(3))),
    "max_other": (torch.max, (f32(2, 3), f32(2, 3) * 0.5)),
    "pow_2": (lambda x: x**2, (f32(2, 3),)),
    "pow_3": (lambda x: x**3.0, (f32(2, 3),)),
    "pow_half": (lambda x: x**0.5, (positive(2, 3),)),
    "pow_other": (lambda x: x**1.7, (positive(2, 3),)),
    "pow_tensor": (torch.pow, (positive(2, 3), f32(3))),
    "pow_scalar": (lambda x: torch.pow(2.0, x), (f32(2, 3),)),
    # integers wrap around, and lose no bit
    "add_wraps": (lambda x: x + 200, (u8(100, 1),)),
    "sub_wraps": (torch.sub, (i8(-128, 5), i8(1, -128))),
    "mul_wraps": (torch.mul, (i8(-128, 100), i8(-1, 3))),
    "neg_wraps": (torch.neg, (i8(-128, 127),)),
    "abs_wraps": (torch.abs, (i8(-128, 127),)),
    "pow_wraps": (lambda x: x**5, (i8(-3, 7),)),
    "pow_0": (lambda x: x**0, (i8(-3, 0),)),
    "sum_wraps": (lambda x: x.sum(0, dtype=torch.int8), (i8(100, 100, 100),)),
    "cumsum_wraps": (lambda x: x.cumsum(0, dtype=torch.int8), (i8(100, 100, 100),)),
    "matmul_wraps": (torch.mm, (i8(100, 50).view(1, 2), i8(3, 3).view(2, 1))),
    "narrowed": (lambda x: x.to(torch.uint8), (torch.tensor([-1, 300, 1 << 40]),)),
    "truncated": (lambda x: x.to(torch.int8), (torch.tensor([-2.75, 2.75, -0.5]),)),
    "div_int_trunc": (
        lambda x: torch.div(x, 3, rounding_mode="trunc"),
        (i8(7, -7, 8),),
    ),
    "div_int_wide": (lambda x: x // 3, (torch.tensor([(1 << 62) + 1, -(1 << 62)]),)),
    "avg_pool_int": (
        lambda x: F.avg_pool2d(x, (1, 2)),
        (torch.tensor([[[7, 2, -7, -2]]]),),
    ),
    "argmin_unsigned": (lambda x: x.min(0), (u8(3, 0, 255, 0),)),
    "argmin_lowest": (lambda x: x.min(0), (i8(3, -128, 127),)),
    "compare_rounded": (lambda x: x > 2.0**24, (torch.tensor([(1 << 24) + 1]),)),
    "compare_mixed": (torch.eq, (torch.tensor([(1 << 24) + 1]), torch.tensor(2.0**24))),
    # comparison and logic
    **{
        name: (getattr(torch, name), (i64(4, 5), i64(5)))
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    },
    **{
        f"{name}_scalar": (lambda x, f=getattr(torch, name): f(x, 2), (i64(4, 5),))
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    },
    "lt_fraction": (lambda x: x < 1.5, (i64(4, 5),)),
    "logical_and": (torch.logical_and, (i64(4, 5), mask(5))),
    "logical_or": (torch.logical_or, (i64(4, 5), mask(5))),
    "logical_xor": (torch.logical_xor, (i64(4, 5), mask(5))),
    "logical_not": (torch.logical_not, (i64(4, 5),)),
    "logical_not_mask": (torch.logical_not, (mask(4, 5),)),
    "and": (lambda x, y: ATEN.__and__.Tensor(x, y), (mask(4, 5), mask(5))),
    "or": (lambda x, y: ATEN.__or__.Tensor(x, y), (mask(4, 5), mask(5))),
    "bitwise_and": (torch.bitwise_and, (i64(4, 5), i64(5))),
    "bitwise_or": (torch.bitwise_or, (i64(4, 5), i64(5))),
    "bitwise_xor": (torch.bitwise_xor, (i64(4, 5), i64(5))),
    "bitwise_not": (torch.bitwise_not, (i64(4, 5),)),
    "bitwise_not_mask": (torch.bitwise_not, (mask(4, 5),)),
    "where": (torch.where, (mask(2, 3), f32(2, 3), f32(3))),
    "where_scalar_self": (lambda c, y: torch.where(c, 2.0, y), (mask(2, 3), f32(3))),
    "where_scalar_other": (lambda c, x: torch.where(c, x, 2.0), (mask(2, 3), f32(3))),
    "where_scalar": (lambda c: torch.where(c, 1.0, 2.0), (mask(2, 3),)),
    "masked_fill": (lambda x, m: x.masked_fill(m, -1e9), (f32(2, 3), mask(2, 3))),
    "masked_fill_tensor": (
        lambda x, m, v: x.masked_fill(m, v),
        (f32(2, 3), mask(3), f32()),
    ),
    # conversions
    "to_float": (lambda x: x.float(), (i64(2, 3),)),
    "to_int": (lambda x: x.long(), (5 * f32(2, 3),)),
    "to_bool": (lambda x: x.bool(), (i64(2, 3),)),
    "to_dtype_layout": (lambda x: x.to("cpu", torch.float32), (i64(2, 3),)),
    "to_copy": (lambda x: ATEN._to_copy(x, dtype=torch.float32), (i64(2, 3),)),
    "contiguous": (lambda x: x.t().contiguous(), (f32(2, 3),)),
    "clone": (torch.clone, (f32(2, 3),)),
    "detach": (lambda x: x.detach() + 1, (f32(2, 3),)),
    "alias": (lambda x: ATEN.alias(x) + 1, (f32(2, 3),)),
    "lift_fresh_copy": (lambda x: x + torch.tensor([1.0, 2.0, 3.0]), (f32(2, 3),)),
    "dropout": (lambda x: F.dropout(x, 0.5, training=False) + 1, (f32(2, 3),)),
    # layers
    "linear": (F.linear, (f32(2, 3), f32(4, 3), f32(4))),
    "linear_no_bias": (F.linear, (f32(5, 2, 3), f32(4, 3))),
    "addmm": (torch.addmm, (f32(4), f32(2, 3), f32(3, 4))),
    "addmm_matrix": (torch.addmm, (f32(2, 4), f32(2, 3), f32(3, 4))),
    "mm": (torch.mm, (f32(2, 3), f32(3, 4))),
    "mm_bias": (
        lambda x: x @ torch.arange(12.0).reshape(3, 4) + torch.arange(4.0),
        (f32(2, 3),),
    ),
    "bmm": (torch.bmm, (f32(5, 2, 3), f32(5, 3, 4))),
    "mv": (torch.mv, (f32(2, 3), f32(3))),
    "matmul": (torch.matmul, (f32(6, 1, 2, 3), f32(5, 3, 4))),
    "matmul_vector": (torch.matmul, (f32(3), f32(5, 3, 4))),
    "dot": (torch.matmul, (f32(3), positive(3))),
    "baddbmm": (torch.baddbmm, (f32(5, 2, 4), f32(5, 2, 3), f32(5, 3, 4))),
    "conv1d": (
        lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1),
        (f32(2, 3, 8), f32(4, 3, 3), f32(4)),
    ),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2), (1, 2), 2),
        (f32(2, 4, 8, 9), f32(6, 2, 3, 3), f32(6)),
    ),
    "conv2d_same": (
        lambda x, w: F.conv2d(x, w, padding="same"),
        (f32(1, 2, 6, 6), f32(3, 2, 3, 3)),
    ),
    "conv2d_same_even": (
        lambda x, w: F.conv2d(x, w, padding="same"),
        (f32(1, 2, 6, 6), f32(3, 2, 2, 2)),
    ),
    "conv2d_unbatched": (F.conv2d, (f32(2, 6, 6), f32(3, 2, 3, 3))),
    "conv1d_same": (
        lambda x, w: F.conv1d(x, w, padding="same", dilation=2),
        (f32(1, 2, 9), f32(3, 2, 4)),
    ),
    "conv2d_valid": (
        lambda x, w: F.conv2d(x, w, padding="valid"),
        (f32(1, 2, 6, 6), f32(3, 2, 3, 3)),
    ),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, 2),
        (f32(1, 4, 3, 3), f32(4, 3, 3, 3), f32(6)),
    ),
    "embedding": (F.embedding, (i64(2, 3), f32(5, 4))),
    "batch_norm": (
        lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b),
        (f32(2, 3, 4, 4), f32(3), positive(3), f32(3), f32(3)),
    ),
    "batch_norm_plain": (
        lambda x, m, v: F.batch_norm(x, m, v, eps=1e-3),
        (f32(2, 3), f32(3), positive(3)),
    ),
    "native_batch_norm": (
        lambda x, w, b, m, v: torch.native_batch_norm(x, w, b, m, v, False, 0.1, 1e-5)[
            0
        ],
        (f32(2, 3, 4), f32(3), f32(3), f32(3), positive(3)),
    ),
    "layer_norm": (
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b),
        (f32(2, 3, 4), f32(3, 4), f32(3, 4)),
    ),
    "layer_norm_plain": (lambda x: F.layer_norm(x, (4,)), (f32(2, 3, 4),)),
    "native_layer_norm": (
        lambda x, w: torch.native_layer_norm(x, (4,), w, None, 1e-5)[0],
        (f32(2, 3, 4), f32(4)),
    ),
    "group_norm": (
        lambda x, w, b: F.group_norm(x, 2, w, b),
        (f32(2, 4, 3, 3), f32(4), f32(4)),
    ),
    "instance_norm": (F.instance_norm, (f32(2, 4, 3, 3),)),
    "instance_norm_running": (
        lambda x, m, v: F.instance_norm(x, m, v, use_input_stats=False),
        (f32(2, 4, 3, 3), f32(4), positive(4)),
    ),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4,), w, 1e-5), (f32(2, 3, 4), f32(4))),
    "softmax": (lambda x: F.softmax(x, 1), (f32(2, 3, 4),)),
    "softmax_native": (lambda x: ATEN._softmax(x, -1, False), (f32(2, 3, 4),)),
    "log_softmax": (lambda x: F.log_softmax(100 * x, -1), (f32(2, 3, 4),)),
    "log_softmax_native": (
        lambda x: ATEN._log_softmax(x, -1, False),
        (f32(2, 3, 4),),
    ),
    "attention": (
        F.scaled_dot_product_attention,
        (f32(1, 2, 5, 4), f32(1, 2, 6, 4), f32(1, 2, 6, 3)),
    ),
    "attention_mask": (
        F.scaled_dot_product_attention,
        (f32(1, 2, 5, 4), f32(1, 2, 6, 4), f32(1, 2, 6, 3), f32(5, 6)),
    ),
    "attention_causal": (
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=0.3
        ),
        (f32(1, 2, 5, 4), f32(1, 2, 6, 4), f32(1, 2, 6, 3)),
    ),
    "attention_grouped": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (f32(1, 4, 5, 4), f32(1, 2, 6, 4), f32(1, 2, 6, 4)),
    ),
    # pools
    "max_pool1d": (lambda x: F.max_pool1d(x, 2), (f32(2, 3, 8),)),
    "max_pool2d": (
        lambda x: F.max_pool2d(x, 3, 2, 1, 2, ceil_mode=True),
        (f32(1, 2, 9, 9),),
    ),
    "max_pool2d_indices": (
        lambda x: ATEN.max_pool2d_with_indices(x, [2, 2])[0],
        (f32(1, 2, 8, 8),),
    ),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), (f32(2, 3, 8),)),
    "avg_pool2d": (
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True, False),
        (f32(1, 2, 8, 9),),
    ),
    "avg_pool2d_divisor": (
        lambda x: F.avg_pool2d(x, 2, divisor_override=3),
        (f32(1, 2, 8, 8),),
    ),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 3), (f32(2, 3, 7),)),
    "adaptive_avg_pool2d": (
        lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
        (f32(1, 2, 7, 5),),
    ),
    "adaptive_max_pool2d": (
        lambda x: F.adaptive_max_pool2d(x, (3, 2)),
        (f32(1, 2, 7, 5),),
    ),
    "upsample_bilinear": (
        lambda x: F.interpolate(x, (7, 9), mode="bilinear"),
        (f32(1, 2, 4, 5),),
    ),
    "upsample_bilinear_corners": (
        lambda x: F.interpolate(x, (7, 9), mode="bilinear", align_corners=True),
        (f32(1, 2, 4, 5),),
    ),
    "upsample_bilinear_scale": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        (f32(1, 2, 4, 5),),
    ),
    "upsample_nearest": (
        lambda x: F.interpolate(x, scale_factor=2),
        (f32(1, 2, 3, 4),),
    ),
    "upsample_nearest_size": (
        lambda x: F.interpolate(x, (5, 7)),
        (f32(1, 2, 3, 4),),
    ),
    # reductions
    "mean": (torch.mean, (f32(2, 3, 4),)),
    "mean_dim": (lambda x: x.mean((0, -1), keepdim=True), (f32(2, 3, 4),)),
    "sum": (torch.sum, (f32(2, 3, 4),)),
    "sum_dim": (lambda x: x.sum(1), (f32(2, 3, 4),)),
    "sum_mask": (lambda x: x.sum(1), (mask(2, 3),)),
    "amax": (lambda x: x.amax((0, 2)), (f32(2, 3, 4),)),
    "amin": (lambda x: x.amin(1, keepdim=True), (f32(2, 3, 4),)),
    "max": (torch.max, (f32(2, 3, 4),)),
    "min": (torch.min, (f32(2, 3, 4),)),
    "max_dim": (lambda x: tuple(x.max(1)), (f32(2, 3, 4),)),
    "max_dim_values": (lambda x: x.max(1, keepdim=True)[0], (f32(2, 3, 4),)),
    "min_dim": (lambda x: tuple(x.min(1)), (f32(2, 3, 4),)),
    "argmax": (lambda x: x.argmax(1), (f32(2, 3, 4),)),
    "argmax_all": (torch.argmax, (f32(2, 3, 4),)),
    "cumsum": (lambda x: x.cumsum(1), (f32(2, 3, 4),)),
    "var": (lambda x: x.var(1), (f32(2, 3, 4),)),
    "std": (lambda x: x.std((0, 1), correction=0), (f32(2, 3, 4),)),
    "norm": (lambda x: F.normalize(x, dim=1), (f32(2, 3, 4),)),
    # shapes
    "view": (lambda x: x.view(4, -1), (f32(2, 3, 4),)),
    "reshape": (lambda x: x.t().reshape(-1), (f32(2, 3),)),
    "flatten": (lambda x: x.flatten(1), (f32(2, 3, 4),)),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), (f32(2, 4),)),
    "squeeze": (torch.squeeze, (f32(2, 1, 3),)),
    "squeeze_dim": (lambda x: x.squeeze(1), (f32(2, 1, 3),)),
    "unsqueeze": (lambda x: x.unsqueeze(-1), (f32(2, 3),)),
    "expand": (lambda x: x.expand(4, 2, 3), (f32(2, 1),)),
    "broadcast_to": (lambda x: torch.broadcast_to(x, (4, 2, 3)), (f32(2, 3),)),
    "permute": (lambda x: x.permute(2, 0, -2), (f32(2, 3, 4),)),
    "transpose": (lambda x: x.transpose(0, -1), (f32(2, 3, 4),)),
    "t": (torch.t, (f32(2, 3),)),
    "repeat": (lambda x: x.repeat(2, 3, 1), (f32(2, 3),)),
    "cat": (lambda x, y: torch.cat([x, y], -1), (f32(2, 3), f32(2, 4))),
    "cat_mixed": (lambda x, y: torch.cat([x, y]), (f32(2, 3), i64(2, 3))),
    "stack": (lambda x, y: torch.stack([x, y], 1), (f32(2, 3), f32(2, 3) + 1)),
    "slice": (lambda x: x[:, 1:-1:2], (f32(2, 7),)),
    "slice_beyond": (lambda x: x[:, -3:100], (f32(2, 7),)),
    "select": (lambda x: x[:, -1], (f32(2, 3, 4),)),
    "slice_scatter": (
        lambda x, y: torch.slice_scatter(x, y, 1, 2, 5),
        (f32(2, 7), f32(2, 3)),
    ),
    "slice_scatter_end": (
        lambda x, y: torch.slice_scatter(x, y, 1, -3),
        (f32(2, 7), f32(2, 3)),
    ),
    "select_scatter": (
        lambda x, y: torch.select_scatter(x, y, 1, 2),
        (f32(2, 7), f32(2)),
    ),
    "split": (lambda x: torch.split(x, 2, 1), (f32(2, 5),)),
    "chunk": (lambda x: torch.chunk(x, 3, -1), (f32(2, 6),)),
    "unbind": (lambda x: torch.unbind(x, 1), (f32(2, 3),)),
    "narrow": (lambda x: x.narrow(1, 1, 2), (f32(2, 4),)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 3), value=1.5), (f32(2, 3),)),
    "pad_cut": (lambda x: F.pad(x, (-1, 2)), (f32(2, 3),)),
    "index_select": (lambda x, i: x.index_select(1, i), (f32(2, 3, 4), i64(2))),
    "index": (lambda x, i: x[i], (f32(4, 3), i64(2, 3))),
    "index_two": (lambda x, i, j: x[i, j - 2], (f32(4, 3, 5), i64(2), i64(2))),
    "gather": (lambda x, i: x.gather(1, i), (f32(2, 4), i64(2, 6))),
    "flip": (lambda x: x.flip(0, 1), (f32(2, 3),)),
    "roll": (lambda x: x.roll((1, -2), (0, 1)), (f32(3, 5),)),
    "roll_flat": (lambda x: x.roll(4), (f32(3, 5),)),
    "tril": (lambda x: x.tril(1), (f32(4, 5),)),
    "triu": (lambda x: x.triu(-1), (f32(4, 5),)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (f32(1, 8, 2, 3),)),
    # constants
    "arange": (lambda x: x + torch.arange(1, 7, 2), (f32(2, 3),)),
    "zeros": (lambda x: x + torch.zeros(2, 3), (f32(2, 3),)),
    "ones": (lambda x: x + torch.ones(3), (f32(2, 3),)),
    "full": (lambda x: x + torch.full((3,), 2.5), (f32(2, 3),)),
    "zeros_like": (lambda x: x + torch.zeros_like(x), (f32(2, 3),)),
    "ones_like": (lambda x: x + torch.ones_like(x), (f32(2, 3),)),
    "full_like": (lambda x: x + torch.full_like(x, 2.5), (f32(2, 3),)),
}


class Function(torch.nn.Module):
    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


_ran: set[str] = set()
_seen: set[str] = set()
"""The cases so far, and the ops that they have brought to the conversion."""


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_computes_what_torch_does(name: str) -> None:
    function, inputs = CASES[name]
    module = import_program(export_module(Function(function), inputs), name)
    _ran.add(name)
    _seen.update(
        (op.op_name.data if isinstance(op, UnregisteredOp) else op.name)
        for op in module.walk()
    )
    conversion.ConvertTorchToMasePass().apply(Context(), module)
    module.verify()
    expected = function(*inputs)
    if isinstance(expected, torch.Tensor):
        expected = (expected,)
    results = evaluate(module, [x.numpy()[None] for x in inputs])
    assert len(results) == len(expected)
    for result, want in zip(results, expected, strict=True):
        if not want.is_floating_point():
            assert result[0].tolist() == want.tolist()
            continue
        assert result[0].dtype == want.numpy().dtype
        np.testing.assert_allclose(result[0], want.numpy(), rtol=2e-6, atol=2e-6)


def test_dialect_names_what_the_conversion_converts() -> None:
    assert set(dialect.OPS) == {*conversion.RULES, "prim.ListConstruct"}


def test_cases_cover_all_rules() -> None:
    if len(_ran) < len(CASES):
        pytest.skip("needs all cases to run before it, in one process")
    # An exported program has constants computed; torch-dialect text may not.
    in_text_only = {"torch.aten.arange.start_step"}
    rules = {f"torch.{name}" for name in conversion.RULES}
    assert rules - _seen == in_text_only
