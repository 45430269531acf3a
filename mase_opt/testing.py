"""
Checks of number formats, operations and models, for the tests of those who add some.

Each raises `AssertionError` with a message that says what differs, and where. Nothing
is approximate: what is compared are bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import Builtin, ModuleOp, TensorType
from xdsl.dialects.func import Func
from xdsl.ir import Attribute, Dialect, SSAValue, TypeAttribute
from xdsl.parser import Parser
from xdsl.printer import Printer

from mase_opt.dialects.mase import Mase
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.types import (
    FixedType,
    element_of,
    fixed_type,
    shape_of,
)
from mase_opt.lib.analysis.exact_range import narrowest, range_of_result
from mase_opt.lib.analysis.ranges import keeps_order
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES, WIRINGS
from mase_opt.lib.data.vectors import input_vectors
from mase_opt.lib.formats import (
    Element,
    Fixed,
    FormatError,
    FormatSpec,
    Overflow,
    Rounding,
    RoundingMode,
    Spec,
    Stochastic,
    parse_spec,
)
from mase_opt.lib.hardware.codec import has_codec
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.interpreters.kernels import decode
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.simulation.evaluator import Evaluator
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import StallPattern
from mase_opt.lib.simulation.verilator import VerilatorSimulator
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.transforms.mase_lower_to_lookup import MaseLowerToLookupPass
from mase_opt.model.verify import results_of, to_ports

Array = NDArray[Any]

ALL_CODES = 16
"""Of formats up to this width every code is looked at."""


# ---- levels -------------------------------------------------------------------------


def lower(
    module: ModuleOp, max_logic_depth: int, stall: bool = False
) -> tuple[ModuleOp, PortLayout]:
    """The circuit of a copy of `module`, verified, and its ports."""
    circuit = module.clone()
    ConvertMaseToHwPass(max_logic_depth, stall).apply(Context(), circuit)
    circuit.verify()
    return circuit, port_layout(circuit)


def assert_levels_agree(
    module: ModuleOp,
    *,
    max_logic_depth: int = 0,
    stall: bool = False,
    samples: int = 32,
    seed: int = 0,
    torch: bool = False,
    verilator: bool = False,
    inputs: Sequence[Array] | None = None,
    reference: ModuleOp | None = None,
) -> PortLayout:
    """
    Interpreter == circuit evaluated == simulated; if asked for == torch == Verilator.

    On `inputs`, as the interpreter takes them, `[samples, *shape]`; or on corners and
    `samples` random ones. The interpreter runs `reference`, if there is one. Gives the
    ports of the circuit. Raises `PassFailedException` for what has no circuit.
    """
    reference = reference or module
    function = main_function(reference)
    if inputs is None:
        inputs = input_vectors(function.args, samples, seed)
    outputs = evaluate(reference, inputs)
    if torch:
        assert_torch_agrees(reference, inputs, outputs)
    circuit, layout = lower(module, max_logic_depth, stall)
    expected = to_ports(outputs, results_of(function), layout, "out")
    ports = to_ports(inputs, function.args, layout, "in")
    pattern = StallPattern(seed) if stall else None
    for simulate in (Evaluator, Simulator):
        _compare(expected, simulate(circuit, layout).run(ports, pattern), layout)
    if verilator:
        with VerilatorSimulator(export_verilog(circuit), layout) as simulator:
            _compare(expected, simulator.run(ports, pattern), layout)
    return layout


def _compare(
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


def assert_torch_agrees(
    module: ModuleOp, inputs: Sequence[Array], outputs: Sequence[Array]
) -> None:
    """
    What torch makes of `inputs` are the numbers that `outputs` stand for.

    Both as the interpreter holds them, `[samples, *shape]`, shapes not empty.
    """
    import torch

    from mase_opt.frontend.to_torch import to_torch

    function = main_function(module)
    tensors = [
        torch.from_numpy(_batch(array, value))  # pyright: ignore[reportUnknownMemberType]
        for array, value in zip(inputs, function.args, strict=True)
    ]
    with torch.no_grad():
        result: Any = to_torch(module)(*tensors)
    results = [result] if isinstance(result, torch.Tensor) else list[Any](result)
    for index, (value, output) in enumerate(
        zip(results_of(function), outputs, strict=True)
    ):
        _same_numbers(
            f"result {index} in torch",
            _batch(output, value),
            results[index].double().numpy(),
        )


def _batch(array: Array, value: SSAValue) -> Array:
    """Samples `[N, B, …]` that the interpreter holds as numbers `[N · B, …]`."""
    numbers = decode(array, element_of(value)).astype(np.float64)
    return numbers.reshape(-1, *shape_of(value)[1:])


def _same_numbers(where: str, wanted: Array, got: Array) -> None:
    assert got.shape == wanted.shape, f"{where}: {got.shape}, not {wanted.shape}"
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    if not same.all():
        place = tuple(np.argwhere(~same)[0].tolist())
        raise AssertionError(
            f"{where}: {np.sum(~same)} of {same.size} numbers differ, first at "
            f"{list(place)}: expected {wanted[place]}, got {got[place]}"
        )


# ---- operations ---------------------------------------------------------------------


def check_op(
    make: Callable[..., MaseOp],
    *inputs: tuple[Attribute, Sequence[int]],
    samples: int = 64,
    seed: int = 0,
    verilator: bool = False,
) -> None:
    """
    Check the op that `make` gives for operands of element types and shapes `inputs`.

    Its text reads back; what it promises (sign, directions, exact result) holds; and
    the interpreter, torch, the circuit (of a table where the op is a function) and, if
    asked for, Verilator give the same bits, as far as the op has a kernel and a
    template. On corners and `samples` random inputs.
    """
    types = [TensorType(element, shape) for element, shape in inputs]
    function = func.FuncOp("top", (types, ()))
    op = make(*function.args)
    function.body.block.add_ops([op, func.ReturnOp(op)])
    function.update_function_type()
    module = ModuleOp([function])
    module.verify()
    _check_text(module, op)
    vectors = input_vectors(function.args, samples, seed)
    outputs = evaluate(module, vectors)
    _check_promises(module, op, vectors, outputs)
    from mase_opt.frontend.to_torch.kernels import TORCH_KERNELS

    if type(op) in TORCH_KERNELS:
        assert_torch_agrees(module, vectors, outputs)
    lowered = module.clone()
    MaseLowerToLookupPass().apply(Context(), lowered)
    if all(
        type(o) in TEMPLATES or type(o) in WIRINGS
        for o in main_function(lowered).body.block.ops
        if not isinstance(o, func.ReturnOp)
    ):
        assert_levels_agree(
            lowered,
            inputs=vectors,
            reference=module,
            verilator=verilator,
        )


def _check_text(module: ModuleOp, op: MaseOp) -> None:
    """The text of `module` reads as the same."""

    def text(module: ModuleOp, context: Context) -> str:
        stream = StringIO()
        printer = Printer(stream=stream)
        printer.print_op(module)
        printer.print_metadata(context.loaded_dialects)
        return stream.getvalue()

    elements = [element_of(v) for v in (*op.operands, op.result)]
    context = Context()
    for dialect in _dialects([type(op)], elements):
        context.load_dialect(dialect)
    printed = text(module, context)
    again = Parser(context, printed).parse_module()
    again.verify()
    assert text(again, context) == printed, (
        f"the text reads back as another:\n{printed}\n{text(again, context)}"
    )


def _dialects(
    ops: Sequence[type[MaseOp]], elements: Sequence[Attribute]
) -> Iterator[Dialect]:
    """Ours, and one for each prefix among the names of others."""
    yield from (Builtin, Func, Mase)
    known = {"builtin", "func", "mase"}
    types = {type(e) for e in elements if isinstance(e, TypeAttribute)}
    prefixes = {d.name.partition(".")[0] for d in (*ops, *types)} - known
    for prefix in sorted(prefixes):
        yield Dialect(
            prefix,
            [o for o in ops if o.name.startswith(f"{prefix}.")],
            [t for t in types if t.name.startswith(f"{prefix}.")],
        )


def _check_promises(
    module: ModuleOp, op: MaseOp, vectors: Sequence[Array], outputs: Sequence[Array]
) -> None:
    where = op.name
    (results,) = (decode(a, element_of(op.result)) for a in outputs)
    if op.never_negative(()):
        assert not (results < 0).any(), f"{where} is never negative, but was"
    if op.never_negative(op.operands):
        signs = np.stack([(v >= 0).reshape(len(v), -1).all(axis=1) for v in vectors])
        assert not (results[signs.all(axis=0)] < 0).any(), (
            f"{where} is not negative where no operand is, but was"
        )
    if op.directions and keeps_order(op):
        halves = [np.sort(np.stack([v, v[::-1]]), axis=0) for v in vectors]
        low, high = (
            decode(evaluate(module, ends)[0], element_of(op.result))
            for ends in (
                [
                    h[0 if d > 0 else 1]
                    for h, d in zip(halves, op.directions, strict=True)
                ],
                [
                    h[1 if d > 0 else 0]
                    for h, d in zip(halves, op.directions, strict=True)
                ],
            )
        )
        assert (low <= high).all(), f"{where} does not follow {op.directions}"
    exact = range_of_result(op)
    format = exact and narrowest(exact)
    if isinstance(op, ArithmeticOp) and format is not None and format.width <= 50:
        # A step finer and an octave more, for what should not be there.
        wide = FixedType(format.width + 3, format.frac + 1)
        narrow, more = (
            decode(evaluate(_retyped(module, type), vectors)[0], type)
            for type in (fixed_type(format), wide)
        )
        _same_numbers(f"{where} in {format}, said to be exact", more, narrow)


def _retyped(module: ModuleOp, element: Attribute) -> ModuleOp:
    """A copy of a function of one op, with results of `element`."""
    result = module.clone()
    function = main_function(result)
    op, returned = function.body.block.ops
    new = type(op).create(
        operands=op.operands,
        result_types=[TensorType(element, shape_of(op.results[0]))],
        properties=op.properties,
    )
    function.body.block.insert_op_before(new, op)
    returned.operands = new.results
    op.detach()
    op.erase()
    function.update_function_type()
    return result


# ---- formats ------------------------------------------------------------------------


def check_format(
    spec: str | Element, *, seed: int = 0, verilator: bool = False
) -> None:
    """
    Check a format of elements, given as itself or as the text that stands for it.

    Codes and values are one to one, but for several codes of one value; what the format
    says of its values is so; casts give values of the format, do not fall where numbers
    rise, leave values alone, in every mode the format has, and are the same in torch.
    Its text, and that of its type, read back. Where hardware has the format, casts into
    it and out of it are checked at every level, in Verilator if asked for.
    """
    format = _element(parse_spec(spec)) if isinstance(spec, str) else spec
    type = element_type(format)
    assert type.format == format, f"the type of {format} has the format {type.format}"
    read = _element(parse_spec(str(format)))
    assert read == format, f"'{format}' reads as '{read}'"
    values = _check_codes(format, seed)
    _check_statements(format, values)
    probes = _probes(format, values, seed)
    for rounding, overflow in product((*RoundingMode, Stochastic(seed)), Overflow):
        if _has(format, rounding, overflow):
            _check_cast(format, values, probes, rounding, overflow)
    source = FixedType(12, 6)
    options: dict[str, Any] = {"samples": 256, "seed": seed, "verilator": verilator}
    if has_codec(format) and not format.per_sample:
        check_op(_cast_to(type), (source, [2]), **options)
    if has_codec(format):
        check_op(_cast_to(source), (type, [2]), **options)


def _cast_to(element: Attribute) -> Callable[[SSAValue], CastOp]:
    return lambda x: CastOp(x, element=element)


def _element(spec: Spec) -> Element:
    match spec:
        case FormatSpec(width=int() as width, frac=int() as frac):
            return Fixed(width, frac, spec.signed is not False)
        case Element():
            return spec
        case _:
            raise AssertionError(f"{spec} is no format of elements, all of it known")


def _check_codes(format: Element, seed: int) -> Array:
    """Every code, or many, decoded and encoded; the finite values, ascending."""
    low, high = format.min_code, format.max_code
    assert high - low < 1 << format.bits, (
        f"{format}: more codes than {format.bits} bits"
    )
    if format.bits <= ALL_CODES:
        codes = np.arange(low, high + 1)
    else:
        rng = np.random.default_rng(seed)
        codes = np.unique([low, low + 1, 0, high, *rng.integers(low, high, 4096)])
    values = format.decode(codes)
    nan = np.isnan(values)
    assert format.has_nan or not nan.any(), f"{format} has no NaN, but a code of it"
    again = format.encode(values, overflow=_keeping(format))
    assert ((low <= again) & (again <= high)).all(), f"{format}: a code out of range"
    _same_numbers(f"{format}: values encoded and decoded", values, format.decode(again))
    return np.unique(values[np.isfinite(values)] + 0.0)


def _keeping(format: Element) -> Overflow:
    """The mode under which infinities stay, where there are some."""
    if _has(format, RoundingMode.NEAREST_EVEN, Overflow.INFINITY):
        return Overflow.INFINITY
    return Overflow.SATURATE


def _check_statements(format: Element, values: Array) -> None:
    """What the format says of its finite values, ascending, is so."""
    ends = float(values[0]), float(values[-1])
    said = format.min_value, format.max_value
    assert ends == said, f"{format} says {said} are its ends, codes say {ends}"
    assert format.has_zero == (0 in values), f"{format}: has_zero is {format.has_zero}"
    if format.bits <= ALL_CODES:
        step = float(np.diff(values).min())
        assert format.step == step, f"{format}: step is {format.step}, codes say {step}"
    if format.unit is not None:
        rest = np.fmod(values, format.unit)
        assert not rest.any(), (
            f"{format}: {values[rest != 0][0]} is no multiple of unit"
        )


def _has(format: Element, rounding: Rounding, overflow: Overflow) -> bool:
    """Whether the format has the modes: those that it lacks, it refuses for zero."""
    try:
        format.quantize(np.zeros(1), rounding, overflow)
    except FormatError:
        return False
    return True


def _probes(format: Element, values: Array, seed: int) -> Array:
    """Numbers at, between and beyond values of the format, and others; ascending."""
    some = values[:: max(len(values) // 2048, 1)]
    middles = (some[1:] + some[:-1]) / 2
    near = [np.nextafter(middles, to) for to in (-np.inf, np.inf)]
    reach = 2 * max(-format.min_value, format.max_value)
    random = np.random.default_rng(seed).uniform(-reach, reach, 1000)
    ends = [-reach, reach, -format.step / 4, format.step / 4]
    return np.unique(np.concatenate([some, middles, *near, random, ends]))


def _check_cast(
    format: Element,
    values: Array,
    probes: Array,
    rounding: Rounding,
    overflow: Overflow,
) -> None:
    where = f"{format}, {rounding}, {overflow}"
    if overflow is Overflow.ERROR:
        probes = probes[(probes >= values[0]) & (probes <= values[-1])]
    cast = format.cast(probes, rounding, overflow)
    finite = np.isfinite(cast)
    if format.bits <= ALL_CODES:
        strange = cast[finite & ~np.isin(cast, values)]
        assert not strange.size, f"{where}: {strange[0]} is no value of the format"
    if overflow is not Overflow.WRAP and not isinstance(rounding, Stochastic):
        falls = np.flatnonzero(cast[1:] < cast[:-1])
        assert not falls.size, (
            f"{where}: {probes[falls[0]]} becomes {cast[falls[0]]}, but "
            f"{probes[falls[0] + 1]} becomes {cast[falls[0] + 1]}"
        )
    kept = cast if not isinstance(rounding, Stochastic) else values
    kept = kept[np.isfinite(kept)]
    if not format.ignores_scale:
        _same_numbers(
            f"{where}: values cast", kept, format.cast(kept, rounding, overflow)
        )
    import torch

    from mase_opt.lib.formats.torch_cast import cast as torch_cast

    tensor = torch.from_numpy(probes)  # pyright: ignore[reportUnknownMemberType]
    got = torch_cast(tensor, format, rounding, overflow).numpy()
    _same_numbers(f"{where}: torch", cast, got)
