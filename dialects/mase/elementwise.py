"""Elementwise ops of the mase dialect, one class per function."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Container, Sequence
from math import inf, isfinite, prod
from typing import Any, ClassVar

from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    Float64Type,
    FloatAttr,
    IntegerType,
    StringAttr,
    TensorType,
    f64,
    i1,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
)
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import (
    ArithmeticOp,
    FunctionOp,
    Interval,
    MaseOp,
    Shape,
    Sign,
    UnaryOp,
    broadcast,
    is_constant,
    layer_attr,
)
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import FormatError
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.formats.ternary import Ternary


@irdl_op_definition
class CastOp(UnaryOp):
    """
    The same numbers in another format: rounded, then brought into range.

    Between any two element types, builtin floats and integers included. Integers are
    fixed point without fraction bits. An `i1`, here and as the result of every other
    op, says whether the exact number is not zero; floats round to nearest, ties to
    even. NaN in a type without it is an error.

    Ternary elements are the signs of magnitudes above `threshold`, else zero; without
    it, above 0.7 times the mean magnitude of what shares a scale, in one sample.

    ```mlir
    %1 = mase.cast %0 : (tensor<4xf32>) -> tensor<4x!mase.fixed<8, 4>>
    %2 = mase.cast %1 {rounding = #mase.rounding<floor, wrap>}
      : (tensor<4x!mase.fixed<8, 4>>) -> tensor<4x!mase.fixed<4, 2>>
    %3 = mase.cast %0 {threshold = 0.35 : f64}
      : (tensor<4xf32>) -> tensor<4x!mase.ternary>
    ```
    """

    name = "mase.cast"
    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)

    threshold = opt_prop_def(FloatAttr[Float64Type])

    def __init__(
        self,
        input: SSAValue | Operation,
        *,
        element: Attribute,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
        threshold: float | None = None,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        if threshold is not None:
            self.threshold = FloatAttr(threshold, f64)

    @property
    def result_format(self) -> Format[Any] | None:
        """The format to cast to, with the threshold; None for builtin types."""
        element = element_of(self.result)
        if not isinstance(element, ElementType):
            return None
        if self.threshold is None:
            return element.format
        ternary = Ternary(self.threshold.value.data)
        if isinstance(element.format, Scaled):
            return element.format.of(ternary)
        return ternary

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return x

    def verify_(self) -> None:
        super().verify_()
        if self.threshold is None:
            return
        element = element_of(self.result)
        if not isinstance(element, ElementType) or element.codes != Ternary():
            raise VerifyException(f"a threshold, but the result is of {element}")
        try:
            Ternary(self.threshold.value.data)
        except FormatError as error:
            raise VerifyException(str(error)) from error


@irdl_op_definition
class NegOp(UnaryOp):
    """
    -x

    ```mlir
    %1 = mase.neg %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.neg"
    DIRECTIONS: ClassVar[tuple[int, ...]] = (-1,)

    @property
    def stays_narrow(self) -> bool:
        return True

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return -x

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return ()


@irdl_op_definition
class AbsOp(UnaryOp):
    """
    |x|

    ```mlir
    %1 = mase.abs %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.abs"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return abs(x)

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return ()


