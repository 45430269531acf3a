"""What quantization has made of a model: formats, memory and errors of each layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, log10, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import FixedBitwidthType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.layers import LookupOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.masks import masked_scores, softmax_axis
from mase_opt.lib.analysis.observation import batches
from mase_opt.lib.data.samples import encode_inputs
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.kernels.values import decode
from mase_opt.lib.interpreters.mase import evaluate, evaluate_op
from mase_opt.lib.model_function import layer_of
from mase_opt.lib.table import Cell, Column, Table

Array = NDArray[Any]
MASK = 1e30
"""Masks are infinite or about -1e38; what they become does not matter."""
SCALE_BITS = 32
"""Scales of `scaled` are float32 numbers."""
COLUMNS = (
    Column("layer"),
    Column("operation", fold=1),
    Column("input", fold=1),
    Column("weight"),
    Column("bias", fold=2),
    Column("output"),
    Column("accumulator", fold=2),
    Column("weights", fold=1),
    Column("bits_per_weight", ".3f", fold=1),
    Column("parameter_bits", fold=2),
    Column("parameter_bytes"),
    Column("weight_sqnr_db", ".2f"),
    Column("output_sqnr_db", ".2f"),
)


@dataclass
class Noise:
    """How far numbers are from what they should be."""

    signal: float = 0.0
    """Sum of the squares of what should be."""
    error: float = 0.0
    """Sum of the squares of the differences."""

    def add(self, expected: Array, actual: Array) -> None:
        """Count some numbers, which may broadcast; all but masks of attention."""
        expected, actual = np.broadcast_arrays(expected.astype(np.float64), actual)
        counted = np.abs(expected) < MASK
        if not counted.all():
            expected, actual = expected[counted], actual[counted]
        self.signal += float(np.square(expected).sum())
        self.error += float(np.square(actual - expected).sum())

    @property
    def sqnr(self) -> float:
        """Signal to quantization noise in dB; infinite where there is no noise."""
        if self.error == 0:
            return inf
        return 10 * log10(self.signal / self.error) if self.signal else -inf


def storage_bits(element: Attribute, shape: tuple[int, ...]) -> int:
    """The bits of a tensor: its elements and what they share."""
    if isinstance(element, FixedBitwidthType):
        return prod(shape) * element.bitwidth
    assert isinstance(element, ElementType), f"no constants of {element}"
    return element.format.bits_of(shape)


def parameter(value: SSAValue) -> ConstantOp | None:
    """The constant that `value` is, or is cast from; None if it is computed."""
    owner = value.owner
    if isinstance(owner, CastOp):
        owner = owner.input.owner
    return owner if isinstance(owner, ConstantOp) else None


def layers(function: FuncOp) -> Iterator[MaseOp]:
    """The ops that compute: no constants, casts or ops that only move elements."""
    for op in function.body.block.ops:
        if isinstance(op, MaseOp) and not isinstance(
            op, ConstantOp | CastOp | SameElementOp
        ):
            yield op


def matched(function: FuncOp, reference: FuncOp) -> dict[Operation, Operation]:
    """
    The op of `reference` that each layer of `function` has been.

    These have path, kind and shape in common; of several in a layer, all must be there.
    """
    found: list[dict[tuple[str | None, str], list[MaseOp]]] = []
    for f in (function, reference):
        by_key: defaultdict[tuple[str | None, str], list[MaseOp]] = defaultdict(list)
        for op in layers(f):
            by_key[layer_of(op), op.name].append(op)
        found.append(by_key)
    own, others = found
    return {
        op: other
        for key, ops in own.items()
        if len(ops) == len(others.get(key, ()))
        for op, other in zip(ops, others[key], strict=True)
        if shape_of(op.result) == shape_of(other.result)
        and len(op.operands) == len(other.operands)
    }


def output_noise(
    function: FuncOp,
    reference: FuncOp,
    pairs: dict[Operation, Operation],
    inputs: Sequence[Array],
) -> dict[Operation, Noise]:
    """
    The noise of each result that `pairs` names, on `inputs` as numbers.

    Raises `UserError` where a function cannot be run.
    """
    wanted: dict[SSAValue, SSAValue] = {
        op.results[0]: other.results[0]
        for op, other in pairs.items()
        if is_float(element_of(other.results[0]))
    }
    expected_values = set(wanted.values())
    noise = {op: Noise() for op in pairs if op.results[0] in wanted}
    expected: dict[SSAValue, Array] = {}

    def keep(value: SSAValue, array: Array) -> None:
        if value in expected_values:
            if (axis := softmax_axis(value)) is not None:
                array = np.where(masked_scores(array, axis), -np.inf, array)
            expected[value] = array

    def compare(value: SSAValue, array: Array) -> None:
        if value in wanted:
            owner = value.owner
            assert isinstance(owner, Operation), "results of ops are compared"
            noise[owner].add(
                expected.pop(wanted[value]), decode(array, element_of(value))
            )

    for batch in batches(reference, inputs, "comparing"):
        try:
            evaluate(reference, batch, observe=keep)
            evaluate(function, encode_inputs(function, batch), observe=compare)
        except InterpretationError as error:
            raise UserError(f"comparing with the reference: {error}") from error
    return noise


class Parameters:
    """The parameters of all layers."""

    def __init__(self, function: FuncOp, pairs: dict[Operation, Operation]):
        self.pairs = pairs
        self.weights: dict[SSAValue, int] = {}
        """The bits of each; a shared one is counted once."""
        self.others: dict[SSAValue, int] = {}
        """Biases and tables."""
        for op in layers(function):
            for value in op.operands:
                if parameter(value) is not None:
                    where = self.weights if is_weight(op, value) else self.others
                    where[value] = storage_bits(element_of(value), shape_of(value))

    def weight_noise(self, op: Operation) -> Noise | None:
        """The noise of the weights of `op`; None if their floats are not known."""
        weights = [(i, v) for i, v in enumerate(op.operands) if v in self.weights]
        noise = Noise()
        for index, value in weights:
            if (expected := self._float(op, index)) is None:
                return None
            noise.add(expected, numbers(value))
        return noise if weights else None

    def _float(self, op: Operation, index: int) -> Array | None:
        """What the reference has in place of an operand, else what is cast to it."""
        value = op.operands[index]
        origins = [value] if isinstance(value.owner, CastOp) else []
        if op in self.pairs:
            origins.insert(0, self.pairs[op].operands[index])
        for origin in origins:
            constant = parameter(origin)
            if (
                constant is not None
                and is_float(element_of(constant.result))
                and shape_of(constant.result) == shape_of(value)
            ):
                return constant.array()
        return None


def is_weight(op: Operation, value: SSAValue) -> bool:
    """Whether a parameter of `op` is a number that data is multiplied or added to."""
    element = element_of(value)
    return (
        (is_float(element) or isinstance(element, ElementType))
        and value is not getattr(op, "bias", None)
        and not isinstance(op, LookupOp)
    )


def numbers(value: SSAValue) -> Array:
    """The numbers that a parameter stands for."""
    owner = value.owner
    if isinstance(owner, CastOp):
        constant = parameter(value)
        assert constant is not None, "parameters are constants or cast from them"
        array = evaluate_op(owner, [constant.array()[None]])[0]
    else:
        assert isinstance(owner, ConstantOp), "parameters are constants"
        array = owner.array()
    return decode(array, element_of(value))


def summary(
    function: FuncOp,
    reference: FuncOp | None = None,
    inputs: Sequence[Array] | None = None,
) -> Table:
    """
    A row for each layer of `function`; errors are against `reference`, on `inputs`.

    Raises `UserError` if `reference` is of another model, or cannot be run.
    """
    pairs = {} if reference is None else matched(function, reference)
    if reference is not None and not any(
        is_float(element_of(other.results[0])) for other in pairs.values()
    ):
        raise UserError(
            "the reference has no layer in floating point that the model has, too"
        )
    noise: dict[Operation, Noise] = {}
    if reference is not None and inputs is not None:
        noise = output_noise(function, reference, pairs, inputs)
    parameters = Parameters(function, pairs)
    rows = [_row(op, parameters, noise.get(op)) for op in layers(function)]
    weights = sum(prod(shape_of(value)) for value in parameters.weights)
    bits = sum(parameters.weights.values())
    all_bits = bits + sum(parameters.others.values())
    average = bits / weights if weights else None
    total = ("total", *[None] * 6, weights, average, all_bits, _bytes(all_bits))
    return Table("Quantization", COLUMNS, rows, (*total, None, None))


def _row(op: MaseOp, parameters: Parameters, noise: Noise | None) -> Sequence[Cell]:
    operands = list(dict.fromkeys(op.operands))
    weights = [v for v in operands if v in parameters.weights]
    others = [v for v in operands if v in parameters.others]
    inputs = [v for v in operands if v not in (*weights, *others)]
    biases = [v for v in others if v is getattr(op, "bias", None)]
    accumulator = getattr(op, "accumulator", None)
    count = sum(prod(shape_of(value)) for value in weights)
    bits = sum(parameters.weights[value] for value in weights)
    all_bits = bits + sum(parameters.others[value] for value in others)
    weight_noise = parameters.weight_noise(op)
    return (
        layer_of(op) or "",
        op.name.removeprefix("mase."),
        _formats(inputs),
        _formats(weights),
        _formats(biases),
        _formats([op.result]),
        "" if accumulator is None else _format(accumulator),
        count,
        bits / count if count else None,
        all_bits,
        _bytes(all_bits),
        None if weight_noise is None else weight_noise.sqnr,
        None if noise is None else noise.sqnr,
    )


def _formats(values: Sequence[SSAValue]) -> str:
    return ", ".join(dict.fromkeys(_format(element_of(value)) for value in values))


def _format(element: Attribute) -> str:
    return str(element.format if isinstance(element, ElementType) else element)


def _bytes(bits: int) -> int:
    return -(-bits // 8)
