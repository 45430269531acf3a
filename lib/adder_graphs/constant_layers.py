"""
Which input layers multiply with which constant, for which output.

A layer is a set of templates. A template is a small convolution that is applied at many
places; a matrix product has one tap, and a place for each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from math import gcd, prod

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.elementwise import MulOp
from mase_opt.dialects.mase.layers import ConvOp, LinearOp, MatmulOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of

Indices = NDArray[np.int64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Template:
    """
    `output[o, q] = Σ constant[taps[i, o, t]] · input[planes[i, q + step · t]]`

    Over all i and t, for two-dimensional places q and taps t. Index -1 is a zero.
    """

    taps: Indices
    """`[I, O, Y, X]`: which element of the constant."""
    planes: Indices
    """`[I, QY + step · (Y - 1), QX + step · (X - 1)]`: which input."""
    outputs: Indices
    """`[O, QY, QX]`: which output."""
    step: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class ConstantLayer:
    """What a layer does with each vector behind the leading dimensions of its data."""

    data: SSAValue
    constant: SSAValue
    bias: SSAValue | None
    lead: Shape
    """Dimensions that data and result have in common."""
    templates: list[Template]
    bias_of: Indices
    """Which element of the bias each output has added to it."""

    @property
    def inputs(self) -> int:
        return prod(shape_of(self.data)[len(self.lead) :])

    @property
    def outputs(self) -> int:
        return len(self.bias_of)


def constant_layer(op: Operation) -> ConstantLayer | None:
    """
    What `op` multiplies; None unless that is data with constants.

    None also of empty tensors and of builtin floats.
    """
    if not isinstance(op, LinearOp | MatmulOp | MulOp | ConvOp):
        return None
    constants = sum(map(_is_constant, op.operands[:2]))
    if constants != 1 or not all(map(_is_constant, op.operands[2:])):
        return None
    values = (*op.operands, op.result)
    if not all(prod(shape_of(v)) for v in values):
        return None
    if any(is_float(element_of(v)) for v in values):
        return None
    layer = _layer(op)
    # It may be the weight that varies.
    return layer if _is_constant(layer.constant) else None


def _is_constant(value: SSAValue) -> bool:
    return isinstance(value.owner, ConstantOp)


@singledispatch
def _layer(op: Operation) -> ConstantLayer:
    raise NotImplementedError(op.name)


@_layer.register
def _linear(op: LinearOp) -> ConstantLayer:
    outputs, features = shape_of(op.weight)
    template = _at_rows(
        _indices(features)[None], _indices(outputs, features).T, _indices(outputs)[None]
    )
    lead = shape_of(op.input)[:-1]
    return ConstantLayer(
        op.input, op.weight, op.bias, lead, [template], _indices(outputs)
    )


@_layer.register
def _matmul(op: MatmulOp) -> ConstantLayer:
    left = _is_constant(op.lhs)
    constant, data = (op.lhs, op.rhs) if left else (op.rhs, op.lhs)
    lead: Shape = ()
    matrices = shape_of(constant)
    shape = shape_of(op.result)
    if prod(matrices[:-2]) == 1 and len(shape) == len(shape_of(data)):
        lead = shape[:-2] if left else shape[:-1]
        matrices = matrices[-2:]
    rows = shape_of(data)[len(lead) :], shape[len(lead) :]
    # A vector is a matrix of one row.
    vectors, results = (_indices(*(1,) * (2 - len(s)), *s) for s in rows)
    weights = _indices(*matrices)
    if left:
        # (A · x)ᵀ = xᵀ · Aᵀ
        vectors, weights, results = (
            a.swapaxes(-1, -2) for a in (vectors, weights, results)
        )
    batch = results.shape[:-2]
    vectors, weights, results = (
        np.broadcast_to(a, (*batch, *a.shape[-2:])).reshape(-1, *a.shape[-2:])
        for a in (vectors, weights, results)
    )
    templates: list[Template] = []
    _, first, which = np.unique(
        weights[:, 0, 0], return_index=True, return_inverse=True
    )
    for index, place in enumerate(first.tolist()):
        own = which == index
        templates.append(
            _at_rows(
                vectors[own].reshape(-1, vectors.shape[-1]),
                weights[place],
                results[own].reshape(-1, results.shape[-1]),
            )
        )
    return ConstantLayer(data, constant, None, lead, templates, _indices(results.size))


@_layer.register
def _mul(op: MulOp) -> ConstantLayer:
    left = _is_constant(op.lhs)
    constant, data = (op.lhs, op.rhs) if left else (op.rhs, op.lhs)
    shape = shape_of(op.result)
    # Of equal numbers, one stands for all.
    assert isinstance(constant.owner, ConstantOp), "asked before"
    numbers = constant.owner.array().ravel()
    _, ones, which = np.unique(numbers, return_index=True, return_inverse=True)
    equal = ones[which].reshape(shape_of(constant))
    factors, factor_of = (
        np.broadcast_to(a, shape) for a in (equal, _indices(*shape_of(data)))
    )
    rank = len(shape)
    sizes = ((1,) * rank + shape_of(constant))[-rank:] if rank else ()
    common = len(shape_of(data)) == rank
    lead = 0
    while common and lead < rank and sizes[lead] == 1:
        if shape_of(data)[lead] != shape[lead]:
            break
        lead += 1
    first = (0,) * lead
    # The constants that one input is multiplied with make a row.
    inputs = factor_of[first].ravel()
    order = np.argsort(inputs, kind="stable")
    count = len(np.unique(inputs))
    inputs, results = inputs[order].reshape(count, -1)[:, :1], order.reshape(count, -1)
    rows = factors[first].ravel()[results]
    templates: list[Template] = []
    unique, which = np.unique(rows, axis=0, return_inverse=True)
    for index, row in enumerate(unique):
        own = which.ravel() == index
        templates.append(_at_rows(inputs[own], row[None], results[own]))
    return ConstantLayer(
        data, constant, None, shape[:lead], templates, _indices(len(order))
    )


def _at_rows(vectors: Indices, matrix: Indices, results: Indices) -> Template:
    """`results [R, O] = vectors [R, I] · matrix [I, O]`"""
    return Template(
        matrix[:, :, None, None], vectors.T[:, None, :], results.T[:, None, :]
    )


@_layer.register
def _conv(op: ConvOp) -> ConstantLayer:
    one = (1,) * (2 - op.SPATIAL)
    batch, channels, *_ = shape_of(op.input)
    out, per_group, *_ = shape_of(op.weight)
    size = (*one, *shape_of(op.input)[2:])
    places = (*one, *shape_of(op.result)[2:])
    kernel = (*one, *shape_of(op.weight)[2:])
    zero = (0,) * len(one)
    axes = [
        _Axis.of(*numbers)
        for numbers in zip(
            size,
            places,
            kernel,
            (*one, *ints(op.strides)),
            (*zero, *ints(op.padding)),
            (*one, *ints(op.dilation)),
            strict=True,
        )
    ]
    y, x = axes
    image = np.full((channels, size[0] + 1, size[1] + 1), -1, np.int64)
    image[:, :-1, :-1] = _indices(channels, *size)
    # Row or column -1 is the one of zeros.
    rows, columns = y.places[None, :, None, :, None], x.places[None, None, :, None, :]
    planes = image[np.arange(channels)[:, None, None, None, None], rows, columns]
    weights = _indices(out, per_group, *kernel)
    taps = np.full(
        (per_group, len(y.places), len(x.places), out, y.reach, x.reach), -1, np.int64
    )
    for i, j in np.ndindex(*kernel):
        taps[:, y.phase[i], x.phase[j], :, y.tap[i], x.tap[j]] = weights[:, :, i, j].T
    results = _indices(out, *places)
    groups = channels // per_group
    templates = [
        Template(
            taps[:, :, :, own].reshape(-1, out // groups, y.reach, x.reach),
            planes[group * per_group :][:per_group].reshape(-1, *planes.shape[-2:]),
            results[own],
            (y.step, x.step),
        )
        for group, own in enumerate(
            slice(g * out // groups, (g + 1) * out // groups) for g in range(groups)
        )
    ]
    bias_of = np.repeat(np.arange(out), prod(places))
    return ConstantLayer(op.input, op.weight, op.bias, (batch,), templates, bias_of)


@dataclass(frozen=True)
class _Axis:
    """
    A spatial dimension of a convolution, in units of its stride.

    Inputs a stride apart make a phase, an input of its own. Kernel element k reads, at
    place q, its `phase` at q + `step` · `tap`.
    """

    phase: Indices
    """`[K]`"""
    tap: Indices
    """`[K]`, from 0."""
    step: int
    places: Indices
    """`[phases, Q + step · (reach - 1)]`: where in the image, -1 if outside."""

    @property
    def reach(self) -> int:
        return int(self.tap.max()) + 1

    @staticmethod
    def of(
        size: int, places: int, kernel: int, stride: int, padding: int, dilation: int
    ) -> _Axis:
        offset = np.arange(kernel) * dilation - padding
        phases, phase = np.unique(offset % stride, return_inverse=True)
        first = np.full(len(phases), np.iinfo(np.int64).max)
        np.minimum.at(first, phase, offset // stride)
        ahead = offset // stride - first[phase]
        # Dilated taps of one output meet those of outputs a step away only.
        step = gcd(*ahead.tolist()) or 1
        tap = ahead // step
        reached = np.arange(places + step * int(tap.max()))
        image = (first[:, None] + reached) * stride + phases[:, None]
        image[(image < 0) | (image >= size)] = -1
        return _Axis(phase, tap, step, image)


def _indices(*shape: int) -> Indices:
    """The places of elements, row-major."""
    return np.arange(prod(shape)).reshape(shape)
