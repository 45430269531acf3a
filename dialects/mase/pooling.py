"""Pools and reductions of the mase dialect."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from math import prod
from typing import ClassVar

from xdsl.dialects.builtin import (
    AnyTensorTypeConstr,
    BoolAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    i64,
)
from xdsl.ir import Attribute
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    prop_def,
)
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import (
    EVERYTHING,
    PENDING,
    I64ArrayConstr,
    Interval,
    MaseOp,
    Shape,
    Sign,
    UnaryOp,
    Value,
    check_axis,
    check_length,
    int_array,
    ints,
    show,
    window_positions,
)
from mase_opt.dialects.mase.types import (
    UFixedType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.multiples import Multiples


class PoolOp(UnaryOp, ABC):
    """Windows over the last dimensions, as many as the kernel has."""

    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)
    CHANNELS_FIRST: ClassVar[bool] = True

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

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        rank = len(shape_of(self.input))
        return range(rank - len(ints(self.kernel)), rank)

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

    @property
    def keeps_format(self) -> bool:
        return True

    @property
    def stays_narrow(self) -> bool:
        return True

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return x

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        return result()


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

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        counts_alike = self.count_include_pad or not any(ints(self.padding))
        if self.ceil_mode or not counts_alike:
            return None
        return x.mean_of(prod(ints(self.kernel)))


class AdaptivePoolOp(UnaryOp, ABC):
    """
    Windows chosen so that the last dimensions become `output_size`.

    Window i of n covers ⌊i·size/n⌋ up to ⌈(i+1)·size/n⌉, as in torch.
    """

    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)
    CHANNELS_FIRST: ClassVar[bool] = True

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

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        rank = len(shape_of(self.input))
        return range(rank - len(ints(self.output_size)), rank)

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

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        output = ints(self.output_size)
        sizes = shape_of(self.input)[-len(output) :]
        counts = [divmod(n, m) for n, m in zip(sizes, output, strict=True)]
        if any(rest for _, rest in counts):
            return None
        return x.mean_of(prod(count for count, _ in counts))


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

    @property
    def keeps_format(self) -> bool:
        return True

    @property
    def stays_narrow(self) -> bool:
        return True

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        return x

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        return result()


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
    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)

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

    @property
    def keeps_format(self) -> bool:
        return self.kind.data in ("max", "min")

    @property
    def stays_narrow(self) -> bool:
        return self.keeps_format

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        (x,) = operands
        count = prod(shape_of(self.input)[a] for a in ints(self.axes))
        match self.kind.data:
            case "sum":
                return x.sum_of(count)
            case "mean":
                return x.mean_of(count)
            case _:
                return x

    def told_apart(self, result: Callable[[], Interval]) -> Interval:
        return result() if self.keeps_format else EVERYTHING

    def mixed_axes(self, index: int) -> Sequence[int] | None:
        return ints(self.axes)

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
