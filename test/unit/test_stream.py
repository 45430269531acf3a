"""Streamed layers: the same bits at every level, and the time that schedules say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from streams import assert_minimal, assert_streams, streamed
from xdsl.context import Context
from xdsl.utils.exceptions import PassFailedException

import mase_opt as mo
from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.formats import TernaryType
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.analysis.parallelism import PARALLELISM, Layers
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.model_function import model_function
from mase_opt.lib.simulation import verilator
from mase_opt.lib.transforms.mase_allocate_parallelism import (
    MaseAllocateParallelismPass,
)

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


@examples
@given(st.data())
def test_conv(data: st.DataObject) -> None:
    rank = data.draw(st.sampled_from([1, 2, 2]))
    groups = data.draw(st.sampled_from([1, 1, 2]))
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
    model = Model((X, [1, inputs, *size]))
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


@examples
@given(st.data())
def test_depthwise(data: st.DataObject) -> None:
    channels = data.draw(st.integers(2, 5))
    lanes = data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    model = Model((X, [1, channels, 5, 6]))
    with model as (x,):
        weight = constant(rng, (channels, 1, 3, 2))
        stride = data.draw(st.integers(1, 2))
        y = layers.Conv2dOp(
            x,
            weight,
            strides=[stride, 1],
            padding=[1, 0],
            groups=channels,
            layer="dw",
        )
    assert_streams(model.returns(y), {"dw": (lanes, lanes)})


@pytest.mark.parametrize("kind", ["max", "avg", "adaptive_max", "adaptive_avg"])
def test_pools(kind: str) -> None:
    model = Model((X, [1, 3, 6, 8]))
    with model as (x,):
        match kind:
            case "max":
                y = pooling.MaxPoolOp(x, [3, 3], strides=[2, 2], padding=[1, 1])
            case "avg":
                y = pooling.AvgPoolOp(
                    x, [2, 3], strides=[2, 2], element=FixedType(8, 4)
                )
            case "adaptive_max":
                y = pooling.AdaptiveMaxPoolOp(x, [3, 2])
            case _:
                y = pooling.AdaptiveAvgPoolOp(x, [1, 1], element=FixedType(8, 4))
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
    result = model.emit(folder, architecture="streamed", multipliers=8, verify=2)
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
    (memory,) = folder.glob("*fc_weight.hex")
    memory.unlink()
    with pytest.raises(UserError, match=r"fc_weight\.hex"):
        mo.load(folder).run(data, level="rtl")


def test_memories_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name a folder"):
        digits("mlp").emit(
            tmp_path / "a.sv", architecture="streamed", multipliers=8, verify=0
        )


def test_unknown_architecture() -> None:
    with pytest.raises(UserError, match=r"architecture is 'systolic', expected one of"):
        digits("mlp").emit(architecture="systolic")


# ---- budgets ------------------------------------------------------------------------


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