@irdl_op_definition
class ReluOp(UnaryOp):
    """
    max(x, 0)

    ```mlir
    %1 = mase.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.relu"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)

    @property
    def keeps_format(self) -> bool:
        return True

    @property
    def stays_narrow(self) -> bool:
        return True

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return Multiples(x.frac, 0, x.high)

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        return (0, inf)

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return ()


@irdl_op_definition
class Relu6Op(UnaryOp):
    """
    min(max(x, 0), 6)

    ```mlir
    %1 = mase.relu6 %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.relu6"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)

    @property
    def keeps_format(self) -> bool:
        return True

    @property
    def stays_narrow(self) -> bool:
        return True

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return Multiples(x.frac, 0, x.high) | Multiples.of(6.0)

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        return (0, 6)


@irdl_op_definition
class LeakyReluOp(UnaryOp):
    """
    x where x ≥ 0, else x · negative_slope

    ```mlir
    %1 = mase.leaky_relu %0 {negative_slope = 0.01 : f64}
      : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.leaky_relu"
    SIGN: ClassVar[Sign] = Sign.KEPT

    negative_slope = prop_def(FloatAttr[Float64Type])

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return ()

    def verify_(self) -> None:
        super().verify_()
        if not isfinite(slope := self.negative_slope.value.data):
            raise VerifyException(f"negative_slope is {slope}, expected a finite one")

    def __init__(
        self,
        input: SSAValue | Operation,
        negative_slope: float,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.negative_slope = FloatAttr(negative_slope, f64)


@irdl_op_definition
class EluOp(FunctionOp):
    """
    x where x ≥ 0, else alpha · (exp(x) - 1)

    ```mlir
    %1 = mase.elu %0 {alpha = 1.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.elu"
    SIGN: ClassVar[Sign] = Sign.KEPT

    alpha = prop_def(FloatAttr[Float64Type])

    def __init__(
        self,
        input: SSAValue | Operation,
        alpha: float = 1.0,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.alpha = FloatAttr(alpha, f64)


@irdl_op_definition
class SigmoidOp(FunctionOp):
    """
    1 / (1 + exp(-x))

    ```mlir
    %1 = mase.sigmoid %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.sigmoid"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class HardsigmoidOp(FunctionOp):
    """
    min(max(x + 3, 0), 6) / 6

    ```mlir
    %1 = mase.hardsigmoid %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.hardsigmoid"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class TanhOp(FunctionOp):
    """
    Hyperbolic tangent.

    ```mlir
    %1 = mase.tanh %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.tanh"
    SIGN: ClassVar[Sign] = Sign.KEPT


@irdl_op_definition
class GeluOp(FunctionOp):
    """
    x · Φ(x); `approximate` is `none` (exact) or `tanh`.

    The tanh form is 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))),
    see Hendrycks and Gimpel, arXiv:1606.08415.

    ```mlir
    %1 = mase.gelu %0 {approximate = "tanh"} : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.gelu"
    SIGN: ClassVar[Sign] = Sign.KEPT

    approximate = prop_def(StringAttr, default_value=StringAttr("none"))

    def __init__(
        self,
        input: SSAValue | Operation,
        approximate: str = "none",
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.approximate = StringAttr(approximate)

    def verify_(self) -> None:
        super().verify_()
        if self.approximate.data not in ("none", "tanh"):
            raise VerifyException(
                f"approximate is '{self.approximate.data}', expected 'none' or 'tanh'"
            )


@irdl_op_definition
class SiluOp(FunctionOp):
    """
    x · sigmoid(x)

    ```mlir
    %1 = mase.silu %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.silu"
    SIGN: ClassVar[Sign] = Sign.KEPT


@irdl_op_definition
class HardswishOp(FunctionOp):
    """
    x · min(max(x + 3, 0), 6) / 6

    ```mlir
    %1 = mase.hardswish %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.hardswish"
    SIGN: ClassVar[Sign] = Sign.KEPT


@irdl_op_definition
class SoftplusOp(FunctionOp):
    """
    log(1 + exp(x))

    ```mlir
    %1 = mase.softplus %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.softplus"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class ExpOp(FunctionOp):
    """
    e^x

    ```mlir
    %1 = mase.exp %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.exp"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class LogOp(FunctionOp):
    """
    Natural logarithm.

    ```mlir
    %1 = mase.log %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.log"


@irdl_op_definition
class SqrtOp(FunctionOp):
    """
    √x

    ```mlir
    %1 = mase.sqrt %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.sqrt"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class RsqrtOp(FunctionOp):
    """
    1/√x

    ```mlir
    %1 = mase.rsqrt %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.rsqrt"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class ReciprocalOp(FunctionOp):
    """
    1/x

    ```mlir
    %1 = mase.reciprocal %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.reciprocal"
    SIGN: ClassVar[Sign] = Sign.KEPT


@irdl_op_definition
class ErfOp(FunctionOp):
    """
    The error function.

    ```mlir
    %1 = mase.erf %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.erf"
    SIGN: ClassVar[Sign] = Sign.KEPT


@irdl_op_definition
class SinOp(FunctionOp):
    """
    Sine of an angle in radians.

    ```mlir
    %1 = mase.sin %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.sin"


