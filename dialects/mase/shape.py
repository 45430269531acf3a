"""Constants and the ops of the mase dialect that only move elements."""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import isfinite, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    Float64Type,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    f64,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import ConstantLike, Pure
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import DTYPES, DenseAttr, storage_of
from mase_opt.dialects.mase.base import (
    PENDING,
    I64ArrayConstr,
    MaseOp,
    SameElementOp,
    Shape,
    Value,
    broadcast,
    check_axis,
    check_indices,
    check_length,
    int_array,
    ints,
    show,
)
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
    tensor_of,
)
from mase_opt.lib.formats import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.block import Block, Encoded
from mase_opt.lib.formats.format import Element, Format
from mase_opt.lib.formats.multiples import Multiples


@irdl_op_definition
class ConstantOp(MaseOp):
    """
    Constant data: codes where the element type is a number format.

    Of block formats, `scales` are the codes of the shared exponents, one per block.

    ```mlir
    %0 = mase.constant <f32, [1.0, -2.5]> : tensor<2xf32>
    %1 = mase.constant <i8, [16, -40]> : tensor<2x!mase.fixed<8, 4>>
    %2 = mase.constant <i8, [64, -96]> {scales = #mase.dense<ui8, [127]>}
      : tensor<2x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
    ```
    """

    name = "mase.constant"

    value = prop_def(DenseAttr)
    scales = opt_prop_def(DenseAttr)

    traits = traits_def(Pure(), ConstantLike())
    assembly_format = "$value attr-dict `:` type($result)"

    def __init__(
        self,
        value: DenseAttr,
        type: TensorType[Attribute],
        scales: DenseAttr | None = None,
    ):
        super().__init__(
            properties={"value": value, "scales": scales}, result_types=[type]
        )

    @staticmethod
    def of(
        values: NDArray[np.generic],
        element: Attribute,
        name: str = "data",
    ) -> ConstantOp:
        """
        A constant of `values`, shaped like them: what `array` gives.

        Raises `ValueError` where `element` cannot hold them.
        """
        format = exact_format(element)
        if format is not None:
            if values.dtype.kind not in "biuO":
                raise ValueError(f"codes of {element} are {values.dtype}")
            if problem := _out_of_range(values, format):
                raise ValueError(f"{problem} of {element}")
        scales = None
        if isinstance(element, ElementType) and format is None:
            encoded = element.format.encode(values.astype(np.float64))
            if not np.array_equal(
                element.format.decode(encoded), values, equal_nan=True
            ):
                raise ValueError(f"not all values are of {element}")
            values = encoded
            if isinstance(element.format, Block):
                values = encoded.codes
                dtype = _numpy_dtype(scale_storage(element.format))
                scales = DenseAttr.from_array(
                    encoded.scales.astype(dtype), f"{name}.scales"
                )
        data = DenseAttr.from_array(
            values.astype(_numpy_dtype(_storage(element)), copy=False), name
        )
        return ConstantOp(data, TensorType(element, values.shape), scales)

    def codes(self) -> NDArray[np.generic]:
        """The codes of the elements, or plain numbers; shaped and read-only."""
        return self.value.array().reshape(shape_of(self.result))

    def array(self) -> NDArray[np.generic]:
        """
        Codes of fixed point and integers, and the numbers of all other types.

        Shaped and read-only, as the interpreter takes them.
        """
        element, codes = element_of(self.result), self.codes()
        if not isinstance(element, ElementType) or exact_format(element) is not None:
            return codes
        encoded: Any = codes.astype(np.int64)
        if isinstance(element.format, Block):
            assert self.scales is not None, "verified"
            grid = element.format.parts(codes.shape).grid
            scales = self.scales.array().astype(np.int64).reshape(grid)
            encoded = Encoded(encoded, scales)
        values = np.asarray(element.format.decode(encoded))
        values.flags.writeable = False
        return values

    def never_negative(self, known: Container[SSAValue]) -> bool:
        return self.value.derived(
            ("never negative", self.result.type, self.scales),
            lambda: float(self.array().min(initial=0)) >= 0,
        )

    def infer_shape(self) -> Shape:
        return shape_of(self.result)

    def verify_(self) -> None:
        super().verify_()
        type = tensor_of(self.result)
        element, shape = type.element_type, type.get_shape()
        _check_data(self.value, _storage(element), shape, element)
        codes: Element | None = exact_format(element)
        if isinstance(element, ElementType):
            codes = element.codes
            block = element.format if isinstance(element.format, Block) else None
            if (self.scales is None) != (block is None):
                raise VerifyException(
                    f"data of {element} has {'no' if block else 'no use for'} scales"
                )
            if self.scales is not None and block is not None:
                grid = block.parts(shape).grid
                _check_data(self.scales, scale_storage(block), grid, block.scale)
                if problem := _outside(
                    self.scales.array(), 0, (1 << block.scale.bits) - 1
                ):
                    raise VerifyException(f"scales: {problem} of {block.scale}")
        if codes is not None and (problem := _out_of_range(self.value.array(), codes)):
            raise VerifyException(f"{problem} of {element}")


