"""Normalizations, softmax and attention of the mase dialect."""

from __future__ import annotations

from abc import ABC
from collections.abc import Container, Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    BoolAttr,
    Float64Type,
    FloatAttr,
    IntegerAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    prop_def,
)
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import (
    PENDING,
    ArithmeticOp,
    Shape,
    Sign,
    UnaryOp,
    Value,
    broadcast,
    check_axis,
    check_shape,
    layer_attr,
    optional,
    show,
)
from mase_opt.dialects.mase.types import (
    element_of,
    shape_of,
)


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
    CHANNELS_FIRST: ClassVar[bool] = True

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
            operands=[input, optional(weight), optional(bias)],
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
    CHANNELS_FIRST: ClassVar[bool] = True

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
            operands=[input, optional(weight), optional(bias)],
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
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE

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

    def may_read_mask(self, index: int) -> bool:
        return True

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
    FACTORS: ClassVar[tuple[int, ...]] = (0, 1, 2)

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
            operands=[query, key, value, optional(mask)],
            result_types=[PENDING],
            properties={
                "scale": FloatAttr(scale, f64),
                "causal": BoolAttr.from_bool(causal),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element or element_of(query))

    def never_negative(self, known: Container[SSAValue]) -> bool:
        # A weighted mean of the values.
        return not self.wraps and self.value in known

    def may_read_mask(self, index: int) -> bool:
        return index == 3

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return (len(shape_of(self.value)) - 2,) if index == 2 else None

    def summed_axis(self, index: int) -> int:
        return -2 if index == 2 else super().summed_axis(index)

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
