"""The integers of constant layers: what multiplies codes, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase.adder_graph import graph_codes
from mase_opt.dialects.mase.adder_graph_values import SparseRows
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.adder_graphs.constant_layers import ConstantLayer, Indices, Template
from mase_opt.lib.analysis.ranges import Ranges, keeps_order
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Binary, Scaled
from mase_opt.lib.formats.rounding import IntArray, max_magnitude
from mase_opt.lib.interpreters.kernels.values import dyadic, from_exact
from mase_opt.lib.native import WEIGHT_BITS, check_bits

Numbers = NDArray[np.float64]
MAX_SCALED_BITS = 53 - 24
"""Of codes whose products with scales, float32 numbers, are exact in float64."""


@dataclass(frozen=True)
class Kernel:
    """A template with integers in it."""

    template: Template
    """Without inputs that are always the same."""
    weights: Indices
    """`[I, O, Y, X]`"""
    ranges: Indices
    """`[I, 2]`: the lowest and highest code."""


@dataclass(frozen=True)
class Problem:
    """
    A layer as `(matrix · codes · 2^lift + offsets) · 2^-frac`.

    With `scales`, rows of scale and bias, that is times the scale, plus the bias.
    """

    op: Operation
    operand: int
    """Which operand of it is the data."""
    layer: ConstantLayer
    kernels: list[Kernel]
    matrix: SparseRows
    """`[outputs, inputs]`"""
    ranges: Indices
    """`[inputs, 2]`: the lowest and highest code, without what is dropped."""
    dropped: Indices
    """`[inputs]`: how many low bits are left out, all of them zero."""
    lift: int
    offsets: Indices
    frac: int
    scales: Numbers | None

    @property
    def rows(self) -> int:
        """How often the graph is built."""
        return int(np.prod(self.layer.lead, dtype=np.int64))

    def whole(self) -> Kernel:
        """The matrix as one kernel, at one place."""
        inputs, outputs = self.layer.inputs, self.layer.outputs
        weights = np.zeros((inputs, outputs, 1, 1), np.int64)
        weights[self.matrix.columns, self.matrix.rows, 0, 0] = self.matrix.values
        planes, results = (np.arange(n)[:, None, None] for n in (inputs, outputs))
        return Kernel(Template(weights, planes, results), weights, self.ranges)


def problem_of(op: Operation, layer: ConstantLayer, ranges: Ranges) -> Problem | None:
    """
    The problem of a layer; None if it has none in integers that can be solved.

    Tells `ranges` of the result.
    """
    data, weights = _affine(layer), _constants(layer.constant)
    if data is None or weights is None or not _can_reshape(op, layer):
        return None
    integers = _common_units(layer, data, weights)
    if integers is None:
        return None
    templates, units, frac = integers
    matrix = _matrix(layer, templates)
    ends = ranges.codes(layer.data).reshape(2, -1, layer.inputs)
    ends = np.stack([ends[0].min(axis=0), ends[1].max(axis=0)], 1)
    if int(ends.max()) > np.iinfo(np.int64).max:
        return None
    ends = ends.astype(np.int64)
    dropped = np.zeros(layer.inputs, np.int64)
    if not data.zero:
        dropped = _dropped(layer, ranges.zeros(layer.data))
    widest = max(max_magnitude(w) for _, w in templates).bit_length()
    if widest + int(dropped.max()) > WEIGHT_BITS:
        dropped[:] = 0
    same = ends[:, 0] == ends[:, 1]
    constant = np.where(same, ends[:, 0], 0).astype(object) * data.factor - data.zero
    offsets = matrix.spans(np.stack([constant] * 2, 1), layer.outputs)[:, 0]
    kept = ~same[matrix.columns]
    ends >>= dropped[:, None]
    rows, columns = matrix.rows[kept], matrix.columns[kept]
    values = matrix.values[kept] * data.factor << dropped[columns]
    matrix = SparseRows(rows, columns, values)
    biased = _with_bias(layer, offsets, units, frac)
    if biased is None:
        return None
    offsets, units, lift = biased
    if max_magnitude(offsets) >= 1 << WEIGHT_BITS:
        return None
    kernels = [_kernel(t, w * data.factor, ends, same, dropped) for t, w in templates]
    try:
        for kernel in kernels:
            check_bits(kernel.weights, kernel.ranges)
    except UserError:
        return None
    problem = Problem(
        op,
        tuple(op.operands).index(layer.data),
        layer,
        kernels,
        matrix,
        ends,
        dropped,
        lift,
        offsets.astype(np.int64),
        frac + lift,
        units,
    )
    _tell(problem, ranges)
    return problem


def _with_bias(
    layer: ConstantLayer, offsets: IntArray, scales: Numbers | None, frac: int
) -> tuple[IntArray, Numbers | None, int] | None:
    """Offsets and scales, and by how many more fraction bits offsets are."""
    if layer.bias is None:
        return offsets, scales, 0
    bias = _constants(layer.bias)
    if bias is None:
        return None
    if scales is not None:
        numbers = bias.floats()
        if numbers is None:
            return None
        return offsets, np.stack([scales[:, 0], numbers[layer.bias_of]], 1), 0
    found = bias.in_powers_of_two()
    if found is None:
        return None
    codes, places = found
    lift = max(places - frac, 0)
    codes = codes[layer.bias_of] << (frac + lift - places)
    return (offsets.astype(object) << lift) + codes, None, lift


@dataclass(frozen=True)
class _Affine:
    """The numbers `(factor · code - zero) · unit` of data."""

    factor: int
    zero: int
    units: Numbers
    """`[I]`"""


def _affine(layer: ConstantLayer) -> _Affine | None:
    element, shape = element_of(layer.data), shape_of(layer.data)
    codes = graph_codes(element)
    if codes is None or not _is_exact(element):
        return None
    factor, zero, step = 1, 0, codes.step
    if isinstance(codes, Binary) and codes.signed:
        factor, zero, step = 2, 1, 1.0
    units = np.full((1, layer.inputs), step)
    if isinstance(element, ElementType) and isinstance(element.format, Scaled):
        zero += element.format.zero_point
        scales = np.broadcast_to(element.format.spread(np.zeros(shape))[0], shape)
        units = scales.reshape(-1, layer.inputs) * step
    if (units != units[0]).any():
        return None
    return _Affine(factor, zero, units[0])


@dataclass(frozen=True)
class _Constants:
    """The numbers `codes · units` of a constant, flat."""

    codes: IntArray
    units: Numbers

    def in_powers_of_two(self) -> tuple[IntArray, int] | None:
        """Integers and the fraction bits of all of them."""
        fractions, exponents = np.frexp(self.units)
        if (fractions != 0.5).any():
            numbers = self.floats()
            if numbers is None:
                return None
            exact = dyadic(numbers)
            return exact.codes.astype(object), exact.frac
        low = int(exponents.min())
        shifts = (exponents - low).astype(object)
        return self.codes.astype(object) << shifts, 1 - low

    def floats(self) -> Numbers | None:
        """The numbers; None if one has more than 53 bits."""
        numbers = self.codes.astype(np.float64)
        if (numbers.astype(object) != self.codes).any():
            return None
        return numbers * self.units


def _constants(value: SSAValue) -> _Constants | None:
    """None for builtin floats, and for numbers that are not finite."""
    op, element = value.owner, element_of(value)
    assert isinstance(op, ConstantOp)
    numbers = op.array().ravel()
    format = exact_format(element)
    if format is not None:
        codes = numbers.astype(object)
        return _Constants(codes, np.full(len(codes), format.step))
    if not isinstance(element, ElementType) or not _is_exact(element):
        return None
    if not np.isfinite(numbers).all():
        return None
    numbers = numbers.astype(np.float64)
    scales = np.ones(len(numbers))
    if isinstance(element.format, Scaled):
        shape = shape_of(value)
        spread = element.format.spread(np.zeros(shape))[0]
        scales = np.broadcast_to(spread, shape).ravel()
    # Products with scales are exact, so quotients are.
    exact = dyadic(numbers / scales)
    return _Constants(exact.codes.astype(object), scales * 2.0**-exact.frac)


def _is_exact(element: Attribute) -> bool:
    """Whether scales times codes, which the interpreter holds, are float64 numbers."""
    if not isinstance(element, ElementType) or not isinstance(element.format, Scaled):
        return True
    bits = element.format.element.bits + (element.format.zero_point != 0)
    return element.format.power_of_two or bits <= MAX_SCALED_BITS


def _can_reshape(op: Operation, layer: ConstantLayer) -> bool:
    """Whether data and result keep their numbers as vectors."""
    (result,) = op.results
    for value, size in ((layer.data, layer.inputs), (result, layer.outputs)):
        element = element_of(value)
        if isinstance(element, ElementType):
            if element.format.positional and shape_of(value) != (*layer.lead, size):
                return False
        elif exact_format(element) is None:
            return False
    return True


def _common_units(
    layer: ConstantLayer, data: _Affine, constants: _Constants
) -> tuple[list[tuple[Template, Indices]], Numbers | None, int] | None:
    """
    The templates with integers, scales and fraction bits of the outputs.

    None where what is added has units whose ratio is no power of two, or takes too many
    bits.
    """
    codes = np.append(constants.codes, 0)
    units = np.append(constants.units, 1.0)
    found: list[tuple[Template, IntArray, NDArray[np.int64]]] = []
    fractions = np.full(layer.outputs, 0.5)
    unused = np.iinfo(np.int32).max
    lowest = np.full(layer.outputs, unused)
    for template in layer.templates:
        unit = _of_planes(data.units, template.planes)
        if unit is None:
            return None
        weights = codes[template.taps]
        fraction, exponent = np.frexp(units[template.taps] * unit[:, None, None, None])
        used = weights != 0
        for o, results in enumerate(template.outputs):
            if not used[:, o].any():
                continue
            (kind, *others) = np.unique(fraction[:, o][used[:, o]]).tolist()
            if others:
                return None
            fractions[results] = kind
            lowest[results] = exponent[:, o][used[:, o]].min()
        found.append((template, weights, exponent.astype(np.int64)))
    scaled = bool((fractions != 0.5).any())
    if not scaled:
        lowest[:] = lowest.min()
    lowest[lowest == unused] = 0
    templates: list[tuple[Template, Indices]] = []
    for template, weights, exponent in found:
        base = lowest[template.outputs.reshape(len(template.outputs), -1)[:, 0]]
        shifts = np.where(weights != 0, exponent - base[:, None, None], 0)
        weights = weights << shifts.astype(object)
        if max_magnitude(weights).bit_length() > WEIGHT_BITS:
            return None
        templates.append((template, weights.astype(np.int64)))
    if not scaled:
        return templates, None, 1 - int(lowest[0])
    scales = np.ldexp(fractions, lowest.astype(np.int32))
    return templates, np.stack([scales, np.zeros(len(scales))], 1), 0


def _of_planes(units: Numbers, planes: Indices) -> Numbers | None:
    """The unit of each plane, 1 if it is empty; None if one has several."""
    flat = planes.reshape(len(planes), -1)
    low, high = (np.where(flat >= 0, units[flat], empty) for empty in (np.inf, -np.inf))
    unit = low.min(axis=1)
    unit[np.isinf(unit)] = 1.0
    return None if (high.max(axis=1) > unit).any() else unit


def _matrix(
    layer: ConstantLayer, templates: list[tuple[Template, Indices]]
) -> SparseRows:
    """All templates at all places."""
    parts: list[tuple[Indices, Indices, Indices]] = []
    for template, weights in templates:
        plane, output, y, x = np.nonzero(weights)
        values = weights[plane, output, y, x]
        height, width = (int(n) for n in template.outputs.shape[1:])
        rows = y[:, None] * template.step[0] + np.arange(height)
        columns = x[:, None] * template.step[1] + np.arange(width)
        read = template.planes[
            plane[:, None, None], rows[:, :, None], columns[:, None, :]
        ]
        inside = read >= 0
        parts.append(
            (
                template.outputs[output][inside],
                read[inside],
                np.broadcast_to(values[:, None, None], read.shape)[inside],
            )
        )
    found: list[Indices] = [np.concatenate(part) for part in zip(*parts, strict=True)]
    rows, columns, values = found
    order = np.argsort(rows * layer.inputs + columns, kind="stable")
    return SparseRows(rows[order], columns[order], values[order])


def _dropped(layer: ConstantLayer, zeros: IntArray) -> Indices:
    """How many zeros below each input are left out: as many for all of a plane."""
    dropped = zeros.reshape(-1, layer.inputs).min(axis=0).astype(np.int64)
    changed = bool(dropped.any())
    while changed:
        before = dropped.copy()
        for template in layer.templates:
            for plane in template.planes.reshape(len(template.planes), -1):
                own = plane[plane >= 0]
                if len(own):
                    dropped[own] = dropped[own].min()
        changed = bool((dropped != before).any())
    return dropped


def _kernel(
    template: Template,
    weights: Indices,
    ends: IntArray,
    same: NDArray[np.bool_],
    dropped: Indices,
) -> Kernel:
    planes = np.where(
        (template.planes >= 0) & ~same[template.planes], template.planes, -1
    )
    flat = planes.reshape(len(planes), -1)
    # Another one of the plane stands for zeros.
    read = np.where(flat >= 0, flat, flat.max(axis=1, keepdims=True))
    ranges = np.stack([ends[read, 0].min(axis=1), ends[read, 1].max(axis=1)], 1)
    ranges[read[:, 0] < 0] = 0
    weights = np.where((read[:, 0] < 0)[:, None, None, None], 0, weights)
    # Of a plane, all have as many.
    weights = weights << dropped[read[:, 0]][:, None, None, None]
    return Kernel(
        Template(template.taps, planes, template.outputs, template.step),
        weights,
        ranges,
    )


def _tell(problem: Problem, ranges: Ranges) -> None:
    (result,) = problem.op.results
    if graph_codes(element_of(result)) is None or not keeps_order(problem.op):
        return
    sums = problem.matrix.spans(problem.ranges, problem.layer.outputs).astype(object)
    sums = (sums << problem.lift) + problem.offsets[:, None]
    frac = problem.frac
    if problem.scales is not None:
        scale, bias = (dyadic(column) for column in problem.scales.T)
        sums = sums * scale.codes.astype(object)[:, None]
        frac += scale.frac
        common = max(frac, bias.frac)
        sums = (sums << (common - frac)) + (
            bias.codes.astype(object)[:, None] << (common - bias.frac)
        )
        frac = common
    shape = shape_of(result)
    flat = np.broadcast_to(sums.T[:, None], (2, problem.rows, len(sums)))
    ranges.set(result, from_exact(problem.op, flat.reshape(2, *shape), frac))
