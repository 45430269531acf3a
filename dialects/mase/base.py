"""What every op of the mase dialect shares: one tensor result, known shape, purity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    DenseArrayBase,
    IntegerType,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.pattern_rewriter import RewritePattern
from xdsl.traits import HasCanonicalizationPatternsTrait, Pure
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.types import (
    check_type,
    element_of,
    exact_format,
    shape_of,
    tensor_of,
)

Shape = tuple[int, ...]


I64ArrayConstr = DenseArrayBase.constr(i64)
"""Lists of integers among the properties."""


def int_array(values: Sequence[int]) -> DenseArrayBase[IntegerType]:
    """`array<i64: …>`"""
    return DenseArrayBase.from_list(i64, values)


def ints(attr: DenseArrayBase[IntegerType]) -> tuple[int, ...]:
    """The values of an `array<i64: …>`."""
    return tuple(int(v) for v in attr.get_values())


class CanonicalizationPatterns(HasCanonicalizationPatternsTrait):
    """The op's patterns; a late import, since they import this dialect."""

    def get_patterns(self, op: type[Operation]) -> tuple[RewritePattern, ...]:
        from mase_opt.lib.transforms.canonicalization.mase import PATTERNS

        return PATTERNS.get(op, ())

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        raise NotImplementedError("the patterns depend on the op, see get_patterns")


class MaseOp(IRDLOperation, ABC):
    """One tensor result whose shape follows from operands and properties."""

    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure(), CanonicalizationPatterns())
    irdl_options = (ParsePropInAttrDict(),)

    @abstractmethod
    def infer_shape(self) -> Shape:
        """
        The shape that the result must have.

        Raises `VerifyException` where the operands do not fit together.
        """

    def verify_(self) -> None:
        for value in (*self.operands, self.result):
            check_type(tensor_of(value))
        shape, expected = shape_of(self.result), self.infer_shape()
        if shape != expected:
            raise VerifyException(
                f"result has shape {show(shape)}, expected {show(expected)}"
            )

    def set_result(self, element: Attribute) -> None:
        """Give the result its inferred shape and `element`; for constructors."""
        self.result._type = TensorType(element, self.infer_shape())  # pyright: ignore[reportPrivateUsage]


PENDING = TensorType(i64, [])
"""Stands for a result type between creating an op and `set_result`."""


class ArithmeticOp(MaseOp, ABC):
    """The exact real result of the operands, rounded once into the result type."""

    layer = opt_prop_def(StringAttr)
    """Path of the layer in the torch model, such as `encoder.0.attention`."""
    rounding = prop_def(RoundingAttr, default_value=RoundingAttr.DEFAULT)


class SameElementOp(MaseOp, ABC):
    """Moves elements without changing them."""

    def verify_(self) -> None:
        super().verify_()
        element, expected = element_of(self.result), element_of(self.operands[0])
        for value in (*self.operands[1:], self.result):
            if value is self.result or self.moves(value):
                element = element_of(value)
                if element != expected:
                    raise VerifyException(
                        f"element type is {element}, expected {expected}"
                    )

    def moves(self, operand: SSAValue) -> bool:
        """Whether elements of `operand` appear in the result."""
        return True


class UnaryOp(ArithmeticOp, ABC):
    """One function applied to every element."""

    input = operand_def(AnyTensorTypeConstr)

    assembly_format = "$input attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        input: SSAValue | Operation,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input],
            result_types=[TensorType(element or element_of(input), shape_of(input))],
            properties={"layer": layer_attr(layer), "rounding": rounding},
        )

    def infer_shape(self) -> Shape:
        return shape_of(self.input)


Value = SSAValue | Operation
"""What constructors take as an operand."""


def optional(value: Value | None) -> SSAValue | None:
    return None if value is None else SSAValue.get(value)


def layer_attr(layer: str | None) -> StringAttr | None:
    return None if layer is None else StringAttr(layer)


def show(shape: Sequence[int]) -> str:
    """`2x3`, or `scalar` for rank 0."""
    return "x".join(map(str, shape)) or "scalar"


def broadcast(lhs: Shape, rhs: Shape) -> Shape:
    """
    The broadcast of two shapes, aligned at the right as in NumPy.

    Raises `VerifyException` where dimensions differ and neither is 1.
    """
    rank = max(len(lhs), len(rhs))
    left = (1,) * (rank - len(lhs)) + lhs
    right = (1,) * (rank - len(rhs)) + rhs
    if any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        raise VerifyException(f"shapes {show(lhs)} and {show(rhs)} do not broadcast")
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


def check_axis(axis: int, rank: int, name: str = "axis") -> None:
    """Raises `VerifyException` unless `0 <= axis < rank`."""
    if rank == 0:
        raise VerifyException(f"{name} is {axis}, but a scalar has no dimensions")
    if not 0 <= axis < rank:
        raise VerifyException(f"{name} is {axis}, expected 0 to {rank - 1}")


def check_rank(value: SSAValue, rank: int, name: str) -> Shape:
    """The shape of `value`; raises `VerifyException` unless it has rank `rank`."""
    shape = shape_of(value)
    if len(shape) != rank:
        raise VerifyException(f"{name} has rank {len(shape)}, expected {rank}")
    return shape


def check_shape(value: SSAValue | None, expected: Shape, name: str) -> None:
    """Raises `VerifyException` unless `value` is absent or has the expected shape."""
    if value is not None and shape_of(value) != expected:
        raise VerifyException(
            f"{name} has shape {show(shape_of(value))}, expected {show(expected)}"
        )


def check_length(
    attr: DenseArrayBase[IntegerType], length: int, name: str
) -> tuple[int, ...]:
    """The values of `attr`; raises `VerifyException` unless there are `length`."""
    values = ints(attr)
    if len(values) != length:
        raise VerifyException(f"{name} has {len(values)} values, expected {length}")
    return values


def check_indices(value: SSAValue) -> None:
    """Raises `VerifyException` unless the elements of `value` are integers."""
    format = exact_format(element_of(value))
    if format is None or format.frac != 0:
        raise VerifyException(
            f"indices have element type {element_of(value)}, expected an integer or "
            "fixed point without fraction bits"
        )


def window_positions(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool = False,
) -> Shape:
    """
    Number of window positions per spatial dimension.

    Raises `VerifyException` where a window does not fit or a parameter is out of range.
    """
    result: list[int] = []
    for n, k, s, p, d in zip(size, kernel, strides, padding, dilation, strict=True):
        if s < 1 or d < 1 or p < 0:
            raise VerifyException(
                f"stride {s}, dilation {d}, padding {p}: expected at least 1, 1, 0"
            )
        span = d * (k - 1) + 1
        free = n + 2 * p - span
        if k < 1 or free < 0:
            raise VerifyException(
                f"a window of {span} does not fit into {n} elements padded by {p}"
            )
        count = free // s + 1
        if ceil_mode and free % s and count * s < n + p:
            # torch: the last window must start inside the input or left padding.
            count += 1
        result.append(count)
    return tuple(result)
