"""Layer ops of the mase dialect: the level at which people think and quantize."""

from __future__ import annotations

from abc import ABC
from collections.abc import Container, Sequence
from functools import reduce
from math import prod
from operator import add
from typing import ClassVar

from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
)
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import (
    PENDING,
    ArithmeticOp,
    I64ArrayConstr,
    MaseOp,
    Shape,
    Sign,
    Value,
    broadcast,
    check_indices,
    check_length,
    check_rank,
    check_shape,
    int_array,
    layer_attr,
    optional,
    show,
    window_positions,
)
from mase_opt.dialects.mase.types import (
    FixedPoint,
    element_of,
    shape_of,
)
from mase_opt.lib.formats.multiples import Multiples


class ContractionOp(ArithmeticOp, ABC):
    """
    A sum of products.

    It is exact, whatever `accumulator` says: that is the format in which
    `mase-lower-block-arithmetic` adds what blocks contribute.
    """

    SIGN: ClassVar[Sign] = Sign.KEPT
    FACTORS: ClassVar[tuple[int, ...]] = (0, 1)

    accumulator = opt_prop_def(Attribute)

    @property
    def terms(self) -> int:
        """How many products each sum has."""
        return prod(shape_of(self.operands[1])[1:])

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        x, y, *bias = operands
        return reduce(add, bias, (x * y).sum_of(self.terms))

    def verify_(self) -> None:
        super().verify_()
        if not isinstance(self.accumulator, FixedPoint | None):
            raise VerifyException(
                f"accumulator is {self.accumulator}, expected !mase.fixed or "
                "!mase.ufixed"
            )


@irdl_op_definition
class LinearOp(ContractionOp):
    """
    input · weightᵀ + bias over the last dimension.

    Shapes: input `[…, I]`, weight `[O, I]`, bias `[O]`, result `[…, O]`.

    ```mlir
    %3 = mase.linear %0, %1, %2 {layer = "fc1"}
      : (tensor<1x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<1x32xf32>
    ```
    """

    name = "mase.linear"

    input = operand_def(AnyTensorTypeConstr)
    weight = operand_def(AnyTensorTypeConstr)
    bias = opt_operand_def(AnyTensorTypeConstr)

    assembly_format = (
        "$input `,` $weight (`,` $bias^)? attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        input: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, weight, optional(bias)],
            result_types=[PENDING],
            properties={"layer": layer_attr(layer), "rounding": rounding},
        )
        self.set_result(element or element_of(input))

    def infer_shape(self) -> Shape:
        shape = shape_of(self.input)
        out, features = check_rank(self.weight, 2, "weight")
        if not shape or shape[-1] != features:
            raise VerifyException(
                f"input has shape {show(shape)}, expected {features} in the last "
                "dimension"
            )
        check_shape(self.bias, (out,), "bias")
        return (*shape[:-1], out)


@irdl_op_definition
class MatmulOp(ContractionOp):
    """
    Matrix product of the last two dimensions; leading ones broadcast.

    ```mlir
    %2 = mase.matmul %0, %1
      : (tensor<8x4x16xf32>, tensor<8x16x4xf32>) -> tensor<8x4x4xf32>
    ```
    """

    name = "mase.matmul"

    lhs = operand_def(AnyTensorTypeConstr)
    rhs = operand_def(AnyTensorTypeConstr)

    assembly_format = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        lhs: Value,
        rhs: Value,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        lhs = SSAValue.get(lhs)
        super().__init__(
            operands=[lhs, rhs],
            result_types=[PENDING],
            properties={"layer": layer_attr(layer), "rounding": rounding},
        )
        self.set_result(element or element_of(lhs))

    @property
    def terms(self) -> int:
        return shape_of(self.rhs)[-2]

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return (len(shape_of(self.rhs)) - 2,) if index == 1 else None

    def summed_axis(self, index: int) -> int:
        return -2 if index == 1 else super().summed_axis(index)

    def output_axis(self, index: int) -> int:
        return -1 if index == 1 else 0

    def infer_shape(self) -> Shape:
        lhs, rhs = shape_of(self.lhs), shape_of(self.rhs)
        if len(lhs) < 2 or len(rhs) < 2 or lhs[-1] != rhs[-2]:
            raise VerifyException(
                f"shapes {show(lhs)} and {show(rhs)} do not multiply, expected "
                "[…, M, K] and […, K, N]"
            )
        return (*broadcast(lhs[:-2], rhs[:-2]), lhs[-2], rhs[-1])


