"""What every op of the mase dialect shares: one tensor result, known shape, purity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from enum import Enum, auto
from functools import cache, reduce
from math import inf
from typing import Any, ClassVar, cast

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
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    VarOperandDef,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.pattern_rewriter import RewritePattern
from xdsl.traits import ConstantLike, HasCanonicalizationPatternsTrait, Pure
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.types import (
    ElementType,
    check_type,
    element_of,
    exact_format,
    shape_of,
    tensor_of,
)
from mase_opt.lib.formats import Format
from mase_opt.lib.formats.multiples import Multiples

Shape = tuple[int, ...]
Interval = tuple[float, float]
"""All numbers between two, both included."""
EVERYTHING: Interval = (-inf, inf)


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


class Sign(Enum):
    """When the result of an op is known not to be negative."""

    UNKNOWN = auto()
    NEVER_NEGATIVE = auto()
    KEPT = auto()
    """If no operand is negative."""


class MaseOp(IRDLOperation, ABC):
    """
    One tensor result whose shape follows from operands and properties.

    What passes ask about an op is asked here. The answers that stand here suit every
    op, since they promise nothing; an op that can say more replaces them, wherever it
    is defined.
    """

    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure(), CanonicalizationPatterns())
    irdl_options = (ParsePropInAttrDict(),)

    SIGN: ClassVar[Sign] = Sign.UNKNOWN
    DIRECTIONS: ClassVar[tuple[int, ...]] = ()
    """
    How the exact result follows each operand: 1 if it never falls where the operand
    rises, -1 if it never rises; empty if that is not so or not known.
    """
    FACTORS: ClassVar[tuple[int, ...]] = ()
    """The operands that go into sums of products, or are the rows of a table."""
    CHANNELS_FIRST: ClassVar[bool] = False
    """Whether data with positions has its channels along axis 1, not the last one."""
    SAME_CHANNELS: ClassVar[bool] = False
    """Whether elements have the channels of those in their place in operands."""

    def operand_name(self, index: int) -> str:
        """What the definition of the op calls operand `index`."""
        sizes = self.properties.get(AttrSizedOperandSegments.attribute_name)
        segments = ints(cast(Any, sizes)) if sizes is not None else None
        return _operand_names(type(self), len(self.operands), segments)[index]

    def never_negative(self, known: Container[SSAValue]) -> bool:
        """Whether the result is not negative, given that values in `known` are not."""
        match self.SIGN:
            case Sign.UNKNOWN:
                return False
            case Sign.NEVER_NEGATIVE:
                return True
            case Sign.KEPT:
                return all(v in known for v in self.operands)

    @property
    def directions(self) -> Sequence[int]:
        """`DIRECTIONS`, where they depend on the op."""
        return self.DIRECTIONS

    @property
    def keeps_format(self) -> bool:
        """Whether the result's numbers are numbers of the format of operand 0."""
        return False

    @property
    def stays_narrow(self) -> bool:
        """Whether the exact result has few bits more than the widest operand."""
        return False

    @property
    def compares_with_constant(self) -> bool:
        """Whether all that the op reads is how an operand compares with a constant."""
        return False

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        """
        What the exact result can be, whatever its type; None if that is not known.

        Given the numbers that operands can be, without those that only say where
        others are taken from.
        """
        return None

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        """
        Outside of which numbers of its operands the op does the same for all.

        `result` gives the same of what reads its result.
        """
        return EVERYTHING

    def may_read_mask(self, index: int) -> bool:
        """Whether a constant as operand `index` may mask scores of a softmax."""
        return False

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        """
        The axes of operand `index` along which elements are combined.

        None unless a positive factor that all of those share is one of what they give.
        """
        return None

    def summed_axis(self, index: int) -> int:
        """
        The axis of operand `index` along which products are added, from the end.

        Of data that is not in sums, the one that has the channels.
        """
        return self.channel_axis(len(shape_of(self.operands[index])))

    def channel_axis(self, rank: int) -> int:
        """The axis of channels in data of `rank`, counted from the end."""
        return 1 - rank if self.CHANNELS_FIRST and rank > 2 else -1

    def output_axis(self, index: int) -> int:
        """The axis of a weight, operand `index`, along which outputs lie."""
        return 0

    @property
    def variable(self) -> SSAValue | None:
        """
        The operand that a table of the result needs: all else is constant.

        For functions of single elements that only a table makes a circuit of.
        """
        return None

    @property
    def result_format(self) -> Format[Any] | None:
        """What the result is rounded to; None for builtin types."""
        element = element_of(self.result)
        return element.format if isinstance(element, ElementType) else None

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


@cache
def _operand_names(
    op: type[MaseOp], count: int, segments: tuple[int, ...] | None
) -> tuple[str, ...]:
    """The definition of each of `count` operands; `segments` where it isn't clear."""
    operands = op.get_irdl_definition().operands
    rest = count - len(operands) + 1
    segments = segments or tuple(
        rest if isinstance(definition, VarOperandDef) else 1
        for _, definition in operands
    )
    named = zip(operands, segments, strict=True)
    return tuple(name for (name, _), size in named for _ in range(size))


PENDING = TensorType(i64, [])
"""Stands for a result type between creating an op and `set_result`."""


class ArithmeticOp(MaseOp, ABC):
    """The exact real result of the operands, rounded once into the result type."""

    layer = opt_prop_def(StringAttr)
    """Path of the layer in the torch model, such as `encoder.0.attention`."""
    rounding = prop_def(RoundingAttr, default_value=RoundingAttr.DEFAULT)


def rounding_of(op: Operation) -> RoundingAttr:
    """How `op` rounds its result; as by default where it does not say."""
    return op.rounding if isinstance(op, ArithmeticOp) else RoundingAttr.DEFAULT


def is_constant(value: SSAValue) -> bool:
    """Whether a constant gives `value`."""
    return isinstance(value.owner, Operation) and value.owner.has_trait(ConstantLike)


class SameElementOp(MaseOp, ABC):
    """Moves elements without changing them."""

    ADDS: ClassVar[bool] = False
    """Whether elements of the result may come from elsewhere than operand 0."""

    def never_negative(self, known: Container[SSAValue]) -> bool:
        return all(v in known for v in self.operands if self.moves(v))

    @property
    def directions(self) -> Sequence[int]:
        moves_all = all(self.moves(v) for v in self.operands)
        return [1] * len(self.operands) if moves_all else []

    @property
    def keeps_format(self) -> bool:
        return True

    @property
    def stays_narrow(self) -> bool:
        return not self.ADDS

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        return reduce(Multiples.__or__, operands)

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        return EVERYTHING if self.ADDS else result()

    def may_read_mask(self, index: int) -> bool:
        return True

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
    """A function of one tensor; of every element, unless a subclass says otherwise."""

    SAME_CHANNELS: ClassVar[bool] = True

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


class FunctionOp(UnaryOp, ABC):
    """
    An elementwise function of one number, in floating point whatever its format is.

    `mase-lower-to-lookup` makes a table of what the interpreter computes.
    """

    @property
    def variable(self) -> SSAValue | None:
        return self.input


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
