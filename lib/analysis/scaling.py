"""
Where scales of channels go: from the op that makes a value to the layers that read it.

A positive factor on a channel passes through every op that is positively homogeneous
in it, so it can be divided out of the parameters of one op and multiplied into those
of the next. Channels are followed element by element: an array with the channel of
each element goes through the shape ops.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.base import MaseOp, ints
from mase_opt.dialects.mase.normalization import GroupNormOp, LayerNormOp
from mase_opt.dialects.mase.shape import (
    BroadcastOp,
    PadOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.calibration import calibration_of, strip
from mase_opt.lib.analysis.layers import (
    Channels,
    Floats,
    Layer,
    channel_axis,
    in_float,
    largest,
    numbers,
    scaled,
    set_parameters,
    weight_channels,
)
from mase_opt.lib.interpreters.mase import evaluate_op

Source = Layer | LayerNormOp | GroupNormOp
"""An op whose parameters can take scales of the channels of its result."""


@dataclass(frozen=True)
class Reader:
    """A layer that reads the channels of a source."""

    layer: Layer
    channels: Channels
    """The channel of the source that each input channel of the layer holds."""

    @property
    def weight_channels(self) -> Channels:
        """The source's channel that each `weight[i, j]` of the layer belongs to."""
        return self.channels[weight_channels(self.layer)[0]]


@dataclass(frozen=True)
class Scalable:
    """A source, and all layers that read it."""

    source: Source
    readers: Sequence[Reader]

    @property
    def count(self) -> int:
        """The number of channels of the source."""
        return _channel_count(self.source)

    def weight_ranges(self) -> Floats:
        """The largest weight that the readers have for each channel."""
        ranges = (
            largest(numbers(r.layer.weight), r.weight_channels, self.count)
            for r in self.readers
        )
        return np.maximum.reduce(list(ranges))

    def move(self, scale: Floats) -> None:
        """Divide the channels of the source by `scale`, and multiply the readers."""
        _multiply_result(self.source, 1 / scale)
        for reader in self.readers:
            weight = numbers(reader.layer.weight)
            weight = scaled(weight, reader.weight_channels, scale)
            set_parameters(reader.layer, weight=weight)


def scalable(source: Source) -> Scalable | None:
    """
    `source` with its readers, all in f32.

    None if it has none, or if something else would see the scales.
    """
    if not in_float(source):
        return None
    readers = list(_readers(source.result, _result_channels(source), set()))
    found = [r for r in readers if r is not None]
    return Scalable(source, found) if found and len(found) == len(readers) else None


def forget_calibration(function: FuncOp) -> None:
    """Remove all calibrations, with a warning, before values in `function` change."""
    values = (
        *function.args,
        *(v for op in function.body.block.ops for v in op.results),
    )
    if any(calibration_of(value) is not None for value in values):
        warnings.warn(
            "calibrations are removed, since channels are scaled: run mase-calibrate "
            "afterwards",
            stacklevel=2,
        )
    strip(function)


def _channel_count(source: Source) -> int:
    if isinstance(source, LayerNormOp):
        return int(np.prod(shape_of(source.result)[-source.rank.value.data :]))
    return shape_of(source.result)[_axis(source)]


def _axis(source: Layer | GroupNormOp) -> int:
    return 1 if isinstance(source, GroupNormOp) else channel_axis(source)


def _result_channels(source: Source) -> Channels:
    """The channel of each element of the result."""
    shape = shape_of(source.result)
    channels = np.arange(_channel_count(source))
    if isinstance(source, LayerNormOp):
        channels = channels.reshape(shape[-source.rank.value.data :])
    else:
        channels = channels.reshape(-1, *(1,) * (len(shape) - 1 - _axis(source)))
    return np.broadcast_to(channels, shape)


def _multiply_result(source: Source, scale: Floats) -> None:
    bias = None if source.bias is None else numbers(source.bias)
    if isinstance(source, LayerNormOp | GroupNormOp):
        shape = (
            shape_of(source.result)[-source.rank.value.data :]
            if isinstance(source, LayerNormOp)
            else scale.shape
        )
        scale = scale.reshape(shape)
        weight = np.ones(shape) if source.weight is None else numbers(source.weight)
        weight = weight * scale
    else:
        weight = scaled(numbers(source.weight), weight_channels(source)[1], scale)
    set_parameters(source, weight=weight, bias=None if bias is None else bias * scale)


def _readers(
    value: SSAValue, channels: Channels, seen: set[Operation]
) -> Iterator[Reader | None]:
    """The layers behind `value`; None for anything else that sees the scales."""
    for use in value.uses:
        op = use.operation
        moved = None
        # An op that both operands reach would see the product of two scales.
        if op not in seen:
            seen.add(op)
            moved = _through(op, use.index, channels)
        if moved is None:
            yield None
        elif isinstance(op, Layer):
            yield Reader(op, moved)
        else:
            yield from _readers(op.results[0], moved, seen)


def _through(op: Operation, index: int, channels: Channels) -> Channels | None:
    """
    The channels of the elements of the result, or of the input channels of a layer.

    None if `op` mixes channels, or is not positively homogeneous in its operand.
    """
    rank = channels.ndim
    if channels.size == 0 or any(element_of(v) != f32 for v in op.results):
        return None
    match op:
        case _ if isinstance(op, Layer):
            axis = channel_axis(op)
            others = tuple(i for i in range(rank) if i != axis)
            kept = _same_along(channels, others)
            is_input = index == 0 and in_float(op)
            return kept.reshape(-1) if is_input and kept is not None else None
        case ReshapeOp() | TransposeOp() | BroadcastOp() | SliceOp():
            return evaluate_op(op, [channels[None]])[0]
        case PadOp() if op.value.value.data == 0:
            # Zeros may count as of any channel.
            widths = list(zip(ints(op.low), ints(op.high), strict=True))
            return np.pad(channels, widths, mode="edge")
        case MaseOp() if (axes := op.mixed_axes(index)) is not None:
            kept = _same_along(channels, axes)
        case _:
            return None
    if kept is None:
        return None
    shape = shape_of(op.results[0])
    if kept.size == prod(shape):
        return kept.reshape(shape)
    return np.broadcast_to(kept, shape)


def _same_along(channels: Channels, axes: Sequence[int]) -> Channels | None:
    """`channels` with size 1 along `axes`; None if they differ there."""
    first = channels
    for axis in axes:
        first = first.take([0], axis)
    return first if (channels == first).all() else None