def scale_storage(format: Block) -> str:
    """The storage type of the codes of shared exponents."""
    return "ui8" if format.scale.bits <= 8 else "ui16"


def _check_data(data: DenseAttr, expected: str, shape: Shape, of: object) -> None:
    """Raises `VerifyException` unless `data` is there for all of `shape`."""
    if data.data.storage != expected:
        raise VerifyException(
            f"data of {of} is stored as {data.data.storage}, expected {expected}"
        )
    if not data.data.blob.loaded:
        raise VerifyException(f"resource '{data.label}' has no data in this file")
    try:
        count, wanted = data.array().size, prod(shape)
    except ValueError as error:
        raise VerifyException(str(error)) from error
    if count != wanted:
        raise VerifyException(f"data has {count} elements, expected {wanted}")


def _out_of_range(codes: NDArray[np.generic], format: Element) -> str | None:
    """What is wrong with `codes` if not all of them are in the format."""
    if codes.dtype.kind == "b":
        # A byte of a Boolean array from a text may be anything.
        codes = codes.view(np.uint8)
    elif codes.dtype.kind in "iu":
        limits = np.iinfo(codes.dtype.str)
        if (limits.min, limits.max) == (format.min_code, format.max_code):
            return None
    return _outside(codes, format.min_code, format.max_code)


def _outside(codes: NDArray[np.generic], lowest: int, highest: int) -> str | None:
    if codes.size == 0:
        return None
    for code in (int(codes.min()), int(codes.max())):
        if not lowest <= code <= highest:
            return (
                f"data has the code {code}, expected {lowest} to {highest}, the range"
            )
    return None


def _storage(element: Attribute) -> str:
    try:
        if isinstance(element, ElementType):
            return element.storage
        return storage_of(element)
    except ValueError as error:
        raise VerifyException(str(error)) from error


def _numpy_dtype(storage: str) -> np.dtype[np.generic]:
    return np.dtype(DTYPES[storage])


@irdl_op_definition
class ReshapeOp(SameElementOp):
    """
    The same elements in row-major order under another shape.

    ```mlir
    %1 = mase.reshape %0 : tensor<1x6x4x4xf32> -> tensor<1x96xf32>
    ```
    """

    name = "mase.reshape"

    input = operand_def(AnyTensorTypeConstr)

    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: Value, shape: Sequence[int]):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input], result_types=[TensorType(element_of(input), shape)]
        )

    def infer_shape(self) -> Shape:
        shape, result = shape_of(self.input), shape_of(self.result)
        if prod(shape) != prod(result):
            raise VerifyException(
                f"result has {prod(result)} elements, expected {prod(shape)}"
            )
        return result