@irdl_op_definition
class CosOp(FunctionOp):
    """
    Cosine of an angle in radians.

    ```mlir
    %1 = mase.cos %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.cos"


@irdl_op_definition
class FloorOp(FunctionOp):
    """
    The largest integer not above x.

    ```mlir
    %1 = mase.floor %0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.floor"
    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)


class BinaryOp(ArithmeticOp, ABC):
    """A function of two elements; shapes broadcast, aligned at the right."""

    SAME_CHANNELS: ClassVar[bool] = True

    lhs = operand_def(AnyTensorTypeConstr)
    rhs = operand_def(AnyTensorTypeConstr)

    assembly_format = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        lhs: SSAValue | Operation,
        rhs: SSAValue | Operation,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        lhs, rhs = SSAValue.get(lhs), SSAValue.get(rhs)
        shape = broadcast(shape_of(lhs), shape_of(rhs))
        super().__init__(
            operands=[lhs, rhs],
            result_types=[TensorType(element or element_of(lhs), shape)],
            properties={"layer": layer_attr(layer), "rounding": rounding},
        )

    def infer_shape(self) -> Shape:
        return broadcast(shape_of(self.lhs), shape_of(self.rhs))

    def may_read_mask(self, index: int) -> bool:
        return True


def _has_constant(op: BinaryOp | CompareOp) -> bool:
    return is_constant(op.lhs) or is_constant(op.rhs)


def _is_scalar(value: SSAValue) -> bool:
    """Whether `value` is a constant with one element."""
    return is_constant(value) and prod(shape_of(value)) == 1


def _alone(op: BinaryOp, variable: SSAValue) -> SSAValue | None:
    """`variable` where each element of the result is of one of its elements."""
    return variable if shape_of(variable) == shape_of(op.result) else None


@irdl_op_definition
class AddOp(BinaryOp):
    """
    lhs + rhs

    ```mlir
    %2 = mase.add %0, %1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ```
    """

    name = "mase.add"
    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1, 1)

    @property
    def stays_narrow(self) -> bool:
        return _has_constant(self)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        x, y = operands
        return x + y


@irdl_op_definition
class SubOp(BinaryOp):
    """
    lhs - rhs

    ```mlir
    %2 = mase.sub %0, %1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ```
    """

    name = "mase.sub"
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1, -1)

    @property
    def stays_narrow(self) -> bool:
        return _has_constant(self)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        x, y = operands
        return x + -y


@irdl_op_definition
class MulOp(BinaryOp):
    """
    lhs · rhs

    ```mlir
    %2 = mase.mul %0, %1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ```
    """

    name = "mase.mul"
    SIGN: ClassVar[Sign] = Sign.KEPT

    def never_negative(self, known: Container[SSAValue]) -> bool:
        square = self.lhs is self.rhs and not self.wraps
        return square or super().never_negative(known)

    @property
    def stays_narrow(self) -> bool:
        return _has_constant(self)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        x, y = operands
        return x * y


@irdl_op_definition
class DivOp(BinaryOp):
    """
    lhs / rhs; an error where rhs is zero, unless one of them is a builtin float.

    ```mlir
    %2 = mase.div %0, %1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ```
    """

    name = "mase.div"
    SIGN: ClassVar[Sign] = Sign.KEPT

    @property
    def variable(self) -> SSAValue | None:
        # A division by a constant has a template.
        return _alone(self, self.rhs) if _is_scalar(self.lhs) else None


@irdl_op_definition
class MaximumOp(BinaryOp):
    """
    The larger one of two elements.

    ```mlir
    %2 = mase.maximum %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.maximum"
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1, 1)

    def never_negative(self, known: Container[SSAValue]) -> bool:
        return not self.wraps and (self.lhs in known or self.rhs in known)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        x, y = operands
        return x | y


@irdl_op_definition
class MinimumOp(BinaryOp):
    """
    The smaller one of two elements.

    ```mlir
    %2 = mase.minimum %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    ```
    """

    name = "mase.minimum"
    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1, 1)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        x, y = operands
        return x | y


@irdl_op_definition
class PowOp(BinaryOp):
    """
    lhs to the power of rhs, computed in floating point for every element type.

    ```mlir
    %2 = mase.pow %0, %1 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
    """

    name = "mase.pow"

    def never_negative(self, known: Container[SSAValue]) -> bool:
        return not self.wraps and self.lhs in known

    @property
    def variable(self) -> SSAValue | None:
        if _is_scalar(self.lhs):
            return _alone(self, self.rhs)
        return _alone(self, self.lhs) if _is_scalar(self.rhs) else None


PREDICATES = ("eq", "ne", "lt", "le", "gt", "ge")


