"""
CIRCT ops that xDSL 0.74 lacks, in CIRCT's own syntax.

They print under CIRCT's dialect names. A second dialect of the same name cannot be
registered, so text that holds them goes to CIRCT, not back to xDSL.
"""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects import seq
from xdsl.dialects.builtin import i1
from xdsl.ir import SSAValue
from xdsl.irdl import (
    AnyAttr,
    AttrSizedOperandSegments,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class CompRegClockEnabledOp(IRDLOperation):
    """
    Register a value while `clock_enable` is set; reset (synchronous) goes first.

    See https://circt.llvm.org/docs/Dialects/Seq/#seqcompregce-circtseqcompregclockenabledop

    ```mlir
    %1 = seq.compreg.ce %0, %clk, %ce reset %rst, %false : i1
    ```
    """

    name = "seq.compreg.ce"

    DATA_TYPE: ClassVar = VarConstraint("DataType", AnyAttr())

    input = operand_def(DATA_TYPE)
    clk = operand_def(seq.clock)
    clock_enable = operand_def(i1)
    reset = opt_operand_def(i1)
    reset_value = opt_operand_def(DATA_TYPE)
    data = result_def(DATA_TYPE)

    irdl_options = (AttrSizedOperandSegments(),)

    assembly_format = (
        "$input `,` $clk `,` $clock_enable (`reset` $reset^ `,` $reset_value)? "
        "attr-dict `:` type($input)"
    )

    def __init__(
        self,
        input: SSAValue,
        clk: SSAValue,
        clock_enable: SSAValue,
        reset: tuple[SSAValue, SSAValue] | None = None,
    ):
        super().__init__(
            operands=[input, clk, clock_enable, *(reset or (None, None))],
            result_types=[input.type],
        )

    def verify_(self) -> None:
        if (self.reset is None) != (self.reset_value is None):
            raise VerifyException("reset and reset_value go together, got one of them")