class ConvOp(ContractionOp, ABC):
    """What convolutions of every spatial rank share."""

    SPATIAL: ClassVar[int]
    """Number of spatial dimensions."""
    CHANNELS_FIRST: ClassVar[bool] = True

    input = operand_def(AnyTensorTypeConstr)
    weight = operand_def(AnyTensorTypeConstr)
    bias = opt_operand_def(AnyTensorTypeConstr)
    strides = prop_def(I64ArrayConstr)
    padding = prop_def(I64ArrayConstr)
    """Zeros added on both sides of each spatial dimension."""
    dilation = prop_def(I64ArrayConstr)
    groups = prop_def(IntegerAttr, default_value=IntegerAttr(1, i64))

    assembly_format = (
        "$input `,` $weight (`,` $bias^)? attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        input: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        strides: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
        dilation: Sequence[int] | None = None,
        groups: int = 1,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, weight, optional(bias)],
            result_types=[PENDING],
            properties={
                "strides": int_array(strides or [1] * self.SPATIAL),
                "padding": int_array(padding or [0] * self.SPATIAL),
                "dilation": int_array(dilation or [1] * self.SPATIAL),
                "groups": IntegerAttr(groups, i64),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(input))

    def infer_shape(self) -> Shape:
        rank = self.SPATIAL
        batch, channels, *size = check_rank(self.input, rank + 2, "input")
        out, per_group, *kernel = check_rank(self.weight, rank + 2, "weight")
        groups = self.groups.value.data
        if groups < 1 or out % groups or channels != per_group * groups:
            raise VerifyException(
                f"weight has shape {show(shape_of(self.weight))}, expected {channels} "
                f"input channels in {groups} groups"
            )
        check_shape(self.bias, (out,), "bias")
        spatial = window_positions(
            size,
            kernel,
            check_length(self.strides, rank, "strides"),
            check_length(self.padding, rank, "padding"),
            check_length(self.dilation, rank, "dilation"),
        )
        return (batch, out, *spatial)


@irdl_op_definition
class Conv1dOp(ConvOp):
    """
    1-d convolution (cross-correlation, as in torch).

    Shapes: input `[N, C, L]`, weight `[O, C / groups, K]`, bias `[O]`.

    ```mlir
    %2 = mase.conv1d %0, %1 {strides = array<i64: 1>, padding = array<i64: 1>,
        dilation = array<i64: 1>, layer = "conv"}
      : (tensor<1x2x8xf32>, tensor<4x2x3xf32>) -> tensor<1x4x8xf32>
    ```
    """

    name = "mase.conv1d"
    SPATIAL: ClassVar[int] = 1


@irdl_op_definition
class Conv2dOp(ConvOp):
    """
    2-d convolution (cross-correlation, as in torch).

    Shapes: input `[N, C, H, W]`, weight `[O, C / groups, KH, KW]`, bias `[O]`.

    ```mlir
    %3 = mase.conv2d %0, %1, %2 {strides = array<i64: 1, 1>,
        padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, layer = "conv"}
      : (tensor<1x1x8x8xf32>, tensor<6x1x3x3xf32>, tensor<6xf32>)
      -> tensor<1x6x8x8xf32>
    ```
    """

    name = "mase.conv2d"
    SPATIAL: ClassVar[int] = 2


