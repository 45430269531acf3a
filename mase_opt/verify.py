"""Comparison of levels: the quantized model in the interpreter, and its circuit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from mase_opt.lib.analysis.vectors import input_vectors
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.target.interface import PortLayout
from mase_opt.lib.target.simulate import Codes, Simulator

SHOWN = 8
"""Codes of an array that an error prints."""


def to_ports(arrays: Sequence[Array], layout: PortLayout, direction: str) -> Codes:
    """Arrays `[samples, *shape]` in argument order as flat codes by port name."""
    ports = layout.inputs if direction == "in" else layout.outputs
    return {
        port.name: np.asarray(array).reshape(len(array), port.elements)
        for port, array in zip(ports, arrays, strict=True)
    }


def reference_vectors(
    reference: ModuleOp, layout: PortLayout, samples: int
) -> tuple[Codes, Codes]:
    """Corner and `samples` random inputs, and what the interpreter says of them."""
    function = main_function(reference)
    inputs = input_vectors(function.body.block.args, samples)
    outputs = evaluate(function, inputs)
    return to_ports(inputs, layout, "in"), to_ports(outputs, layout, "out")


def verify_rtl(
    reference: ModuleOp, module: ModuleOp, layout: PortLayout, samples: int
) -> None:
    """
    Compare the simulated circuit `module` with the interpreter on `reference`.

    Raises `UserError` at the first difference; it shows the input, the first layer
    that differs, and the expected and actual codes.
    """
    inputs, expected = reference_vectors(reference, layout, samples)
    actual = Simulator(module, layout).run(inputs)
    wrong = first_difference(expected, actual)
    if wrong is None:
        return
    name, sample = wrong
    lines = [
        f"circuit and model differ at output {name}, vector {sample}:",
        *(f"  input {port}: {_codes(codes[sample])}" for port, codes in inputs.items()),
        f"  expected {_codes(expected[name][sample])}",
        f"  actual   {_codes(actual[name][sample])}",
    ]
    function = main_function(reference)
    layers = [
        str(op.properties["layer"])
        for op in function.body.block.ops
        if "layer" in op.properties
    ]
    lines.append(f"  layers: {', '.join(layers)}")
    raise UserError("\n".join(lines))


def first_difference(expected: Codes, actual: Codes) -> tuple[str, int] | None:
    """Output name and sample of the first difference, or None."""
    best: tuple[str, int] | None = None
    for name, codes in expected.items():
        rows = (codes != actual[name]).any(axis=1)
        if rows.any():
            sample = int(np.argmax(rows))
            if best is None or sample < best[1]:
                best = name, sample
    return best


def _codes(row: Array) -> str:
    shown = ", ".join(str(c) for c in row[:SHOWN].tolist())
    return f"[{shown}{', …' if row.size > SHOWN else ''}]"
