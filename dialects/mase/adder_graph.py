"""Constant matrices as explicit graphs of adders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import AnyTensorTypeConstr, IntegerAttr, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, opt_prop_def, prop_def
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr
from mase_opt.dialects.mase.base import (
    PENDING,
    ArithmeticOp,
    Shape,
    Value,
    layer_attr,
)
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.formats.ternary import Ternary

NODE = 5
"""Numbers per adder: operands a and b, their shifts, and whether b is subtracted."""
OUTPUT = 3
"""Numbers per output: its value (-1: none), a shift, and whether it is negated."""
PRODUCT = 2
"""Numbers per product: an input and a constant."""


def graph_codes(element: Attribute) -> Fixed | Binary | Ternary | None:
    """What the codes of an element type are, if graphs take them; else None."""
    format = exact_format(element)
    if format is not None or not isinstance(element, ElementType):
        return format
    codes = element.format
    codes = codes.element if isinstance(codes, Scaled) else codes
    return codes if isinstance(codes, Fixed | Binary | Ternary) else None


@irdl_op_definition
class AdderGraphOp(ArithmeticOp):
    """
    Sums of shifted inputs that share partial sums: input · constant matrix + offsets.

    Value i is the code of input i as long as there are inputs, without its lowest
    `dropped[i]` bits if there are `dropped`. Then comes one value for
    each two numbers `i, w` of `products`: value i times w, which is left to a
    multiplier. Then comes one for each five numbers `a, b, p, q, s` of `nodes`: value
    a · 2^p + value b · 2^q, or the difference of them if s. An output, three numbers
    `v, p, s` of `outputs`, is value v (0 if v is -1) times 2^p, negated if s.

    The result is y = (output + offset) · 2^-frac, or with `scales`, two numbers
    `scale, bias` per output, y · scale + bias; rounded once.

    Shapes: input `[…, I]`, result `[…, O]`. Inputs are fixed point, binary or ternary,
    scaled or not.

    ```mlir
    // 3·x0, and 3·x0 + x1 with 0.5 added
    %1 = mase.adder_graph %0 {nodes = #mase.dense<i32, [0, 0, 0, 1, 0, 2, 1, 0, 0, 0]>,
                              outputs = #mase.dense<i32, [2, 0, 0, 3, 0, 0]>,
                              offsets = #mase.dense<i64, [0, 8]>, frac = 4 : i64}
      : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<11, 4>>
    ```
    """

    name = "mase.adder_graph"

    input = operand_def(AnyTensorTypeConstr)
    nodes = prop_def(DenseAttr)
    outputs = prop_def(DenseAttr)
    offsets = prop_def(DenseAttr)
    frac = prop_def(IntegerAttr[i64])
    products = opt_prop_def(DenseAttr)
    scales = opt_prop_def(DenseAttr)
    dropped = opt_prop_def(DenseAttr)

    assembly_format = "$input attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        input: Value,
        nodes: NDArray[np.int32],
        outputs: NDArray[np.int32],
        offsets: NDArray[np.int64],
        *,
        frac: int,
        products: NDArray[np.int64] | None = None,
        scales: NDArray[np.float64] | None = None,
        dropped: NDArray[np.int32] | None = None,
        element: Attribute,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        tables = {
            "nodes": nodes,
            "outputs": outputs,
            "offsets": offsets,
            "products": products,
            "scales": scales,
            "dropped": dropped,
        }
        super().__init__(
            operands=[SSAValue.get(input)],
            result_types=[PENDING],
            properties={
                **{
                    key: DenseAttr.from_array(table, f"{layer or 'graph'}.{key}")
                    for key, table in tables.items()
                    if table is not None
                },
                "frac": IntegerAttr(frac, i64),
                "layer": layer_attr(layer),
                "rounding": rounding,
            },
        )
        self.set_result(element)

    def infer_shape(self) -> Shape:
        shape = shape_of(self.input)
        if not shape:
            raise VerifyException(
                "input is a scalar, expected inputs along a dimension"
            )
        return (*shape[:-1], len(self.output_table))

    @property
    def node_table(self) -> NDArray[np.int64]:
        """`[N, 5]`"""
        return _table(self.nodes, NODE, "nodes")

    @property
    def output_table(self) -> NDArray[np.int64]:
        """`[O, 3]`"""
        return _table(self.outputs, OUTPUT, "outputs")

    @property
    def offset_table(self) -> NDArray[np.int64]:
        """`[O]`"""
        return _table(self.offsets, 1, "offsets")[:, 0]

    @property
    def product_table(self) -> NDArray[np.int64]:
        """`[P, 2]`"""
        if self.products is None:
            return np.zeros((0, PRODUCT), np.int64)
        return _table(self.products, PRODUCT, "products")

    @property
    def dropped_bits(self) -> NDArray[np.int64]:
        """`[I]`"""
        if self.dropped is None:
            return np.zeros(shape_of(self.input)[-1], np.int64)
        return _table(self.dropped, 1, "dropped")[:, 0]

    @property
    def scale_table(self) -> NDArray[np.float64]:
        """`[O, 2]`"""
        if self.scales is None:
            return np.tile([1.0, 0.0], (len(self.output_table), 1))
        if self.scales.data.storage != "f64":
            raise VerifyException(
                f"scales are {self.scales.data.storage}, expected f64"
            )
        return _rows(self.scales, 2, "scales").astype(np.float64)

    def verify_(self) -> None:
        for data in (
            self.nodes,
            self.outputs,
            self.offsets,
            self.products,
            self.scales,
            self.dropped,
        ):
            if data is not None and not data.data.blob.loaded:
                raise VerifyException(
                    f"resource '{data.label}' has no data in this file"
                )
        super().verify_()
        if graph_codes(element_of(self.input)) is None:
            raise VerifyException(
                f"input element type is {element_of(self.input)}, expected fixed "
                "point, binary or ternary"
            )
        inputs = shape_of(self.input)[-1]
        products, nodes, outputs = (
            self.product_table,
            self.node_table,
            self.output_table,
        )
        if ((products[:, 0] < 0) | (products[:, 0] >= inputs)).any():
            raise VerifyException("a product is of an input that does not exist")
        before = inputs + len(products) + np.arange(len(nodes))
        if (nodes[:, :2] < 0).any() or (nodes[:, :2] >= before[:, None]).any():
            raise VerifyException("a node uses a value that does not come before it")
        if (nodes[:, 2:4] < 0).any() or (outputs[:, 1] < 0).any():
            raise VerifyException("a shift is negative")
        if any((flags & ~1).any() for flags in (nodes[:, 4], outputs[:, 2])):
            raise VerifyException("a sign is neither 0 nor 1")
        values = outputs[:, 0]
        if (values < -1).any() or (values >= inputs + len(products) + len(nodes)).any():
            raise VerifyException("an output is of a value that does not exist")
        if len(self.offset_table) != len(outputs):
            raise VerifyException("the number of offsets is not that of outputs")
        dropped = self.dropped_bits
        if len(dropped) != inputs:
            raise VerifyException(f"{len(dropped)} dropped, expected {inputs}")
        if (dropped < 0).any():
            raise VerifyException("a number of dropped bits is negative")
        scales = self.scale_table
        if len(scales) != len(outputs):
            raise VerifyException("the number of scales is not that of outputs")
        if not np.isfinite(scales).all() or (scales[:, 0] <= 0).any():
            raise VerifyException("a scale is not positive, or a number not finite")


def _rows(data: DenseAttr, width: int, name: str) -> NDArray[np.generic]:
    """
    The numbers of `data` in rows of `width`.

    Raises `VerifyException` if they are malformed.
    """
    try:
        flat = data.array()
    except ValueError as error:
        raise VerifyException(str(error)) from error
    if flat.size % width:
        raise VerifyException(f"{name} are {flat.size} numbers, not rows of {width}")
    return flat.reshape(-1, width)


def _table(data: DenseAttr, width: int, name: str) -> NDArray[np.int64]:
    """Rows of integers; raises `VerifyException` as `_rows` does."""
    if data.data.storage not in ("i32", "i64"):
        raise VerifyException(f"{name} are {data.data.storage}, expected i32 or i64")
    return _rows(data, width, name).astype(np.int64)
