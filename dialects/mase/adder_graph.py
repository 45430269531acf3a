"""Constant matrices as explicit graphs of adders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import AnyTensorTypeConstr, IntegerAttr, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr
from mase_opt.dialects.mase.base import (
    PENDING,
    ArithmeticOp,
    Shape,
    Value,
    layer_attr,
)
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of

NODE = 5
"""Numbers per adder: operands a and b, their shifts, and whether b is subtracted."""
OUTPUT = 3
"""Numbers per output: its value (-1: none), a shift, and whether it is negated."""


@irdl_op_definition
class AdderGraphOp(ArithmeticOp):
    """
    Sums of shifted inputs that share partial sums: input · constant matrix + offsets.

    Value i is the code of input i as long as there are inputs; then comes one value for
    each five numbers `a, b, p, q, s` of `nodes`: value a · 2^p + value b · 2^q, or the
    difference of them if s. An output, three numbers `v, p, s` of `outputs`, is value v
    (0 if v is -1) times 2^p, negated if s. The result is (output + offset) · 2^-frac,
    rounded once.

    Shapes: input `[…, I]`, result `[…, O]`.

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

    assembly_format = "$input attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        input: Value,
        nodes: NDArray[np.int32],
        outputs: NDArray[np.int32],
        offsets: NDArray[np.int64],
        *,
        frac: int,
        element: Attribute,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        name = layer or "graph"
        super().__init__(
            operands=[SSAValue.get(input)],
            result_types=[PENDING],
            properties={
                "nodes": DenseAttr.from_array(nodes, f"{name}.nodes"),
                "outputs": DenseAttr.from_array(outputs, f"{name}.outputs"),
                "offsets": DenseAttr.from_array(offsets, f"{name}.offsets"),
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
        return (*shape[:-1], self.table(self.outputs, OUTPUT, "outputs").shape[0])

    @staticmethod
    def table(data: DenseAttr, width: int, name: str) -> NDArray[np.int64]:
        """
        The numbers of `data` in rows of `width`.

        Raises `VerifyException` if they are malformed.
        """
        if data.data.storage not in ("i32", "i64"):
            raise VerifyException(f"{name} are {data.data.storage}, expected i32")
        try:
            flat = data.array().astype(np.int64)
        except ValueError as error:
            raise VerifyException(str(error)) from error
        if flat.size % width:
            raise VerifyException(
                f"{name} are {flat.size} numbers, not rows of {width}"
            )
        return flat.reshape(-1, width)

    def verify_(self) -> None:
        for data in (self.nodes, self.outputs, self.offsets):
            if not data.data.blob.loaded:
                raise VerifyException(
                    f"resource '{data.label}' has no data in this file"
                )
        super().verify_()
        if exact_format(element_of(self.input)) is None:
            raise VerifyException(
                f"input element type is {element_of(self.input)}, expected fixed point"
            )
        inputs = shape_of(self.input)[-1]
        nodes = self.table(self.nodes, NODE, "nodes")
        outputs = self.table(self.outputs, OUTPUT, "outputs")
        before = inputs + np.arange(len(nodes))
        if (nodes[:, :2] < 0).any() or (nodes[:, :2] >= before[:, None]).any():
            raise VerifyException("a node uses a value that does not come before it")
        if (nodes[:, 2:4] < 0).any() or (outputs[:, 1] < 0).any():
            raise VerifyException("a shift is negative")
        if any((flags & ~1).any() for flags in (nodes[:, 4], outputs[:, 2])):
            raise VerifyException("a sign is neither 0 nor 1")
        values = outputs[:, 0]
        if (values < -1).any() or (values >= inputs + len(nodes)).any():
            raise VerifyException("an output is of a value that does not exist")
        if self.table(self.offsets, 1, "offsets").shape[0] != len(outputs):
            raise VerifyException("the number of offsets is not that of outputs")
