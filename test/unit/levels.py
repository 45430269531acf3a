"""Compares the levels: interpreter, evaluated and simulated circuit, Verilator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.builder import ImplicitBuilder
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.data.vectors import input_vectors
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.simulation.evaluator import Evaluator
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import StallPattern
from mase_opt.lib.simulation.verilator import VerilatorSimulator
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.model.verify import results_of, to_ports

Array = NDArray[Any]


class Model:
    """A function under construction; ops made in `with model:` go into it."""

    def __init__(self, *inputs: tuple[Attribute, Sequence[int]], name: str = "top"):
        types = [TensorType(element, shape) for element, shape in inputs]
        self.function = func.FuncOp(name, (types, ()))
        self.inputs: Sequence[SSAValue] = self.function.body.block.args
        self._builder = ImplicitBuilder(self.function.body.block)

    def __enter__(self) -> Sequence[SSAValue]:
        self._builder.__enter__()
        return self.inputs

    def __exit__(self, *error: object) -> None:
        self._builder.__exit__(*error)

    def returns(self, *values: Operation | SSAValue) -> ModuleOp:
        """End the function and wrap it; verified."""
        self.function.body.block.add_op(func.ReturnOp(*values))
        self.function.update_function_type()
        module = ModuleOp([self.function])
        module.verify()
        return module


def lower(
    module: ModuleOp, max_logic_depth: int, stall: bool = False
) -> tuple[ModuleOp, PortLayout]:
    """The circuit of a copy of `module`, verified, and its ports."""
    circuit = module.clone()
    ConvertMaseToHwPass(max_logic_depth, stall).apply(Context(), circuit)
    circuit.verify()
    return circuit, port_layout(circuit)


def compare(
    expected: dict[str, Array], actual: dict[str, Array], layout: PortLayout
) -> None:
    """Fail on the first output that differs anywhere."""
    for port in layout.outputs:
        want, got = (c[port.name].astype(object) for c in (expected, actual))
        assert got.shape == want.shape, port.name
        wrong = np.argwhere(got != want)
        if len(wrong):
            sample, element = wrong[0]
            raise AssertionError(
                f"{port.name}, {port.format}: {len(wrong)} of {want.size} codes "
                f"differ, first in sample {sample}, element {element}: expected "
                f"{want[sample, element]}, got {got[sample, element]}"
            )


def assert_levels_agree(
    module: ModuleOp,
    *,
    max_logic_depth: int = 0,
    stall: bool = False,
    samples: int = 32,
    seed: int = 0,
    verilator: bool = False,
    inputs: Sequence[Array] | None = None,
) -> PortLayout:
    """
    Interpreter == circuit evaluated == circuit simulated (== Verilator).

    On `inputs`, or on corners and `samples` random ones.
    """
    if inputs is None:
        inputs = input_vectors(main_function(module).body.block.args, samples, seed)
    function = main_function(module)
    circuit, layout = lower(module, max_logic_depth, stall)
    expected = to_ports(evaluate(module, inputs), results_of(function), layout, "out")
    ports = to_ports(inputs, function.args, layout, "in")
    pattern = StallPattern(seed) if stall else None
    for simulate in (Evaluator, Simulator):
        compare(expected, simulate(circuit, layout).run(ports, pattern), layout)
    if verilator:
        with VerilatorSimulator(export_verilog(circuit), layout) as simulator:
            compare(expected, simulator.run(ports, pattern), layout)
    return layout