@irdl_op_definition
class CompareOp(MaseOp):
    """
    Compare two tensors as real numbers; shapes broadcast.

    `predicate` is one of `eq ne lt le gt ge`. The result is a tensor of `i1`.

    ```mlir
    %2 = mase.compare %0, %1 {predicate = "lt"}
      : (tensor<4x!mase.fixed<8, 4>>, tensor<4x!mase.fixed<6, 2>>) -> tensor<4xi1>
    ```
    """

    name = "mase.compare"

    lhs = operand_def(AnyTensorTypeConstr)
    rhs = operand_def(AnyTensorTypeConstr)
    predicate = prop_def(StringAttr)

    assembly_format = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)"

    def __init__(
        self, lhs: SSAValue | Operation, rhs: SSAValue | Operation, predicate: str
    ):
        lhs, rhs = SSAValue.get(lhs), SSAValue.get(rhs)
        super().__init__(
            operands=[lhs, rhs],
            result_types=[TensorType(i1, broadcast(shape_of(lhs), shape_of(rhs)))],
            properties={"predicate": StringAttr(predicate)},
        )

    @property
    def compares_with_constant(self) -> bool:
        return _has_constant(self)

    def infer_shape(self) -> Shape:
        return broadcast(shape_of(self.lhs), shape_of(self.rhs))

    def verify_(self) -> None:
        super().verify_()
        if self.predicate.data not in PREDICATES:
            raise VerifyException(
                f"predicate is '{self.predicate.data}', expected one of "
                f"{', '.join(PREDICATES)}"
            )
        if element_of(self.result) != i1:
            raise VerifyException(
                f"result element type is {element_of(self.result)}, expected i1"
            )


@irdl_op_definition
class SelectOp(ArithmeticOp):
    """
    `on_true` where `condition`, else `on_false`; shapes broadcast.

    ```mlir
    %3 = mase.select %0, %1, %2
      : (tensor<4xi1>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
    """

    name = "mase.select"
    SAME_CHANNELS: ClassVar[bool] = True

    condition = operand_def(AnyTensorTypeConstr)
    on_true = operand_def(AnyTensorTypeConstr)
    on_false = operand_def(AnyTensorTypeConstr)

    assembly_format = (
        "$condition `,` $on_true `,` $on_false attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        condition: SSAValue | Operation,
        on_true: SSAValue | Operation,
        on_false: SSAValue | Operation,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        operands = [SSAValue.get(v) for v in (condition, on_true, on_false)]
        shape = broadcast(
            shape_of(operands[0]),
            broadcast(shape_of(operands[1]), shape_of(operands[2])),
        )
        super().__init__(
            operands=operands,
            result_types=[TensorType(element or element_of(operands[1]), shape)],
            properties={"layer": layer_attr(layer), "rounding": rounding},
        )

    def never_negative(self, known: Container[SSAValue]) -> bool:
        chosen = self.on_true, self.on_false
        return not self.wraps and all(v in known for v in chosen)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        _, x, y = operands
        return x | y

    def may_read_mask(self, index: int) -> bool:
        return True

    def infer_shape(self) -> Shape:
        return broadcast(
            shape_of(self.condition),
            broadcast(shape_of(self.on_true), shape_of(self.on_false)),
        )

    def verify_(self) -> None:
        super().verify_()
        if element_of(self.condition) != i1:
            raise VerifyException(
                f"condition element type is {element_of(self.condition)}, expected i1"
            )


class BitwiseOp(MaseOp, ABC):
    """Bit by bit on integers; on `i1` this is Boolean logic."""

    lhs = operand_def(AnyTensorTypeConstr)
    rhs = operand_def(AnyTensorTypeConstr)

    assembly_format = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)"

    def __init__(self, lhs: SSAValue | Operation, rhs: SSAValue | Operation):
        lhs, rhs = SSAValue.get(lhs), SSAValue.get(rhs)
        shape = broadcast(shape_of(lhs), shape_of(rhs))
        super().__init__(
            operands=[lhs, rhs], result_types=[TensorType(element_of(lhs), shape)]
        )

    def infer_shape(self) -> Shape:
        return broadcast(shape_of(self.lhs), shape_of(self.rhs))

    def verify_(self) -> None:
        super().verify_()
        for value in (self.lhs, self.rhs, self.result):
            element = element_of(value)
            if not isinstance(element, IntegerType) or element != element_of(self.lhs):
                raise VerifyException(
                    f"element type is {element}, expected one integer type"
                )


@irdl_op_definition
class AndOp(BitwiseOp):
    """
    Bitwise and.

    ```mlir
    %2 = mase.and %0, %1 : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
    ```
    """

    name = "mase.and"


@irdl_op_definition
class OrOp(BitwiseOp):
    """
    Bitwise or.

    ```mlir
    %2 = mase.or %0, %1 : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
    ```
    """

    name = "mase.or"


@irdl_op_definition
class XorOp(BitwiseOp):
    """
    Bitwise exclusive or; with a constant of ones this is not.

    ```mlir
    %2 = mase.xor %0, %1 : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
    ```
    """

    name = "mase.xor"
