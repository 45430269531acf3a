"""Comparison of levels: the quantized model in the interpreter, and its circuit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.conversion.unrolled.top import describe_op
from mase_opt.lib.data.vectors import input_vectors
from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.codec import lanes_of
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.hardware.packing import MAX_WIDTH
from mase_opt.lib.interpreters.codes import from_codes, to_codes
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.simulation.choose import simulator_for
from mase_opt.lib.simulation.transactions import Codes
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.lib.transforms.mase_lower_block_arithmetic import added_in_accumulator

SHOWN = 8
"""Codes of an array that an error prints."""


def to_ports(
    arrays: Sequence[Array],
    values: Sequence[SSAValue],
    layout: PortLayout,
    direction: str,
) -> Codes:
    """What the interpreter holds for `values` as flat codes by port name."""
    ports = iter(layout.inputs if direction == "in" else layout.outputs)
    result: Codes = {}
    for value, array in zip(values, arrays, strict=True):
        codes = to_codes(value, array).reshape(len(array), -1)
        for lane in lanes_of(value):
            port = next(ports)
            # Wide codes are integers of Python.
            dtype = np.int64 if port.signed else np.uint64
            result[port.name] = codes[:, : lane.size].astype(dtype)
            codes = codes[:, lane.size :]
    return result


def from_ports(
    codes: Codes, values: Sequence[SSAValue], layout: PortLayout, direction: str
) -> list[Array]:
    """The reverse of `to_ports`, but for codes, as `to_codes` gives them."""
    ports = iter(layout.inputs if direction == "in" else layout.outputs)
    result: list[Array] = []
    for value in values:
        lanes = [codes[next(ports).name] for _ in lanes_of(value)]
        result.append(
            lanes[0].reshape(-1, *shape_of(value))
            if len(lanes) == 1
            else np.concatenate(lanes, axis=1)
        )
    return result


def results_of(function: FuncOp) -> Sequence[SSAValue]:
    """The values that a function returns."""
    returned = function.body.block.last_op
    assert isinstance(returned, ReturnOp)
    return returned.operands


def reference_vectors(
    reference: ModuleOp, layout: PortLayout, samples: int, most: int | None = None
) -> tuple[Codes, Codes]:
    """
    Codes of corner and `samples` random inputs, and what the interpreter says.

    Of more than `most`, the last ones, which are random, are kept.
    """
    function = main_function(reference)
    arguments = function.body.block.args
    inputs = [v[-most:] if most else v for v in input_vectors(arguments, samples)]
    outputs = evaluate(function, inputs)
    return (
        to_ports(inputs, arguments, layout, "in"),
        to_ports(outputs, results_of(function), layout, "out"),
    )


@dataclass(frozen=True)
class Lowering:
    """A pass that must keep all results, and the module on both sides of it."""

    name: str
    before: ModuleOp
    after: ModuleOp


def verify_lowering(lowering: Lowering, samples: int) -> None:
    """
    Compare the interpreter on a module with that behind a pass.

    On corners and `samples` random inputs. Layers over blocks whose accumulators round
    may differ: that is a warning, which counts. Raises `UserError` for all else.
    """
    function, after = main_function(lowering.before), main_function(lowering.after)
    if lowering.before.is_structurally_equivalent(lowering.after):
        return
    if any(is_float(element_of(argument)) for argument in function.args):
        return  # Not quantized yet: what is lowered is another model.
    inputs = input_vectors(function.args, samples)
    results = results_of(function)
    expected, actual = (
        {
            f"out{i}": to_codes(v, a).reshape(len(a), -1)
            for i, (v, a) in enumerate(zip(results, evaluate(f, inputs), strict=True))
        }
        for f in (function, after)
    )
    wrong = first_difference(expected, actual)
    if wrong is None:
        return
    if layers := accumulating_layers(lowering.before):
        count = sum(
            any((c[i] != actual[name][i]).any() for name, c in expected.items())
            for i in range(len(inputs[0]))
        )
        warnings.warn(
            f"{lowering.name}: {count} of {len(inputs[0])} vectors differ from exact "
            f"sums, since accumulators round in {layers}",
            stacklevel=2,
        )
        return
    name, sample = wrong
    lines = [
        f"pass '{lowering.name}' changes output {name}, vector {sample}: the quantized "
        "and the lowered model differ",
        *(
            f"  input {i}: {_codes(_flat(v, a, sample))}"
            for i, (v, a) in enumerate(zip(function.args, inputs, strict=True))
        ),
        f"  quantized {_codes(expected[name][sample])}",
        f"  lowered   {_codes(actual[name][sample])}",
    ]
    raise UserError("\n".join(lines))


def accumulating_layers(module: ModuleOp) -> str:
    """The layers that lowering adds in accumulators, as text; empty for none."""
    found = [
        describe_op(op)
        for op in main_function(module).walk()
        if added_in_accumulator(op)
    ]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def _flat(value: SSAValue, array: Array, sample: int) -> Array:
    return to_codes(value, array[sample : sample + 1]).reshape(-1)


def verify_rtl(
    reference: ModuleOp, circuit: ModuleOp, layout: PortLayout, samples: int
) -> int:
    """
    Compare the simulated `circuit` with the interpreter on `reference`, the lowered
    model; on how many vectors.

    Raises `UserError` at the first difference; it shows the input, the first layer
    that differs, and the expected and actual codes.
    """
    inputs, expected = reference_vectors(reference, layout, samples)
    actual = _simulate(circuit, layout, inputs)
    wrong = first_difference(expected, actual)
    if wrong is None:
        return max(map(len, expected.values()), default=0)
    name, sample = wrong
    lines = [
        f"circuit and lowered model differ at output {name}, vector {sample}:",
        *(f"  input {port}: {_codes(codes[sample])}" for port, codes in inputs.items()),
        f"  expected {_codes(expected[name][sample])}",
        f"  actual   {_codes(actual[name][sample])}",
    ]
    if layout.has_channels:
        raise UserError("\n".join(lines))
    failing = {port: codes[sample : sample + 1] for port, codes in inputs.items()}
    layer = _first_wrong_layer(reference, failing, layout)
    lines.insert(1, f"  layer: {layer or 'none alone: see what joins them'}")
    raise UserError("\n".join(lines))


def _simulate(circuit: ModuleOp, layout: PortLayout, inputs: Codes) -> Codes:
    samples = len(next(iter(inputs.values())))
    return simulator_for(circuit, layout, samples).run(inputs)


def _first_wrong_layer(
    reference: ModuleOp, inputs: Codes, layout: PortLayout
) -> str | None:
    """
    The first op of the model whose circuit, with all before it, differs on `inputs`.

    The model is lowered anew, with the results of all its ops as outputs.
    """
    module = reference.clone()
    function = main_function(module)
    arguments = function.args
    returned = function.body.block.last_op
    assert isinstance(returned, ReturnOp)
    values = [
        op.results[0]
        for op in function.body.block.ops
        if op.results and not isinstance(op, ConstantOp) and _fits_ports(op.results[0])
    ]
    returned.operands = values
    function.update_function_type()
    function.res_attrs = None
    codes = from_ports(inputs, arguments, layout, "in")
    arrays = [from_codes(v, c) for v, c in zip(arguments, codes, strict=True)]
    expected = evaluate(module, arrays)
    circuit = module.clone()
    MaseBuildAdderGraphsPass().apply(Context(), circuit)
    ConvertMaseToHwPass(max_logic_depth=0).apply(Context(), circuit)
    probed = port_layout(circuit)
    actual = _simulate(circuit, probed, to_ports(arrays, arguments, probed, "in"))
    wrong = first_difference(to_ports(expected, values, probed, "out"), actual)
    if wrong is None:
        return None
    owners = [value.owner for value in values for _ in lanes_of(value)]
    ports = [port.name for port in probed.outputs]
    owner = owners[ports.index(wrong[0])]
    assert isinstance(owner, Operation)
    return describe_op(owner)


def _fits_ports(value: SSAValue) -> bool:
    return all(lane.codes.bits <= MAX_WIDTH for lane in lanes_of(value))


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
