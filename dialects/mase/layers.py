"""Layer ops of the mase dialect: the level at which people think and quantize."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    BoolAttr,
    Float64Type,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    TensorType,
    f64,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    ParsePropInAttrDict,
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
    UnaryOp,
    broadcast,
    check_axis,
    check_indices,
    check_length,
    check_rank,
    check_shape,
    int_array,
    ints,
    layer_attr,
    show,
)
from mase_opt.dialects.mase.types import (
    FixedPoint,
    UFixedType,
    element_of,
    exact_format,
    shape_of,
)

Value = SSAValue | Operation


def _optional(value: Value | None) -> SSAValue | None:
    return None if value is None else SSAValue.get(value)


@irdl_op_definition
class LinearOp(ArithmeticOp):
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
            operands=[input, weight, _optional(bias)],
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
class MatmulOp(ArithmeticOp):
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

    def infer_shape(self) -> Shape:
        lhs, rhs = shape_of(self.lhs), shape_of(self.rhs)
        if len(lhs) < 2 or len(rhs) < 2 or lhs[-1] != rhs[-2]:
            raise VerifyException(
                f"shapes {show(lhs)} and {show(rhs)} do not multiply, expected "
                "[…, M, K] and […, K, N]"
            )
        return (*broadcast(lhs[:-2], rhs[:-2]), lhs[-2], rhs[-1])


class ConvOp(ArithmeticOp, ABC):
    """What convolutions of every spatial rank share."""

    SPATIAL: ClassVar[int]
    """Number of spatial dimensions."""

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
            operands=[input, weight, _optional(bias)],
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
            operands=[input, weight, _optional(bias)],
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

    def infer_shape(self) -> Shape:
        _, features = check_rank(self.weight, 2, "weight")
        check_indices(self.indices)
        return (*shape_of(self.indices), features)


@irdl_op_definition
class BatchNormOp(ArithmeticOp):
    """
    (input - mean) / √(variance + eps) · weight + bias, per channel (dimension 1).

    Inference form: mean and variance are the running statistics.
    Ioffe and Szegedy, arXiv:1502.03167.

    ```mlir
    %5 = mase.batch_norm %0, %1, %2, %3, %4 {eps = 1.0e-05 : f64, layer = "bn"}
      : (tensor<1x6x8x8xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>,
         tensor<6xf32>) -> tensor<1x6x8x8xf32>
    ```
    """

    name = "mase.batch_norm"

    input = operand_def(AnyTensorTypeConstr)
    mean = operand_def(AnyTensorTypeConstr)
    variance = operand_def(AnyTensorTypeConstr)
    weight = operand_def(AnyTensorTypeConstr)
    bias = operand_def(AnyTensorTypeConstr)
    eps = prop_def(FloatAttr[Float64Type])

    assembly_format = (
        "$input `,` $mean `,` $variance `,` $weight `,` $bias attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        input: Value,
        mean: Value,
        variance: Value,
        weight: Value,
        bias: Value,
        *,
        eps: float,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, mean, variance, weight, bias],
            result_types=[PENDING],
            properties={
                "eps": FloatAttr(eps, f64),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(input))

    def infer_shape(self) -> Shape:
        shape = shape_of(self.input)
        if len(shape) < 2:
            raise VerifyException(f"input has rank {len(shape)}, expected at least 2")
        for name in ("mean", "variance", "weight", "bias"):
            check_shape(getattr(self, name), (shape[1],), name)
        return shape


class AffineNormOp(ArithmeticOp, ABC):
    """A normalization with optional learned weight and bias."""

    input = operand_def(AnyTensorTypeConstr)
    weight = opt_operand_def(AnyTensorTypeConstr)
    bias = opt_operand_def(AnyTensorTypeConstr)
    eps = prop_def(FloatAttr[Float64Type])

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "$input `:` type($input) (`weight` $weight^ `:` type($weight))? "
        "(`bias` $bias^ `:` type($bias))? attr-dict `->` type($result)"
    )


@irdl_op_definition
class LayerNormOp(AffineNormOp):
    """
    Normalize to mean 0, variance 1 over the last `rank` dimensions, then scale, shift.

    Ba, Kiros and Hinton, arXiv:1607.06450. Weight and bias have the shape of those
    dimensions.

    ```mlir
    %3 = mase.layer_norm %0 : tensor<1x8x32xf32> weight %1 : tensor<32xf32>
      bias %2 : tensor<32xf32> {rank = 1 : i64, eps = 1.0e-05 : f64}
      -> tensor<1x8x32xf32>
    ```
    """

    name = "mase.layer_norm"

    rank = prop_def(IntegerAttr)

    def __init__(
        self,
        input: Value,
        weight: Value | None = None,
        bias: Value | None = None,
        *,
        rank: int = 1,
        eps: float,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, _optional(weight), _optional(bias)],
            result_types=[PENDING],
            properties={
                "rank": IntegerAttr(rank, i64),
                "eps": FloatAttr(eps, f64),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(input))

    def infer_shape(self) -> Shape:
        shape, rank = shape_of(self.input), self.rank.value.data
        if not 1 <= rank <= len(shape):
            raise VerifyException(f"rank is {rank}, expected 1 to {len(shape)}")
        check_shape(self.weight, shape[-rank:], "weight")
        check_shape(self.bias, shape[-rank:], "bias")
        return shape


@irdl_op_definition
class GroupNormOp(AffineNormOp):
    """
    Normalize over groups of channels (dimension 1) and all positions.

    Wu and He, arXiv:1803.08494. With one group per channel this is instance
    normalization. Weight and bias are per channel.

    ```mlir
    %1 = mase.group_norm %0 : tensor<1x4x8x8xf32>
      {groups = 2 : i64, eps = 1.0e-05 : f64} -> tensor<1x4x8x8xf32>
    ```
    """

    name = "mase.group_norm"

    groups = prop_def(IntegerAttr)

    def __init__(
        self,
        input: Value,
        weight: Value | None = None,
        bias: Value | None = None,
        *,
        groups: int,
        eps: float,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input, _optional(weight), _optional(bias)],
            result_types=[PENDING],
            properties={
                "groups": IntegerAttr(groups, i64),
                "eps": FloatAttr(eps, f64),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(input))

    def infer_shape(self) -> Shape:
        shape, groups = shape_of(self.input), self.groups.value.data
        if len(shape) < 2 or groups < 1 or shape[1] % groups:
            raise VerifyException(
                f"input has shape {show(shape)}, expected channels in {groups} groups"
            )
        check_shape(self.weight, (shape[1],), "weight")
        check_shape(self.bias, (shape[1],), "bias")
        return shape


@irdl_op_definition
class SoftmaxOp(UnaryOp):
    """
    exp(x) / Σ exp(x) along `axis`.

    ```mlir
    %1 = mase.softmax %0 {axis = 1 : i64} : (tensor<1x10xf32>) -> tensor<1x10xf32>
    ```
    """

    name = "mase.softmax"

    axis = prop_def(IntegerAttr)

    def __init__(
        self,
        input: Value,
        axis: int,
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.axis = IntegerAttr(axis, i64)

    def infer_shape(self) -> Shape:
        check_axis(self.axis.value.data, len(shape_of(self.input)))
        return shape_of(self.input)


@irdl_op_definition
class AttentionOp(ArithmeticOp):
    """
    softmax(query · keyᵀ · scale + mask) · value.

    Shapes: query `[…, L, E]`, key `[…, S, E]`, value `[…, S, V]`; leading dimensions
    broadcast. The mask broadcasts to `[…, L, S]`: `i1` (false: masked out) or an
    addend. `causal` masks key positions behind the query position. Where everything is
    masked out the result is zero.
    Vaswani et al., arXiv:1706.03762.

    ```mlir
    %3 = mase.attention %0, %1, %2 {scale = 0.5 : f64, layer = "attn"}
      : (tensor<1x2x8x4xf32>, tensor<1x2x8x4xf32>, tensor<1x2x8x4xf32>)
      -> tensor<1x2x8x4xf32>
    ```
    """

    name = "mase.attention"

    query = operand_def(AnyTensorTypeConstr)
    key = operand_def(AnyTensorTypeConstr)
    value = operand_def(AnyTensorTypeConstr)
    mask = opt_operand_def(AnyTensorTypeConstr)
    scale = prop_def(FloatAttr[Float64Type])
    causal = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))

    assembly_format = (
        "$query `,` $key `,` $value (`mask` $mask^)? attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        query: Value,
        key: Value,
        value: Value,
        mask: Value | None = None,
        *,
        scale: float,
        causal: bool = False,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        query = SSAValue.get(query)
        super().__init__(
            operands=[query, key, value, _optional(mask)],
            result_types=[PENDING],
            properties={
                "scale": FloatAttr(scale, f64),
                "causal": BoolAttr.from_bool(causal),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(query))

    def infer_shape(self) -> Shape:
        q, k, v = shape_of(self.query), shape_of(self.key), shape_of(self.value)
        if min(len(q), len(k), len(v)) < 2 or q[-1] != k[-1] or k[-2] != v[-2]:
            raise VerifyException(
                f"shapes {show(q)}, {show(k)}, {show(v)} do not fit, expected "
                "[…, L, E], […, S, E], […, S, V]"
            )
        lead = broadcast(broadcast(q[:-2], k[:-2]), v[:-2])
        if self.mask is not None:
            scores = (*lead, q[-2], k[-2])
            if broadcast(shape_of(self.mask), scores) != scores:
                raise VerifyException(
                    f"mask has shape {show(shape_of(self.mask))}, expected one that "
                    f"broadcasts to {show(scores)}"
                )
        return (*lead, q[-2], v[-1])


class PoolOp(UnaryOp, ABC):
    """Windows over the last dimensions, as many as the kernel has."""

    kernel = prop_def(I64ArrayConstr)
    strides = prop_def(I64ArrayConstr)
    padding = prop_def(I64ArrayConstr)
    dilation = prop_def(I64ArrayConstr)
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))

    def __init__(
        self,
        input: Value,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
        dilation: Sequence[int] | None = None,
        ceil_mode: bool = False,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.kernel = int_array(kernel)
        self.strides = int_array(strides or kernel)
        self.padding = int_array(padding or [0] * len(kernel))
        self.dilation = int_array(dilation or [1] * len(kernel))
        self.ceil_mode = BoolAttr.from_bool(ceil_mode)
        self.set_result(element_of(self.result))

    def infer_shape(self) -> Shape:
        shape, kernel = shape_of(self.input), ints(self.kernel)
        rank = len(kernel)
        if not 1 <= rank <= len(shape):
            raise VerifyException(f"kernel has {rank} values for rank {len(shape)}")
        padding = check_length(self.padding, rank, "padding")
        if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
            raise VerifyException(
                f"padding is {show(padding)}, expected at most half of the kernel "
                f"{show(kernel)}"
            )
        strides = check_length(self.strides, rank, "strides")
        dilation = check_length(self.dilation, rank, "dilation")
        spatial = window_positions(
            shape[-rank:], kernel, strides, padding, dilation, bool(self.ceil_mode)
        )
        for n, k, s, p, d, positions in zip(
            shape[-rank:], kernel, strides, padding, dilation, spatial, strict=True
        ):
            starts = range(-p, positions * s - p, s)
            if any(all(not 0 <= i + o * d < n for o in range(k)) for i in starts):
                raise VerifyException(
                    f"a window of {k} elements with dilation {d} lies in the padding "
                    f"around {n} elements"
                )
        return (*shape[:-rank], *spatial)


@irdl_op_definition
class MaxPoolOp(PoolOp):
    """
    The largest element of each window; padding never wins, and no window may lie in
    the padding alone.

    ```mlir
    %1 = mase.max_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>,
        padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}
      : (tensor<1x6x8x8xf32>) -> tensor<1x6x4x4xf32>
    ```
    """

    name = "mase.max_pool"


@irdl_op_definition
class AvgPoolOp(PoolOp):
    """
    The mean of each window.

    `count_include_pad` says whether padding counts in the divisor; windows that
    `ceil_mode` lets reach past the padding never count what lies there.

    ```mlir
    %1 = mase.avg_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>,
        padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}
      : (tensor<1x6x8x8xf32>) -> tensor<1x6x4x4xf32>
    ```
    """

    name = "mase.avg_pool"

    count_include_pad = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))


class AdaptivePoolOp(UnaryOp, ABC):
    """
    Windows chosen so that the last dimensions become `output_size`.

    Window i of n covers ⌊i·size/n⌋ up to ⌈(i+1)·size/n⌉, as in torch.
    """

    output_size = prop_def(I64ArrayConstr)

    def __init__(
        self,
        input: Value,
        output_size: Sequence[int],
        *,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.output_size = int_array(output_size)
        self.set_result(element_of(self.result))

    def infer_shape(self) -> Shape:
        shape, size = shape_of(self.input), ints(self.output_size)
        if not 1 <= len(size) <= len(shape) or min(size) < 1:
            raise VerifyException(
                f"output_size is {show(size)}, expected 1 to {len(shape)} positive "
                "values"
            )
        return (*shape[: -len(size)], *size)


@irdl_op_definition
class AdaptiveAvgPoolOp(AdaptivePoolOp):
    """
    Mean over windows that adapt to the wanted size.

    ```mlir
    %1 = mase.adaptive_avg_pool %0 {output_size = array<i64: 1, 1>}
      : (tensor<1x6x8x8xf32>) -> tensor<1x6x1x1xf32>
    ```
    """

    name = "mase.adaptive_avg_pool"


@irdl_op_definition
class AdaptiveMaxPoolOp(AdaptivePoolOp):
    """
    Maximum over windows that adapt to the wanted size.

    ```mlir
    %1 = mase.adaptive_max_pool %0 {output_size = array<i64: 1, 1>}
      : (tensor<1x6x8x8xf32>) -> tensor<1x6x1x1xf32>
    ```
    """

    name = "mase.adaptive_max_pool"


KINDS = ("sum", "mean", "max", "min")


@irdl_op_definition
class ReduceOp(UnaryOp):
    """
    `kind` (`sum`, `mean`, `max` or `min`) over `axes`.

    With `keepdims` the reduced dimensions stay with size 1.

    ```mlir
    %1 = mase.reduce %0 {kind = "mean", axes = array<i64: 2, 3>, keepdims = false}
      : (tensor<1x6x8x8xf32>) -> tensor<1x6xf32>
    ```
    """

    name = "mase.reduce"

    kind = prop_def(StringAttr)
    axes = prop_def(I64ArrayConstr)
    keepdims = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))

    def __init__(
        self,
        input: Value,
        kind: str,
        axes: Sequence[int],
        *,
        keepdims: bool = False,
        element: Attribute | None = None,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        super().__init__(input, element=element, layer=layer, rounding=rounding)
        self.kind = StringAttr(kind)
        self.axes = int_array(axes)
        self.keepdims = BoolAttr.from_bool(keepdims)
        self.set_result(element_of(self.result))

    def infer_shape(self) -> Shape:
        if self.kind.data not in KINDS:
            raise VerifyException(
                f"kind is '{self.kind.data}', expected one of {', '.join(KINDS)}"
            )
        shape, axes = shape_of(self.input), ints(self.axes)
        result = reduced_shape(shape, axes, bool(self.keepdims))
        if self.kind.data != "sum" and any(shape[a] == 0 for a in axes):
            raise VerifyException(
                f"the {self.kind.data} of no elements, expected no dimension of size 0"
            )
        return result


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape after reducing `axes`; raises `VerifyException` for bad axes."""
    for axis in axes:
        check_axis(axis, len(shape))
    if len(set(axes)) != len(axes):
        raise VerifyException(f"axes are {show(axes)}, expected no repetition")
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


