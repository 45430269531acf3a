"""
CIRCT ops that xDSL 0.74 lacks, in CIRCT's own syntax.

They print under CIRCT's dialect names. A second dialect of the same name cannot be
registered, so text that holds them goes to CIRCT, not back to xDSL.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from xdsl.dialects import seq
from xdsl.dialects.builtin import (
    ArrayAttr,
    IntAttr,
    IntegerType,
    StringAttr,
    i1,
)
from xdsl.ir import ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    AnyAttr,
    AttrSizedOperandSegments,
    IRDLOperation,
    VarConstraint,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.printer import Printer
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


@irdl_attr_definition
class MemoryType(ParametrizedAttribute, TypeAttribute):
    """
    A memory: so many words of so many bits.

    ```mlir
    !seq.firmem<1024 x 512>
    ```
    """

    name = "seq.firmem"

    depth: IntAttr
    width: IntAttr

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{self.depth.data} x {self.width.data}>")


@irdl_op_definition
class FirMemOp(IRDLOperation):
    """
    A memory whose ports read in the same cycle, with contents from the start if wanted.

    `contents` are the words, each as the integer of its bits; the circuit has the name
    of a file of them in hexadecimal. They are kept in the text of the module that the
    memory is in, without a file of its own, as Yosys and Icarus need it.

    See https://circt.llvm.org/docs/Dialects/Seq/#seqfirmem-circtseqfirmemop

    ```mlir
    %w = seq.firmem 0, 1, undefined, port_order
      {init = #seq.firmem.init<"w.hex", false, true>, name = "w"} : <1024 x 512>
    ```
    """

    name = "seq.firmem"

    label = prop_def(StringAttr)
    """The name of the memory, also of the file: `<label>.hex`."""
    contents = opt_prop_def(ArrayAttr[IntAttr])
    memory = result_def(MemoryType)

    def __init__(
        self, depth: int, width: int, label: str, contents: Iterable[int] = ()
    ):
        words = [IntAttr(word) for word in contents]
        super().__init__(
            properties={
                "label": StringAttr(label),
                "contents": ArrayAttr(words) if words else None,
            },
            result_types=[MemoryType(IntAttr(depth), IntAttr(width))],
        )

    @property
    def memory_type(self) -> MemoryType:
        assert isinstance(self.memory.type, MemoryType)
        return self.memory.type

    @property
    def words(self) -> list[int]:
        """The contents, if there are any."""
        return [word.data for word in self.contents] if self.contents else []

    # Its attributes are CIRCT's own, which xDSL doesn't know.
    def print(self, printer: Printer) -> None:
        init = ""
        if self.contents is not None:
            init = f'init = #seq.firmem.init<"{self.label.data}.hex", false, true>, '
        printer.print_string(" 0, 1, undefined, port_order ")
        printer.print_string(f'{{{init}name = "{self.label.data}"}} : ')
        self.memory_type.print_parameters(printer)


@irdl_op_definition
class FirMemReadOp(IRDLOperation):
    """
    The word at an address.

    ```mlir
    %q = seq.firmem.read_port %w[%a], clock %clk : <1024 x 512>
    ```
    """

    name = "seq.firmem.read_port"

    memory = operand_def(MemoryType)
    address = operand_def(IntegerType)
    clk = operand_def(seq.clock)
    data = result_def(IntegerType)

    def __init__(self, memory: SSAValue, address: SSAValue, clk: SSAValue):
        assert isinstance(memory.type, MemoryType)
        width = memory.type.width.data
        super().__init__(
            operands=[memory, address, clk], result_types=[IntegerType(width)]
        )

    def print(self, printer: Printer) -> None:
        _print_port(printer, self.memory, self.address)
        printer.print_string(", clock ")
        printer.print_ssa_value(self.clk)
        _print_memory_type(printer, self.memory)


@irdl_op_definition
class FirMemWriteOp(IRDLOperation):
    """
    Write a word at the rising edge, while `enable` is set.

    ```mlir
    seq.firmem.write_port %w[%a] = %d, clock %clk enable %e : <1024 x 512>
    ```
    """

    name = "seq.firmem.write_port"

    memory = operand_def(MemoryType)
    address = operand_def(IntegerType)
    data = operand_def(IntegerType)
    clk = operand_def(seq.clock)
    enable = operand_def(i1)

    def __init__(
        self,
        memory: SSAValue,
        address: SSAValue,
        data: SSAValue,
        clk: SSAValue,
        enable: SSAValue,
    ):
        super().__init__(operands=[memory, address, data, clk, enable])

    def print(self, printer: Printer) -> None:
        _print_port(printer, self.memory, self.address)
        printer.print_string(" = ")
        printer.print_ssa_value(self.data)
        printer.print_string(", clock ")
        printer.print_ssa_value(self.clk)
        printer.print_string(" enable ")
        printer.print_ssa_value(self.enable)
        _print_memory_type(printer, self.memory)


def _print_port(printer: Printer, memory: SSAValue, address: SSAValue) -> None:
    printer.print_string(" ")
    printer.print_ssa_value(memory)
    printer.print_string("[")
    printer.print_ssa_value(address)
    printer.print_string("]")


def _print_memory_type(printer: Printer, memory: SSAValue) -> None:
    assert isinstance(memory.type, MemoryType)
    printer.print_string(" : ")
    memory.type.print_parameters(printer)
