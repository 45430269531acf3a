"""One torch op while it is being converted: its arguments, and where results go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from xdsl.builder import Builder
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    IntegerType,
    Signedness,
    StringAttr,
    TensorType,
    i1,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase import elementwise, layers, normalization, pooling
from mase_opt.dialects.mase.attrs import DTYPES, RoundingAttr, storage_of
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.shape import BroadcastOp, ConstantOp, ReshapeOp, TransposeOp
from mase_opt.dialects.mase.types import (
    check_type,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.dialects.torch import DYNAMIC, VTensorType
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.interpreters.mase import evaluate_op

Argument: TypeAlias = "SSAValue | bool | int | float | str | list[Argument] | None"
"""What an operand of a torch op stands for: a tensor, or a value known by now."""

Scalar = bool | int | float

T = TypeVar("T")


class Unsupported(Exception):
    """The conversion cannot express this op; the message says why."""


def element_type(dtype: Attribute) -> Attribute:
    """
    The element type of the mase dialect for torch's `dtype`.

    Signed integers lose their sign in MLIR's sense.
    """
    match dtype:
        case IntegerType() if dtype.signedness.data is Signedness.SIGNED:
            return IntegerType(dtype.width.data)
        case _:
            return dtype


def check_width(type: Attribute) -> None:
    """
    Raises `Unsupported` for values of 16-bit floats.

    Constants have such types, and what is computed of them here.
    """
    match type:
        case TensorType(element_type=Float16Type() | BFloat16Type() as element):
            raise Unsupported(
                f"element type {element}: convert the model with .float()"
            )
        case _:
            pass


def tensor_type(type: Attribute) -> TensorType[Attribute]:
    """The type in the mase dialect of a torch tensor type. Raises `Unsupported`."""
    if not isinstance(type, VTensorType):
        raise Unsupported(
            f"a value of type {type} is not a tensor with value semantics"
        )
    sizes = type.sizes
    if sizes is None:
        raise Unsupported(f"the shape of {type} is unknown")
    if DYNAMIC in sizes:
        raise Unsupported(
            f"dimension {sizes.index(DYNAMIC)} of {type} is dynamic: "
            "export the model with fixed sizes"
        )
    result = TensorType(element_type(type.dtype), sizes)
    try:
        check_type(result)
    except VerifyException as error:
        raise Unsupported(str(error)) from error
    return result


def fits(value: SSAValue, torch_type: Attribute) -> bool:
    """Whether a result has the type that torch-mlir states, as far as it does."""
    if not isinstance(torch_type, VTensorType):
        return False
    shape, sizes = shape_of(value), torch_type.sizes
    if sizes is not None and len(sizes) != len(shape):
        return False
    return element_type(torch_type.dtype) == element_of(value) and all(
        stated in (DYNAMIC, size)
        for stated, size in zip(sizes or shape, shape, strict=True)
    )


class Call:
    """
    A torch op with its arguments resolved.

    `emit` and its shorthands add mase ops; what depends on constants only is computed
    at once.
    """

    def __init__(
        self,
        op: Operation,
        arguments: Sequence[Argument],
        layer: str | None,
        builder: Builder,
    ):
        self.op = op
        self.arguments = arguments
        self.layer = layer
        self.builder = builder

    # Arguments. Each method raises `Unsupported` if the argument is something else.

    def _get(self, index: int, kinds: type[T] | tuple[type[T], ...], what: str) -> T:
        argument = self.arguments[index]
        if not isinstance(argument, kinds):
            raise Unsupported(f"argument {index} is not {what} that is known here")
        return argument

    def _list(self, index: int) -> list[Argument]:
        argument = self.arguments[index]
        if not isinstance(argument, list):
            raise Unsupported(f"argument {index} is not a list that is known here")
        return argument

    def is_none(self, index: int) -> bool:
        return self.arguments[index] is None

    def tensor(self, index: int) -> SSAValue:
        return self._get(index, SSAValue, "a tensor")

    def optional_tensor(self, index: int) -> SSAValue | None:
        return None if self.is_none(index) else self.tensor(index)

    def tensors(self, index: int) -> list[SSAValue]:
        values = self._list(index)
        tensors = [value for value in values if isinstance(value, SSAValue)]
        if len(tensors) != len(values):
            raise Unsupported(f"argument {index} is not a list of tensors")
        return tensors

    def int(self, index: int) -> int:
        value = self._get(index, int, "an integer")
        return value

    def number(self, index: int) -> Scalar:
        return self._get(index, (bool, int, float), "a number")

    def bool(self, index: int) -> bool:
        return self._get(index, bool, "a bool")

    def str(self, index: int) -> str:
        return self._get(index, str, "a string")

    def ints(self, index: int, length: int | None = None) -> list[int]:
        """A list of integers; one of length 1 stands for `length` equal ones."""
        values = self._list(index)
        ints = [value for value in values if isinstance(value, int)]
        if len(ints) != len(values):
            raise Unsupported(f"argument {index} is not a list of known integers")
        if length is not None and len(ints) == 1:
            ints = ints * length
        if length is not None and len(ints) not in (0, length):
            raise Unsupported(f"argument {index} has {len(ints)} values")
        return ints

    def axis(self, index: int, rank: int) -> int:
        """A dimension, negative ones counted from the end of `rank`."""
        return self.int(index) % max(rank, 1)

    def axes(self, index: int, rank: int) -> list[int]:
        """Dimensions; None or an empty list means all of them."""
        if self.is_none(index) or not self.ints(index):
            return list(range(rank))
        return [axis % max(rank, 1) for axis in self.ints(index)]

    def expect(self, index: int, *values: Argument) -> None:
        """Raises `Unsupported` unless the argument is one of `values`."""
        argument = self.arguments[index]
        if not any(
            argument == value and isinstance(argument, type(value)) for value in values
        ):
            raise Unsupported(
                f"argument {index} is {argument}, supported: "
                f"{', '.join(map(repr, values))}"
            )

    # Results.

    def result_type(self, index: int = 0) -> TensorType[Attribute]:
        return tensor_type(self.op.results[index].type)

    @property
    def element(self) -> Attribute:
        """The element type of the first result."""
        return self.result_type().element_type

    def emit(self, op: MaseOp) -> SSAValue:
        """
        Add an op, or the constant it comes to.

        An integer result is rounded as torch does, unless the op says otherwise.
        """
        if isinstance(op, ArithmeticOp):
            if self.layer is not None:
                op.layer = StringAttr(self.layer)
            if op.rounding == RoundingAttr.DEFAULT:
                op.rounding = _rounding(op)
        constants = [constant_array(operand) for operand in op.operands]
        values = [array for array in constants if array is not None]
        if isinstance(op, _WEIGHTED):
            _check_finite(op)
        if not values or len(values) < len(constants):
            check_width(op.result.type)
            self.builder.insert(op)
            return op.result
        result = evaluate_op(op, [array[None] for array in values])[0]
        owners = [operand.owner for operand in op.operands]
        # Not a use of the operands any more.
        op.drop_all_references()
        labels = [o.value.label for o in owners if isinstance(o, ConstantOp)]
        name = next((label for label in labels if label != "data"), "data")
        return self.constant(result, element_of(op.result), name)

    def constant(
        self,
        values: NDArray[np.generic] | Scalar,
        element: Attribute,
        name: str = "data",
    ) -> SSAValue:
        with np.errstate(over="ignore"):  # a number beyond float32 is infinity in it
            array = np.asarray(values).astype(DTYPES[storage_of(element)])
        return self.builder.insert(ConstantOp.of(array, element, name)).result

    # Shorthands.

    def cast(self, value: SSAValue, element: Attribute) -> SSAValue:
        if element_of(value) == element:
            return value
        return self.emit(CastOp(value, element=element))

    def reshape(self, value: SSAValue, shape: Sequence[int]) -> SSAValue:
        if shape_of(value) == tuple(shape):
            return value
        return self.emit(ReshapeOp(value, shape))

    def transpose(self, value: SSAValue, permutation: Sequence[int]) -> SSAValue:
        if list(permutation) == list(range(len(permutation))):
            return value
        return self.emit(TransposeOp(value, permutation))

    def broadcast(self, value: SSAValue, shape: Sequence[int]) -> SSAValue:
        if shape_of(value) == tuple(shape):
            return value
        return self.emit(BroadcastOp(value, shape))


_IN_RANGE = (
    elementwise.SelectOp,
    elementwise.MaximumOp,
    elementwise.MinimumOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    pooling.MaxPoolOp,
    pooling.AdaptiveMaxPoolOp,
    layers.EmbeddingOp,
)
"""Ops whose results are among their operands."""


def _rounding(op: ArithmeticOp) -> RoundingAttr:
    """
    How torch and ONNX make integers: what is too large wraps around, quotients and
    floats lose their fraction.

    Both say nothing about floats beyond the integers: these wrap around as well, as in
    torch on most machines, but saturate in 64 bits, for which float64 is too narrow.
    """
    format = exact_format(element_of(op.result))
    if format is None or format.width == 1:
        return RoundingAttr.DEFAULT
    overflow = Overflow.WRAP
    match op:
        case CastOp():
            source = exact_format(element_of(op.input))
            if source is None:
                overflow = Overflow.SATURATE if format.width > 32 else overflow
            elif (
                format.min_code <= source.min_code <= source.max_code <= format.max_code
            ):
                return RoundingAttr.DEFAULT
        case pooling.AvgPoolOp() | pooling.AdaptiveAvgPoolOp():
            overflow = Overflow.SATURATE
        case pooling.ReduceOp() if op.kind.data == "mean":
            overflow = Overflow.SATURATE
        case pooling.ReduceOp() if op.kind.data in ("max", "min"):
            return RoundingAttr.DEFAULT
        case _ if isinstance(op, _IN_RANGE):
            return RoundingAttr.DEFAULT
        case _:
            pass
    return RoundingAttr((RoundingMode.ZERO, overflow))


_WEIGHTED = (
    layers.LinearOp,
    layers.ConvOp,
    layers.ConvTranspose2dOp,
    layers.EmbeddingOp,
    normalization.BatchNormOp,
    normalization.AffineNormOp,
)
"""Ops whose constant operands are learned parameters."""


def _check_finite(op: MaseOp) -> None:
    """Raises `Unsupported` if a parameter of `op` is not a number."""
    for operand in op.operands:
        values = constant_array(operand)
        if values is not None and not np.isfinite(values).all():
            owner = operand.owner
            assert isinstance(owner, ConstantOp)
            raise Unsupported(
                f"weight '{owner.value.label}' holds NaN or infinity: "
                "train or load the model again"
            )


def constant_array(value: SSAValue) -> NDArray[np.generic] | None:
    """The content of a value that is a constant."""
    owner = value.owner
    return owner.array() if isinstance(owner, ConstantOp) else None


def inverted(call: Call, value: SSAValue) -> SSAValue:
    """All bits of integers inverted, which also reverses their order."""
    element = element_of(value)
    ones = call.constant(True if element == i1 else -1, element)
    return call.emit(elementwise.XorOp(value, ones))


Rule = Callable[[Call], "SSAValue | Sequence[SSAValue | None]"]
"""Converts one op: its results, None for those that nothing may use."""