@irdl_op_definition
class ConvTranspose2dOp(ArithmeticOp):
    """
    2-d transposed convolution (the gradient of `conv2d` by its input).

    Shapes: input `[N, C, H, W]`, weight `[C, O / groups, KH, KW]`, bias `[O]`.

    ```mlir
    %2 = mase.conv_transpose2d %0, %1 {strides = array<i64: 2, 2>,
        padding = array<i64: 1, 1>, output_padding = array<i64: 0, 0>,
        dilation = array<i64: 1, 1>}
      : (tensor<1x8x4x4xf32>, tensor<8x2x4x4xf32>) -> tensor<1x2x8x8xf32>
    ```
    """

    name = "mase.conv_transpose2d"
    SIGN: ClassVar[Sign] = Sign.KEPT
    FACTORS: ClassVar[tuple[int, ...]] = (0, 1)
    CHANNELS_FIRST: ClassVar[bool] = True

    input = operand_def(AnyTensorTypeConstr)
    weight = operand_def(AnyTensorTypeConstr)
    bias = opt_operand_def(AnyTensorTypeConstr)
    strides = prop_def(I64ArrayConstr)
    padding = prop_def(I64ArrayConstr)
    output_padding = prop_def(I64ArrayConstr)
    dilation = prop_def(I64ArrayConstr)
    groups = prop_def(IntegerAttr, default_value=IntegerAttr(1, i64))

    assembly_format = (
        "$input `,` $weight (`,` $bias^)? attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        input: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        strides: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        output_padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, weight, optional(bias)],
            result_types=[PENDING],
            properties={
                "strides": int_array(strides),
                "padding": int_array(padding),
                "output_padding": int_array(output_padding),
                "dilation": int_array(dilation),
                "groups": IntegerAttr(groups, i64),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(input))

    def summed_axis(self, index: int) -> int:
        return -4 if index == 1 else super().summed_axis(index)

    def output_axis(self, index: int) -> int:
        return 1 if index == 1 else 0

    def infer_shape(self) -> Shape:
        batch, channels, *size = check_rank(self.input, 4, "input")
        inputs, per_group, *kernel = check_rank(self.weight, 4, "weight")
        groups = self.groups.value.data
        if groups < 1 or channels % groups or inputs != channels:
            raise VerifyException(
                f"weight has shape {show(shape_of(self.weight))}, expected {channels} "
                f"input channels in {groups} groups"
            )
        check_shape(self.bias, (per_group * groups,), "bias")
        spatial: list[int] = []
        for n, k, s, p, o, d in zip(
            size,
            kernel,
            check_length(self.strides, 2, "strides"),
            check_length(self.padding, 2, "padding"),
            check_length(self.output_padding, 2, "output_padding"),
            check_length(self.dilation, 2, "dilation"),
            strict=True,
        ):
            count = (n - 1) * s - 2 * p + d * (k - 1) + o + 1
            if s < 1 or d < 1 or p < 0 or o < 0 or count < 1:
                raise VerifyException(
                    f"stride {s}, dilation {d}, padding {p}, output padding {o}: "
                    "expected at least 1, 1, 0, 0 and a result that is not empty"
                )
            spatial.append(count)
        return (batch, per_group * groups, *spatial)


@irdl_op_definition
class EmbeddingOp(ArithmeticOp):
    """
    Rows of a table: result[…, :] = weight[indices[…], :].

    ```mlir
    %2 = mase.embedding %0, %1 {layer = "wte"}
      : (tensor<100x32xf32>, tensor<1x8xi64>) -> tensor<1x8x32xf32>
    ```
    """

    name = "mase.embedding"
    FACTORS: ClassVar[tuple[int, ...]] = (0,)

    weight = operand_def(AnyTensorTypeConstr)
    indices = operand_def(AnyTensorTypeConstr)

    assembly_format = (
        "$weight `,` $indices attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        weight: Value,
        indices: Value,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        weight = SSAValue.get(weight)
        super().__init__(
            operands=[weight, indices],
            result_types=[PENDING],
            properties={"layer": layer_attr(layer), "rounding": rounding},
        )
        self.set_result(element or element_of(weight))

    def never_negative(self, known: Container[SSAValue]) -> bool:
        return self.weight in known

    @property
    def keeps_format(self) -> bool:
        return True

    def infer_shape(self) -> Shape:
        _, features = check_rank(self.weight, 2, "weight")
        check_indices(self.indices)
        return (*shape_of(self.indices), features)


@irdl_op_definition
class LookupOp(MaseOp):
    """
    result = table[code of input], the code read as an unsigned number.

    The table has one entry per code of the input's format, code 0 first; negative
    two's complement codes come behind the positive ones.

    ```mlir
    %2 = mase.lookup %0, %1 {layer = "act"}
      : (tensor<1x32x!mase.fixed<8, 4>>, tensor<256x!mase.ufixed<8, 8>>)
      -> tensor<1x32x!mase.ufixed<8, 8>>
    ```
    """

    name = "mase.lookup"

    input = operand_def(AnyTensorTypeConstr)
    table = operand_def(AnyTensorTypeConstr)
    layer = opt_prop_def(StringAttr)

    assembly_format = (
        "$input `,` $table attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, input: Value, table: Value, *, layer: str | None = None):
        input, table = SSAValue.get(input), SSAValue.get(table)
        super().__init__(
            operands=[input, table],
            result_types=[TensorType(element_of(table), shape_of(input))],
            properties={"layer": layer_attr(layer)},
        )

    def infer_shape(self) -> Shape:
        element = element_of(self.input)
        if not isinstance(element, FixedPoint):
            raise VerifyException(
                f"input element type is {element}, expected !mase.fixed or !mase.ufixed"
            )
        check_shape(self.table, (1 << element.width.data,), "table")
        return shape_of(self.input)

    def verify_(self) -> None:
        super().verify_()
        if element_of(self.result) != element_of(self.table):
            raise VerifyException(
                f"result element type is {element_of(self.result)}, expected "
                f"{element_of(self.table)}"
            )