@irdl_op_definition
class TransposeOp(SameElementOp):
    """
    Reorder dimensions: dimension i of the result is `permutation[i]` of the input.

    ```mlir
    %1 = mase.transpose %0 {permutation = array<i64: 0, 2, 1>}
      : tensor<1x4x8xf32> -> tensor<1x8x4xf32>
    ```
    """

    name = "mase.transpose"

    input = operand_def(AnyTensorTypeConstr)
    permutation = prop_def(I64ArrayConstr)

    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: Value, permutation: Sequence[int]):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input],
            result_types=[PENDING],
            properties={"permutation": int_array(permutation)},
        )
        self.set_result(element_of(input))

    def infer_shape(self) -> Shape:
        shape, permutation = shape_of(self.input), ints(self.permutation)
        if sorted(permutation) != list(range(len(shape))):
            raise VerifyException(
                f"permutation is {list(permutation)}, expected one of "
                f"{list(range(len(shape)))}"
            )
        return tuple(shape[i] for i in permutation)


@irdl_op_definition
class BroadcastOp(SameElementOp):
    """
    Repeat dimensions of size 1 and add leading ones, as in NumPy.

    ```mlir
    %1 = mase.broadcast %0 : tensor<1x4xf32> -> tensor<2x8x4xf32>
    ```
    """

    name = "mase.broadcast"

    input = operand_def(AnyTensorTypeConstr)

    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: Value, shape: Sequence[int]):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input], result_types=[TensorType(element_of(input), shape)]
        )

    def infer_shape(self) -> Shape:
        return broadcast(shape_of(self.input), shape_of(self.result))


@irdl_op_definition
class ConcatOp(SameElementOp):
    """
    Join tensors along `axis`.

    ```mlir
    %2 = mase.concat %0, %1 {axis = 1 : i64}
      : (tensor<1x4xf32>, tensor<1x2xf32>) -> tensor<1x6xf32>
    ```
    """

    name = "mase.concat"
    ADDS: ClassVar[bool] = True

    inputs = var_operand_def(AnyTensorTypeConstr)
    axis = prop_def(IntegerAttr)

    assembly_format = "$inputs attr-dict `:` functional-type(operands, results)"

    def __init__(self, inputs: Sequence[Value], axis: int):
        values = [SSAValue.get(v) for v in inputs]
        super().__init__(
            operands=[values],
            result_types=[PENDING],
            properties={"axis": IntegerAttr(axis, i64)},
        )
        self.set_result(element_of(values[0]))

    def infer_shape(self) -> Shape:
        if not self.inputs:
            raise VerifyException("expected at least one input")
        axis = self.axis.value.data
        shapes = [shape_of(v) for v in self.inputs]
        check_axis(axis, len(shapes[0]))
        rest = (*shapes[0][:axis], *shapes[0][axis + 1 :])
        for shape in shapes:
            if len(shape) != len(shapes[0]) or rest != (
                *shape[:axis],
                *shape[axis + 1 :],
            ):
                raise VerifyException(
                    f"input has shape {show(shape)}, expected {show(shapes[0])} "
                    f"except along axis {axis}"
                )
        total = sum(shape[axis] for shape in shapes)
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


