"""`mase.cast_elements`: a number format for each element, or for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr
from mase_opt.dialects.mase.base import (
    I64ArrayConstr,
    Sign,
    UnaryOp,
    Value,
    broadcast,
    int_array,
    ints,
    show,
)
from mase_opt.dialects.mase.types import FixedPoint, element_of, shape_of
from mase_opt.lib.formats.elements import FixedElements, Integers
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import FormatError

STORAGE = {"widths": "i8", "fracs": "i16"}


@irdl_op_definition
class CastElementsOp(UnaryOp):
    """
    The same numbers, each in a fixed-point format of its own: rounded, then in range.

    An element has `widths` bits, `fracs` of them behind the point, and a sign if the
    result's elements have one; an element without bits is zero, whatever the input.
    `widths` and `fracs` are of shape `grid`, which is broadcast to that of the input:
    a format per tensor, channel or element. The result's type is their container: it
    has every number of each of them, and its codes are what the result consists of. In
    hardware, an element has the wires of its own format.

    ```mlir
    // fixed<3, 1>, zero, and fixed<2, 2>
    %1 = mase.cast_elements %0 {grid = array<i64: 3>,
        widths = #mase.dense<i8, [3, 0, 2]>, fracs = #mase.dense<i16, [1, 0, 2]>,
        rounding = #mase.rounding<floor, saturate>}
      : (tensor<2x3x!mase.fixed<8, 4>>) -> tensor<2x3x!mase.fixed<4, 2>>
    ```
    """

    name = "mase.cast_elements"
    SIGN: ClassVar[Sign] = Sign.KEPT
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)

    grid = prop_def(I64ArrayConstr)
    widths = prop_def(DenseAttr)
    fracs = prop_def(DenseAttr)

    def __init__(
        self,
        input: Value,
        widths: NDArray[np.integer],
        fracs: NDArray[np.integer],
        *,
        element: FixedPoint,
        layer: str | None = None,
        rounding: RoundingAttr = RoundingAttr.DEFAULT,
    ):
        """`widths` and `fracs` are of one shape, the grid."""
        super().__init__(
            SSAValue.get(input), element=element, layer=layer, rounding=rounding
        )
        self.grid = int_array(widths.shape)
        self.widths = DenseAttr.from_array(widths.astype(np.int8), "widths")
        self.fracs = DenseAttr.from_array(fracs.astype(np.int16), "fracs")

    @property
    def elements(self) -> FixedElements:
        """The formats. Raises `VerifyException` where they cannot be."""
        element = element_of(self.result)
        if not isinstance(element, FixedPoint):
            raise VerifyException(f"the result is of {element}, expected fixed point")
        widths, fracs = self._table("widths"), self._table("fracs")
        try:
            return FixedElements(widths, fracs, element.format)
        except FormatError as error:
            raise VerifyException(str(error)) from error

    def _table(self, name: str) -> Integers:
        data: DenseAttr = getattr(self, name)
        if data.data.storage != STORAGE[name]:
            raise VerifyException(
                f"{name} are {data.data.storage}, expected {STORAGE[name]}"
            )
        if not data.data.blob.loaded:
            raise VerifyException(f"resource '{data.label}' has no data in this file")
        try:
            flat = data.array()
        except ValueError as error:
            raise VerifyException(f"{name}: {error}") from error
        grid = ints(self.grid)
        if flat.size != prod(grid):
            raise VerifyException(
                f"{flat.size} {name}, expected {prod(grid)}: the grid is {show(grid)}"
            )
        return flat.astype(np.int64).reshape(grid)

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        # Not the input: elements may be missing, and what is exact is not one format.
        return None

    def verify_(self) -> None:
        super().verify_()
        grid, shape = ints(self.grid), shape_of(self.input)
        if min(grid, default=1) < 0 or broadcast(grid, shape) != shape:
            raise VerifyException(
                f"grid is {show(grid)}, expected what broadcasts to {show(shape)}"
            )
        if (low := int(self.elements.widths.min(initial=0))) < 0:
            raise VerifyException(f"a width is {low}, expected at least 0")
