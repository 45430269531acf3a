"""
What formats compute on: float arrays of NumPy, or torch tensors of any device.

Written once for both, so that there is one definition of every format. The two
libraries agree on most names; the few places where they don't are here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any
"""A float32 or float64 `numpy.ndarray` or `torch.Tensor`."""


def namespace(values: Array) -> Any:
    """The library of `values`: its module `numpy` or `torch`."""
    if isinstance(values, (np.ndarray, np.generic)):
        return np
    import torch

    return torch


def exponent(values: Array) -> Array:
    """
    floor(log2(|x|)) of normal numbers, as integers.

    Zeros and subnormal numbers give the lowest exponent less one, infinities and NaN
    the highest plus one: clip the result to what you need.
    """
    integer, mantissa, bias = _layout(values)
    return ((values.view(integer) >> mantissa) & (2 * bias + 1)) - bias


def power_of_two(exponents: Array, like: Array) -> Array:
    """2**exponents, exactly, in the dtype of `like`: results must be normal."""
    _, mantissa, bias = _layout(like)
    return ((exponents + bias) << mantissa).view(like.dtype)


def lowest_bit(values: np.ndarray[Any, Any]) -> int:
    """The highest e such that all of `values` (NumPy, finite) are multiples of 2^e."""
    mantissas, exponents = np.frexp(values[values != 0])
    if exponents.size == 0:
        return 0
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    _, lowest = np.frexp((whole & -whole).astype(np.float64))
    return int((exponents + lowest).min()) - 54


def _layout(values: Array) -> tuple[Any, int, int]:
    """The integer dtype of the same size, the mantissa bits, the exponent bias."""
    xp = namespace(values)
    if values.dtype == xp.float64:
        return xp.int64, 52, 1023
    assert values.dtype == xp.float32, f"expected a float array, got {values.dtype}"
    return xp.int32, 23, 127


def constants(numbers: np.ndarray[Any, Any], like: Array) -> Array:
    """`numbers` in the library, on the device and in the dtype of `like`."""
    xp = namespace(like)
    if xp is np:
        return numbers.astype(like.dtype, copy=False)
    return xp.asarray(numbers, dtype=like.dtype, device=like.device)


def integers(values: Array) -> Array:
    """`values`, which are whole or truth values, as 64-bit integers."""
    if namespace(values) is np:
        return values.astype(np.int64)
    return values.to(namespace(values).int64)


def indices(like: Array) -> Array:
    """The position of every element of `like` in row-major order, in its shape."""
    count = math.prod(like.shape)
    if namespace(like) is np:
        flat: Array = np.arange(count, dtype=np.int64)
        return flat.reshape(like.shape)
    import torch

    return torch.arange(count, device=like.device).reshape(like.shape)


def floats(values: Array, like: Array) -> Array:
    """`values` in the dtype of `like`."""
    if namespace(values) is np:
        return values.astype(like.dtype)
    return values.to(like.dtype)


def pad_right(values: Array, widths: list[int]) -> Array:
    """Zeros behind the end of every dimension."""
    if not any(widths):
        return values
    if namespace(values) is np:
        return np.pad(values, [(0, width) for width in widths])
    from torch.nn.functional import pad

    return pad(values, [n for width in reversed(widths) for n in (0, width)])


def repeat(values: Array, axis: int, times: int, size: int) -> Array:
    """Every entry along `axis` so many times, `size` of them in all."""
    if namespace(values) is np:
        return np.take(values, np.arange(size) // times, axis)
    import torch

    # By index, since torch 2.13 compiles a repetition cut short to wrong numbers.
    index = torch.arange(size, device=values.device) // times
    return values.index_select(axis, index)