@irdl_op_definition
class ArgmaxOp(MaseOp):
    """
    Index of the first largest element along `axis`.

    The result's elements are a builtin integer or `!mase.ufixed<W, 0>`.

    ```mlir
    %1 = mase.argmax %0 {axis = 1 : i64}
      : (tensor<1x10x!mase.fixed<8, 4>>) -> tensor<1x!mase.ufixed<4, 0>>
    ```
    """

    name = "mase.argmax"

    input = operand_def(AnyTensorTypeConstr)
    axis = prop_def(IntegerAttr)
    keepdims = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))

    assembly_format = "$input attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        input: Value,
        axis: int,
        *,
        keepdims: bool = False,
        element: Attribute = i64,
    ):
        super().__init__(
            operands=[input],
            result_types=[PENDING],
            properties={
                "axis": IntegerAttr(axis, i64),
                "keepdims": BoolAttr.from_bool(keepdims),
            },
        )
        self.set_result(element)

    def infer_shape(self) -> Shape:
        return reduced_shape(
            shape_of(self.input), (self.axis.value.data,), bool(self.keepdims)
        )

    def verify_(self) -> None:
        super().verify_()
        last = shape_of(self.input)[self.axis.value.data] - 1
        match element := element_of(self.result):
            case IntegerType():
                format = exact_format(element)
            case UFixedType() if element.frac.data == 0:
                format = element.format
            case _:
                format = None
        if format is None or last > format.max_code:
            raise VerifyException(
                f"result element type is {element}, expected an integer or "
                f"!mase.ufixed<W, 0> that holds {last}"
            )


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
