"""Streamed layers: the same bits at every level, and the time that schedules say."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from streams import assert_minimal, assert_streams, circuit_of, streamed
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.utils.exceptions import PassFailedException

import mase_opt as mo
from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.formats import TernaryType
from mase_opt.dialects.mase.types import FixedPoint, FixedType, UFixedType
from mase_opt.dialects.stream import channel_of
from mase_opt.dialects.stream.ops import ProcessOp
from mase_opt.lib import native
from mase_opt.lib.analysis.buffers import Role, role_of
from mase_opt.lib.analysis.devices import dsp_blocks, half_blocks
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.analysis.parallelism import PARALLELISM, Layers
from mase_opt.lib.conversion.convert_stream_to_hw import ConvertStreamToHwPass
from mase_opt.lib.conversion.streamed.builder import parallelism
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.hardware.interface import Port, PortLayout
from mase_opt.lib.hardware.memory import memories_of
from mase_opt.lib.model_function import model_function
from mase_opt.lib.simulation import verilator
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import SimulationError, StallPattern
from mase_opt.lib.simulation.verilator import VerilatorSimulator
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.transforms.mase_allocate_parallelism import (
    MaseAllocateParallelismPass,
)
from mase_opt.model.emit import describe_interface
from mase_opt.model.verify import reference_vectors

examples = settings(
    # Shrinking compiles a circuit at every step and takes minutes.
    phases=[Phase.generate],
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

X, W = FixedType(6, 3), FixedType(5, 4)


def constant(rng: np.random.Generator, size: tuple[int, ...], element=W):
    """Random codes, the ends among them."""
    codes = element.format
    drawn = rng.integers(codes.min_code, codes.max_code, size, endpoint=True)
    drawn.flat[0] = codes.min_code
    return shape.ConstantOp.of(drawn, element)


# ---- whole models -------------------------------------------------------------------


def digits(which: str):
    folder = "examples/digits"
    model = mo.load(f"{folder}/{which}.mlir").calibrate(
        f"{folder}/{which}_calibration.npz"
    )
    return model.quantize(width=6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "folding"),
    [
        ("mlp", {"fc1": (7, 5), "fc2": (3, 7)}),
        ("cnn", {"conv": (4, 1), "fc": (3, 4)}),
    ],
)
def test_digits(which: str, folding: dict[str, tuple[int, int]]) -> None:
    module = digits(which)._explicit
    has_verilator = which == "cnn" and verilator.available() is None
    network = assert_streams(module, folding, verilator=has_verilator)
    assert_minimal(network_of(network_function(network)).network)


# ---- layers -------------------------------------------------------------------------


@examples
@given(st.data())
def test_linear(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 3))
    inputs, outputs = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 7)))
    folding = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 10)))
    rounding = RoundingAttr(
        (data.draw(st.sampled_from(RoundingMode)), Overflow.SATURATE)
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weight = data.draw(st.sampled_from([W, UFixedType(4, 1)]))
    model = Model((X, [rows, inputs]))
    with model as (x,):
        bias = constant(rng, (outputs,), FixedType(9, 6))
        y = layers.LinearOp(
            x,
            constant(rng, (outputs, inputs), weight),
            bias if data.draw(st.booleans()) else None,
            layer="fc",
            rounding=rounding,
        )
    depth = data.draw(st.integers(0, 6))
    network = assert_streams(model.returns(y), {"fc": folding}, depth=depth)
    assert_minimal(network_of(network_function(network)).network)


def graphs(network: ModuleOp) -> set[str]:
    """The layers that have become adder graphs."""
    return {
        op.layer.data
        for op in network.walk()
        if isinstance(op, ProcessOp)
        and op.layer is not None
        and any(isinstance(inner, AdderGraphOp) for inner in op.body.block.ops)
    }


@pytest.mark.parametrize("depth", [0, 2, 6])
@pytest.mark.parametrize("weight", [W, UFixedType(4, 1)])
def test_unrolled(weight: FixedPoint, depth: int) -> None:
    """Weights that no iteration changes become adders, beside layers that fold."""
    rng = np.random.default_rng(depth)
    model = Model((X, [1, 3, 3, 2]))
    with model as (x,):
        bias = constant(rng, (5,), FixedType(9, 6))
        conv = layers.Conv2dOp(x, constant(rng, (4, 3, 2, 1)), layer="conv", element=X)
        point = layers.Conv2dOp(
            conv, constant(rng, (5, 4, 1, 1), weight), bias, layer="point", element=X
        )
        rows = shape.ReshapeOp(shape.TransposeOp(point, [0, 2, 3, 1]), (4, 5))
        y = layers.LinearOp(rows, constant(rng, (3, 5), weight), layer="fc")
    whole = {"conv": (4, 3), "point": (5, 4), "fc": (3, 5)}
    module = model.returns(y)
    network = assert_streams(module, whole, depth=depth)
    assert graphs(network) == ({"point", "fc"} if native.AVAILABLE else set())
    assert_minimal(network_of(network_function(network)).network)
    part = assert_streams(module, whole | {"fc": (3, 4)}, depth=depth)
    assert graphs(part) == ({"point"} if native.AVAILABLE else set())


def test_unrolled_by_limits() -> None:
    """Where multiplier blocks are short, while there are tables."""
    rng = np.random.default_rng(0)
    eight = FixedType(8, 4)
    model = Model((eight, [4, 8]))
    with model as (x,):
        y = layers.LinearOp(
            x, constant(rng, (4, 8), eight), layer="small", element=eight
        )
        y = layers.LinearOp(y, constant(rng, (16, 4), eight), layer="large")
    module = model.returns(y)

    def chosen(**limits: int) -> dict[str, tuple[int, int] | None]:
        copy = module.clone()
        MaseAllocateParallelismPass(interval=16, **limits).apply(Context(), copy)
        return {
            op.layer.data: parallelism(op)
            for op in copy.walk()
            if isinstance(op, layers.LinearOp) and op.layer
        }

    folded = chosen()
    assert folded == {"small": (4, 2), "large": (16, 1)}
    assert chosen(dsp=24) == folded
    assert chosen(dsp=16) == folded | {"large": (16, 4)}
    assert chosen(dsp=0) == {"small": (4, 8), "large": (16, 4)}
    with pytest.raises(PassFailedException, match=r"it takes \d+ lut of 900; the best"):
        chosen(dsp=16, lut=900)


@pytest.mark.parametrize(("lanes", "rows"), [(3, 0), (8, 0), (9, 1), (19, 2)])
def test_lanes(lanes: int, rows: int) -> None:
    """Outputs that are worked on together are instances of one module."""
    rng = np.random.default_rng(lanes)
    model = Model((X, [1, 6]))
    with model as (x,):
        weight = constant(rng, (2 * lanes - 1, 6))
        bias = constant(rng, (2 * lanes - 1,), FixedType(9, 6))
        y = elementwise.ReluOp(layers.LinearOp(x, weight, bias, layer="fc"))
    network = assert_streams(model.returns(y), {"fc": (lanes, 2)}, depth=1)
    text = export_verilog(circuit_of(network))
    assert text.count("\nmodule top_fc_lane(") == 1
    assert text.count("  top_fc_row row") == rows
    alone = lanes - 8 * rows if rows else lanes
    assert text.count("  top_fc_lane lane") == alone + 8 * (rows > 0)


# Choices of few are parameters: six examples need not have all of them.
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("rank", [1, 2])
@settings(examples, max_examples=3)
@given(data=st.data())
def test_conv(rank: int, groups: int, data: st.DataObject) -> None:
    inputs, outputs = (groups * data.draw(st.integers(1, 3)) for _ in range(2))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(rank)]
    dilation = [data.draw(st.integers(1, 2)) for _ in range(rank)]
    padding = [data.draw(st.integers(0, 1)) for _ in range(rank)]
    strides = [data.draw(st.integers(1, 3)) for _ in range(rank)]
    size = [data.draw(st.integers(5, 7)) for _ in range(rank)]
    folding = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    if groups > 1:
        folding = (1, 1)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    model = Model((X, [data.draw(st.integers(1, 2)), inputs, *size]))
    kind = layers.Conv1dOp if rank == 1 else layers.Conv2dOp
    with model as (x,):
        weight = constant(rng, (outputs, inputs // groups, *kernel))
        bias = constant(rng, (outputs,), FixedType(9, 6))
        y = kind(
            x,
            weight,
            bias,
            strides=strides,
            padding=padding,
            dilation=dilation,
            groups=groups,
            layer="conv",
        )
    network = assert_streams(model.returns(y), {"conv": folding})
    assert_minimal(network_of(network_function(network)).network)


@pytest.mark.parametrize("rank", [1, 2])
@settings(examples, max_examples=3)
@given(data=st.data())
def test_depthwise(rank: int, data: st.DataObject) -> None:
    channels = data.draw(st.integers(2, 5))
    lanes = data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    model = Model((X, [1, channels, 5, 6][: 2 + rank]))
    kind = layers.Conv1dOp if rank == 1 else layers.Conv2dOp
    with model as (x,):
        weight = constant(rng, (channels, 1, 3, 2)[: 2 + rank])
        stride = data.draw(st.integers(1, 2))
        y = kind(
            x,
            weight,
            strides=[stride, 1][:rank],
            padding=[1, 0][:rank],
            groups=channels,
            layer="dw",
        )
    assert_streams(model.returns(y), {"dw": (lanes, lanes)})


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("kind", ["max", "avg", "adaptive_max", "adaptive_avg"])
def test_pools(kind: str, rank: int) -> None:
    model = Model((X, [2, 3, 6, 8][: 2 + rank]))

    def of(*sizes: int) -> list[int]:
        return list(sizes[:rank])

    with model as (x,):
        match kind:
            case "max":
                y = pooling.MaxPoolOp(x, of(3, 3), strides=of(2, 2), padding=of(1, 1))
            case "avg":
                y = pooling.AvgPoolOp(
                    x, of(2, 3), strides=of(2, 2), element=FixedType(8, 4)
                )
            case "adaptive_max":
                y = pooling.AdaptiveMaxPoolOp(x, of(3, 2))
            case _:
                y = pooling.AdaptiveAvgPoolOp(x, of(1, 1), element=FixedType(8, 4))
    network = assert_streams(model.returns(y))
    assert_minimal(network_of(network_function(network)).network)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("kind", ["mean", "sum", "max", "min"])
def test_reductions(kind: str, keepdims: bool) -> None:
    model = Model((X, [2, 3, 5, 2]))
    with model as (x,):
        element = None if kind in ("max", "min") else FixedType(8, 3)
        y = pooling.ReduceOp(x, kind, [2, 3], keepdims=keepdims, element=element)
    network = assert_streams(model.returns(y))
    assert_minimal(network_of(network_function(network)).network)


def test_functions_of_elements() -> None:
    rng = np.random.default_rng(0)
    model = Model((X, [2, 5]), (FixedType(5, 2), [2, 5]))
    with model as (x, y):
        a = elementwise.AddOp(x, constant(rng, (5,)), element=FixedType(7, 3))
        m = elementwise.MulOp(a, y, element=FixedType(6, 2))
        d = elementwise.DivOp(m, shape.ConstantOp.of(np.array(3), FixedType(3, 0)))
        r = elementwise.LeakyReluOp(d, 0.25)
        t = layers.LookupOp(r, constant(rng, (64,), UFixedType(5, 2)))
        z = elementwise.MaximumOp(t, elementwise.AbsOp(m, element=UFixedType(6, 3)))
    assert_streams(model.returns(z))


def test_residual() -> None:
    """A layer around which its input goes: what waits there is counted."""
    rng = np.random.default_rng(1)
    model = Model((X, [1, 4, 5, 5]))
    with model as (x,):
        weight = constant(rng, (4, 4, 3, 3))
        y = layers.Conv2dOp(x, weight, padding=[1, 1], layer="conv")
        z = elementwise.AddOp(y, x, element=FixedType(7, 3))
        w = elementwise.ReluOp(z)
    module = model.returns(w, z)
    network = assert_streams(module, {"conv": (4, 2)})
    timing = network_of(network_function(network)).network
    assert_minimal(timing)
    # The first window waits for more than a row of x, of five beats.
    (add,) = (b for b in timing.buffers if len(b) == 2)
    assert add[1].capacity == 6


def test_weights_of_other_formats() -> None:
    model = Model((X, [1, 6]))
    codes = np.array([[1, 0, -1, 1, 1, 0], [-1, -1, 0, 1, 0, 1], [1, 1, 1, 0, 0, 0]])
    with model as (x,):
        weight = shape.ConstantOp.of(codes.astype(float), TernaryType(Ternary()))
        y = layers.LinearOp(x, weight, layer="fc", element=FixedType(9, 3))
    assert_streams(model.returns(y), {"fc": (2, 4)})


@pytest.mark.parametrize(("first", "second"), [(6, 4), (2, 5), (7, 7), (3, 1)])
def test_other_widths_of_beats(first: int, second: int) -> None:
    """Beats are cut and joined between layers that do not suit each other."""
    rng = np.random.default_rng(2)
    model = Model((X, [1, 7]))
    with model as (x,):
        y = layers.LinearOp(x, constant(rng, (7, 7)), layer="a")
        z = layers.LinearOp(y, constant(rng, (3, 7)), layer="b")
    assert_streams(model.returns(z), {"a": (first, 7), "b": (3, second)})


@pytest.mark.parametrize("predicate", elementwise.PREDICATES)
def test_masks_that_are_computed(predicate: str) -> None:
    """Comparisons, logic and what they choose."""
    rng = np.random.default_rng(3)
    model = Model((X, [2, 5]), (FixedType(5, 1), [5]))
    with model as (x, y):
        one = elementwise.CompareOp(x, y, predicate)
        other = elementwise.CompareOp(x, constant(rng, (2, 1)), "ge")
        ones = shape.ConstantOp.of(np.array(True), i1)
        mask = elementwise.OrOp(
            elementwise.AndOp(one, elementwise.XorOp(other, ones)), other
        )
        slope = elementwise.MulOp(x, constant(rng, (5,)), element=X)
        z = elementwise.SelectOp(mask, x, slope)
    network = assert_streams(model.returns(z, mask))
    assert_minimal(network_of(network_function(network)).network)


@pytest.mark.parametrize("size", [(3, 4), (4,), (3, 1), ()])
def test_divisors_of_several_values(size: tuple[int, ...]) -> None:
    """Each of them has a circuit, and is chosen by place."""
    numbers = np.resize(np.array([3, 1, 5, -2, -1, 5, 1]), size)
    model = Model((X, [2, 3, 4]))
    with model as (x,):
        divisor = shape.ConstantOp.of(numbers, FixedType(4, 1))
        y = elementwise.DivOp(x, divisor, element=FixedType(8, 4))
    assert_streams(model.returns(y))


def test_inputs_that_are_read_in_another_order() -> None:
    """Ports follow the function, whatever is read first."""
    model = Model((X, [1, 3]), (FixedType(4, 1), [1, 2]), (FixedType(5, 0), [1]))
    with model as (x, y, z):
        first = elementwise.NegOp(z)
        second = elementwise.AbsOp(y)
        third = elementwise.ReluOp(x)
    network = assert_streams(model.returns(first, second, third, y))
    arguments = network_function(network).body.block.args
    assert [channel_of(a).element for a in arguments] == [
        X,
        FixedType(4, 1),
        FixedType(5, 0),
    ]


def test_scalars() -> None:
    """Tensors without dimensions go through in one beat, on all kinds of ways."""
    model = Model((X, []), (X, [1, 3]), (UFixedType(2, 0), []))
    with model as (x, y, i):
        total = pooling.ReduceOp(y, "sum", [0, 1], element=FixedType(8, 3))
        best = pooling.ReduceOp(y, "max", [0, 1])
        place = pooling.ArgmaxOp(shape.ReshapeOp(y, [3]), 0, element=UFixedType(2, 0))
        row = layers.EmbeddingOp(constant(np.random.default_rng(0), (4, 3)), i)
        spread = elementwise.AddOp(y, x)
        z = elementwise.AddOp(elementwise.AddOp(total, best), x)
        one = shape.ConstantOp.of(np.array(3), X)
        w = elementwise.MulOp(elementwise.AbsOp(x), one)
    network = assert_streams(model.returns(z, place, row, spread, w, x))
    assert_minimal(network_of(network_function(network)).network)


# ---- what cannot be -----------------------------------------------------------------


def test_everything_without_a_process_is_named() -> None:
    model = Model((X, [1, 4]))
    with model as (x,):
        a = normalization.SoftmaxOp(x, 1, element=X, layer="act")
        b = elementwise.TanhOp(a, layer="last")
    with pytest.raises(
        PassFailedException,
        match=r"softmax act: .*decompose-normalizations.*\n.*tanh last: no process",
    ):
        streamed(model.returns(b))


def test_an_input_that_only_dead_ops_read() -> None:
    model = Model((X, [1, 4]), (X, [1, 4]))
    with model as (x, y):
        elementwise.NegOp(y)
        z = elementwise.ReluOp(x)
    with pytest.raises(PassFailedException, match="argument 1 is not used: leave"):
        streamed(model.returns(z))


def test_windows_of_nothing_but_padding() -> None:
    """The circuit would have no reason to wait for any input."""
    model = Model((X, [1, 1, 1]))
    with model as (x,):
        weight = shape.ConstantOp.of(np.array([[[3]]]), W)
        y = layers.Conv1dOp(x, weight, strides=[2], padding=[1], layer="far")
    with pytest.raises(
        PassFailedException, match=r"conv1d far: nothing of its operand 0 is read"
    ):
        streamed(model.returns(y))


def test_computed_weights() -> None:
    model = Model((X, [1, 4]), (X, [2, 4]))
    with model as (x, w):
        y = layers.LinearOp(x, w, layer="fc")
    with pytest.raises(
        PassFailedException, match=r"mase.linear fc: the weight is comp"
    ):
        streamed(model.returns(y))


def test_too_wide_a_sum() -> None:
    wide = FixedType(33, 0)
    model = Model((wide, [1, 4]))
    with model as (x,):
        weight = shape.ConstantOp.of(np.full((2, 4), (1 << 32) - 1), wide)
        y = layers.LinearOp(x, weight, layer="fc")
    with pytest.raises(PassFailedException, match=r"at most 64 bits"):
        streamed(model.returns(y))


def test_weights_that_can_be_trained_get_multipliers() -> None:
    """Casts of numbers are constant like the codes that they become."""
    folder = "examples/digits"
    model = mo.load(f"{folder}/mlp.mlir").calibrate(f"{folder}/mlp_calibration.npz")
    found = [
        [
            str(op.attributes[PARALLELISM])
            for op in model.quantize(width=6, masters=masters)
            .apply("allocate-parallelism", multipliers=40)
            .function.walk()
            if PARALLELISM in op.attributes
        ]
        for masters in (False, True)
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_bad_parallelism() -> None:
    rng = np.random.default_rng(0)
    model = Model((X, [1, 4]))
    with model as (x,):
        y = layers.LinearOp(x, constant(rng, (2, 4)), layer="fc")
    with pytest.raises(PassFailedException, match=r"expected array<i64: outputs, inp"):
        streamed(model.returns(y), {"fc": (0, 1)})


# ---- the whole way ------------------------------------------------------------------


def test_folder(tmp_path: Path) -> None:
    """A folder runs as it was written, and says what is missing in it."""
    model = digits("cnn")
    folder = tmp_path / "cnn"
    result = model.emit(
        folder, architecture="streamed", multipliers=8, verify=2, clock=200e6
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["initiation_interval"] == result.initiation_interval == 576
    ports = {port["name"]: port for port in manifest["interface"]["ports"]}
    assert ports["x"]["tile"] == [1, 1, 1, 1]
    assert ports["x"]["order"] == [0, 2, 3, 1]
    data = np.load("examples/digits/cnn_test.npz")["x"][:4]
    again = mo.load(folder)
    assert (
        model.run(data, codes=True) == again.run(data, level="rtl", codes=True)
    ).all()
    assert manifest["numbers"] == {
        "x": {"scale": 0.03125, "zero_point": 0, "fraction": 5},
        "out0": {"scale": 0.5, "zero_point": 0, "fraction": 1},
    }
    report = json.loads((folder / "report.json").read_text())["streams"]
    assert report["bottleneck"] == "conv"
    assert [p["busy"] for p in report["processes"]][:2] == [1.0, 64 / 576]
    roles = {b["process"]: b["role"] for b in report["buffers"]}
    assert roles == {
        "conv": "line buffer",
        "relu": "fifo",
        "pool": "line buffer",
        "beats": "fifo",
        "fc": "vector kept",
        "out0": "fifo",
    }
    picture = (folder / "network.svg").read_text()
    assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert ">576 cycles, 100% busy<" in picture
    # Of 10 results, 2 are worked on at a time, with 6 bits each.
    assert ">5 x 12 bit, room for 1<" in picture
    text = repr(result)
    assert "bottleneck: conv, busy in 100% of the cycles" in text
    # 576 cycles of 5 ns.
    assert "at 200 MHz: 347222 samples/s" in text
    assert max(map(len, text.splitlines()[:-1])) <= 80
    (memory,) = folder.glob("*fc_weight.hex")
    content = memory.read_text()
    memory.write_text(content[::-1].lstrip("\n") + "\n")
    with pytest.raises(UserError, match=r"fc_weight\.hex' is damaged: it is not what"):
        mo.load(folder).run(data, level="rtl")
    memory.unlink()
    with pytest.raises(UserError, match=r"cannot read .*fc_weight\.hex': No such file"):
        mo.load(folder).run(data, level="rtl")


def test_numbers_of_codes() -> None:
    formats = [
        "!mase.scaled<!mase.fixed<4, 1>, 0.25>",
        "!mase.minifloat<4, 3, fn>",
        "i8",
    ]
    ports = [Port(f"p{i}", "in", 1, 8, format=f) for i, f in enumerate(formats)]
    numbers = describe_interface(PortLayout("top", tuple(ports)))["numbers"]
    assert numbers == {
        "p0": {"scale": 0.125, "zero_point": 0, "fraction": None},
        "p1": {"scale": None, "zero_point": None, "fraction": None},
        "p2": {"scale": 1.0, "zero_point": 0, "fraction": 0},
    }


AXIS = """
builtin.module {
  hw.module @top(in %aclk: !seq.clock, in %aresetn: i1, in %s_axis_x_tvalid: i1,
      in %s_axis_x_tlast: i1, in %m_axis_y_tready: i1, in %s_axis_x_tdata: i8,
      out m_axis_y_tvalid: i1, out m_axis_y_tlast: i1, out s_axis_x_tready: i1,
      out m_axis_y_tdata: i8) {
    %never = hw.constant false
    hw.output %s_axis_x_tvalid, %LAST, %m_axis_y_tready, %s_axis_x_tdata
      : i1, i1, i1, i8
  }
}
"""


def test_last_beats_are_checked() -> None:
    """A simulation finds a TLAST that is not where a sample ends."""
    shaped: Any = {"width": 6, "shape": (1, 4), "tile": (1, 1), "order": (0, 1)}
    ports = Port("x", "in", 1, **shaped), Port("y", "out", 1, **shaped)
    layout = PortLayout(
        "top", ports, 1, 4, has_clock=True, has_channels=True, is_axis=True
    )
    text = AXIS.replace("%LAST", "%never")
    with pytest.raises(SimulationError, match="stands still or loses data"):
        Simulator(text, layout).run({"x": np.array([[1, 2, 3, 4]])})
    # Of samples with a beat each, it is always there.
    alone = [replace(port, shape=(1, 1)) for port in ports]
    text = AXIS.replace("%LAST", "%s_axis_x_tlast")
    simulator = Simulator(text, replace(layout, ports=tuple(alone)))
    codes = simulator.run({"x": np.array([[1], [-2]])}, StallPattern(0))
    assert codes["y"].tolist() == [[1], [-2]]


@pytest.mark.parametrize(
    "kind", ["arc", pytest.param("verilator", marks=pytest.mark.slow)]
)
def test_axis(kind: str) -> None:
    """AXI4-Streams: TDATA in bytes, with stalls at both ends."""
    rng = np.random.default_rng(0)
    model = Model((X, [1, 5]), (X, [1, 5]))
    with model as (x, y):
        y = elementwise.AddOp(x, y)
        y = layers.LinearOp(y, constant(rng, (7, 5)), layer="fc")
    module = model.returns(y)
    network = streamed(module, {"fc": (3, 2)})
    ConvertStreamToHwPass(interface="axis").apply(Context(), network)
    layout = port_layout(network)
    assert layout.control_inputs[:3] == ("aclk", "aresetn", "s_axis_in0_tvalid")
    inputs, outputs = reference_vectors(module, layout, 4)
    simulator: Any = Simulator(network, layout)
    if kind == "verilator":
        if (missing := verilator.available()) is not None:
            pytest.skip(missing)
        text, memories = export_verilog(network), memories_of(network)
        simulator = VerilatorSimulator(text, layout, memories=memories)
    for stall in (None, StallPattern(0), StallPattern(1, 0.9, 0.2)):
        found = simulator.run(inputs, stall)
        for name, codes in outputs.items():
            assert (codes == found[name]).all()


def test_unknown_interface() -> None:
    with pytest.raises(ValueError, match="interface is 'avalon', expected one"):
        ConvertStreamToHwPass(interface="avalon")


def test_roles_of_buffers() -> None:
    """A skip connection waits for what goes through the layer beside it."""
    rng = np.random.default_rng(0)
    model = Model((X, [1, 3, 6, 6]))
    with model as (x,):
        weight = constant(rng, (3, 3, 3, 3))
        y = layers.Conv2dOp(x, weight, padding=[1, 1], layer="conv")
        y = elementwise.AddOp(y, x)
    network = streamed(model.returns(y), {"conv": (3, 1)})
    found = {
        op.layer.data if op.layer else "add": [
            role_of(op, i) for i in range(len(op.inputs))
        ]
        for op in network.walk()
        if isinstance(op, ProcessOp) and len(op.inputs) + (op.layer is not None) > 1
    }
    assert found == {"conv": [Role.LINES], "add": [Role.SKIP, Role.SKIP]}


def test_rate_in_samples_a_second(tmp_path: Path) -> None:
    """Of `clock`, which the report uses too."""
    given: dict[str, Any] = {"architecture": "streamed", "verify": 0}
    result = digits("mlp").emit(tmp_path / "rate", clock=200e6, rate=1e6, **given)
    same = digits("mlp").emit(tmp_path / "interval", interval=200, **given)
    assert result.initiation_interval == same.initiation_interval <= 200
    assert result.verilog == same.verilog


@pytest.mark.parametrize("clock", [0, -1.0, float("inf"), float("nan")])
def test_no_clock(clock: float) -> None:
    with pytest.raises(UserError, match=r"clock is .*, expected hertz, as 200e6"):
        digits("mlp").emit(architecture="streamed", clock=clock)


def test_memories_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name a folder"):
        digits("mlp").emit(
            tmp_path / "a.sv", architecture="streamed", multipliers=8, verify=0
        )


def test_unknown_architecture() -> None:
    with pytest.raises(UserError, match=r"architecture is 'systolic', expected one of"):
        digits("mlp").emit(architecture="systolic")


# ---- budgets ------------------------------------------------------------------------


def test_blocks_of_devices() -> None:
    # Up to 64 words are tables; then 512 x 36, 1024 x 18, … bits are a block.
    sizes = [(64, 512), (65, 36), (65, 37), (1024, 18), (4096, 64), (16384, 1)]
    assert [half_blocks(*size) for size in sizes] == [0, 1, 2, 1, 16, 1]
    widths = [(1, 20), (4, 4), (4, 5), (8, 8), (27, 18), (27, 19), (54, 18)]
    assert [dsp_blocks(*pair) for pair in widths] == [0, 0, 1, 1, 1, 2, 2]
    assert [dsp_blocks(*reversed(pair)) for pair in widths] == [0, 0, 1, 1, 1, 2, 2]


def test_limits_of_a_device() -> None:
    """The fastest choice that a device has room for, by all of its resources."""
    model = Model((FixedType(8, 4), [1, 16, 8, 8]))
    with model as (x,):
        weight = constant(np.random.default_rng(0), (32, 16, 3, 3), FixedType(8, 4))
        y = layers.Conv2dOp(x, weight, layer="conv")
    module = model.returns(y)
    # 36 positions of 9 places and 16 channels, of which 32 outputs are made.
    for limits, expected in (
        ({"dsp": 8}, 20736),
        ({"dsp": 100}, 36 * 9 * 6),
        # Weights of 64 words at most are no block memories: 72 multipliers at least.
        ({"dsp": 100, "bram": 0}, 36 * 9 * 6),
        ({"device": "xc7a35t", "dsp": 100}, 36 * 9 * 6),
    ):
        chosen = module.clone()
        MaseAllocateParallelismPass(**limits).apply(Context(), chosen)
        found = Layers(model_function(chosen))
        ((op, work),) = found.works.items()
        assert work.cycles(ints(op.attributes[PARALLELISM])) == expected, limits


def test_budgets_are_used() -> None:
    """At any number of multipliers, most of them work (MACs over cycles)."""
    model = Model((X, [1, 3, 16, 16]))
    with model as (x,):
        channels = 3
        for i, (outputs, stride) in enumerate([(64, 1), (64, 1), (128, 2), (128, 1)]):
            weight = constant(np.random.default_rng(i), (outputs, channels, 3, 3))
            x = layers.Conv2dOp(
                x, weight, strides=[stride] * 2, padding=[1, 1], layer=f"conv{i}"
            ).result
            channels = outputs
    found = Layers(model_function(model.returns(x)))
    products = sum(work.products for work in found.works.values())
    for budget in (150, 256, 401, 1024):
        module = found.function.parent_op().clone()
        MaseAllocateParallelismPass(multipliers=budget).apply(Context(), module)
        chosen = Layers(model_function(module))
        choices = {op: ints(op.attributes[PARALLELISM]) for op in chosen.works}
        assert chosen.total(choices) <= budget
        cycles = max(chosen.works[op].cycles(c) for op, c in choices.items())
        assert products / (budget * cycles) > 0.88