@irdl_op_definition
class SliceOp(SameElementOp):
    """
    Every `strides`-th element from `starts` up to, not including, `stops`.

    ```mlir
    %1 = mase.slice %0 {starts = array<i64: 0, 1>, stops = array<i64: 1, 4>,
        strides = array<i64: 1, 2>} : tensor<1x4xf32> -> tensor<1x2xf32>
    ```
    """

    name = "mase.slice"

    input = operand_def(AnyTensorTypeConstr)
    starts = prop_def(I64ArrayConstr)
    stops = prop_def(I64ArrayConstr)
    strides = prop_def(I64ArrayConstr)

    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(
        self,
        input: Value,
        *,
        starts: Sequence[int],
        stops: Sequence[int],
        strides: Sequence[int] | None = None,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input],
            result_types=[PENDING],
            properties={
                "starts": int_array(starts),
                "stops": int_array(stops),
                "strides": int_array(strides or [1] * len(starts)),
            },
        )
        self.set_result(element_of(input))

    def infer_shape(self) -> Shape:
        shape = shape_of(self.input)
        result: list[int] = []
        for size, start, stop, stride in zip(
            shape,
            check_length(self.starts, len(shape), "starts"),
            check_length(self.stops, len(shape), "stops"),
            check_length(self.strides, len(shape), "strides"),
            strict=True,
        ):
            if not (0 <= start <= stop <= size and stride > 0):
                raise VerifyException(
                    f"slice {start}:{stop}:{stride} is outside a dimension of {size}"
                )
            result.append(-((start - stop) // stride))
        return tuple(result)


@irdl_op_definition
class PadOp(SameElementOp):
    """
    Add `low` elements before and `high` behind each dimension, all equal to `value`.

    `value` is a real number. Number formats and integers must represent it exactly,
    floats round it to nearest.

    ```mlir
    %1 = mase.pad %0 {low = array<i64: 0, 1>, high = array<i64: 0, 1>,
        value = 0.0 : f64} : tensor<1x4xf32> -> tensor<1x6xf32>
    ```
    """

    name = "mase.pad"
    ADDS: ClassVar[bool] = True

    input = operand_def(AnyTensorTypeConstr)
    low = prop_def(I64ArrayConstr)
    high = prop_def(I64ArrayConstr)
    value = prop_def(FloatAttr[Float64Type])

    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(
        self,
        input: Value,
        *,
        low: Sequence[int],
        high: Sequence[int],
        value: float = 0.0,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input],
            result_types=[PENDING],
            properties={
                "low": int_array(low),
                "high": int_array(high),
                "value": FloatAttr(value, f64),
            },
        )
        self.set_result(element_of(input))

    def never_negative(self, known: Container[SSAValue]) -> bool:
        return self.value.value.data >= 0 and super().never_negative(known)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,), value = operands, self.value.value.data
        return x | Multiples.of(value) if isfinite(value) else None

    def infer_shape(self) -> Shape:
        shape = shape_of(self.input)
        low = check_length(self.low, len(shape), "low")
        high = check_length(self.high, len(shape), "high")
        if min((*low, *high), default=0) < 0:
            raise VerifyException("padding is negative, use mase.slice")
        return tuple(n + a + b for n, a, b in zip(shape, low, high, strict=True))

    def verify_(self) -> None:
        super().verify_()
        element, value = element_of(self.result), self.value.value.data
        format = exact_format(element)
        if isinstance(element, ElementType) and not element.format.positional:
            format = element.format
        if format is not None and not _represents(format, value):
            raise VerifyException(f"value is {value}, which {element} has no code for")


def _represents(format: Format[Any], value: float) -> bool:
    try:
        below, above = (
            format.cast(np.array([value]), mode, Overflow.ERROR).item()
            for mode in (RoundingMode.FLOOR, RoundingMode.CEIL)
        )
    except FormatError:
        return False
    return below == value == above


@irdl_op_definition
class GatherOp(SameElementOp):
    """
    Slices of `input` along `axis` at the positions `indices`.

    Shape: that of the input, `axis` replaced by the shape of `indices`. Negative
    indices count from the end.

    ```mlir
    %2 = mase.gather %0, %1 {axis = 1 : i64}
      : (tensor<1x8x4xf32>, tensor<2xi64>) -> tensor<1x2x4xf32>
    ```
    """

    name = "mase.gather"

    input = operand_def(AnyTensorTypeConstr)
    indices = operand_def(AnyTensorTypeConstr)
    axis = prop_def(IntegerAttr)
    layer = opt_prop_def(StringAttr)

    assembly_format = (
        "$input `,` $indices attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, input: Value, indices: Value, axis: int):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, indices],
            result_types=[PENDING],
            properties={"axis": IntegerAttr(axis, i64)},
        )
        self.set_result(element_of(input))

    def infer_shape(self) -> Shape:
        shape, axis = shape_of(self.input), self.axis.value.data
        check_axis(axis, len(shape))
        check_indices(self.indices)
        return (*shape[:axis], *shape_of(self.indices), *shape[axis + 1 :])

    def moves(self, operand: SSAValue) -> bool:
        return operand is not self.indices
