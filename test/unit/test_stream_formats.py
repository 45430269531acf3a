"""Streamed layers over formats other than fixed point: scales, and elements."""

from __future__ import annotations

import numpy as np
import pytest
from levels import Model
from streams import assert_minimal, assert_streams
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation

from mase_opt.dialects.mase import layers, shape
from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.formats import (
    BinaryType,
    MiniFloatType,
    ScaledType,
    TernaryType,
)
from mase_opt.dialects.mase.types import ElementType, FixedType
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.formats import Fixed, MiniFloat
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.minifloat import Kind
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import Ternary

X, Y = FixedType(6, 3), FixedType(14, 5)
FOLDINGS = [(9, 9), (2, 1), (3, 2)]


def scaled(
    element: Element, scales: list[float], zero_point: int = 0, axis: int = 0
) -> ScaledType:
    return ScaledType(Scaled(element, scales, ScaleLayout(axis), zero_point=zero_point))


def drawn(element: ElementType, size: tuple[int, ...], seed: int) -> shape.ConstantOp:
    """Random codes, the ends among them."""
    codes, rng = element.codes, np.random.default_rng(seed)
    found = rng.integers(codes.min_code, codes.max_code, size, endpoint=True)
    found.flat[0], found.flat[-1] = codes.min_code, codes.max_code
    if isinstance(element.format, Fixed):
        return shape.ConstantOp.of(found, element)
    stored = found.astype(np.int8 if codes.min_code < 0 else np.uint8)
    data = DenseAttr.from_array(stored, f"data{seed}")
    return shape.ConstantOp(data, TensorType(element, size))


def check(model: Model, op: Operation, folding: tuple[int, int]) -> None:
    network = assert_streams(model.returns(op), {"fc": folding})
    assert_minimal(network_of(network_function(network)).network)


POWERS = [0.25, 0.5, 2.0, 0.125, 1.0, 0.5]
SCALES = {
    "powers": scaled(Fixed(5, 2), POWERS),
    "zero point": scaled(Fixed(5, 0, signed=False), POWERS, 9),
    "any": scaled(Fixed(4, 1), [0.3, 1.7, 0.01, 1.0, 0.6, 2.5]),
    "ternary": scaled(Ternary(1.0), [0.3, 1.5, 0.7, 2.0, 0.25, 1.0]),
    "binary": scaled(Binary(), POWERS),
}


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("folding", FOLDINGS)
def test_scale_of_each_output(name: str, folding: tuple[int, int]) -> None:
    if name == "binary" and folding[1] == 2:
        folding = folding[0], 1  # No zero fills a beat up.
    model = Model((X, [2, 5]))
    with model as (x,):
        weight, bias = drawn(SCALES[name], (6, 5), 1), drawn(FixedType(9, 6), (6,), 2)
        op = layers.LinearOp(x, weight, bias, element=Y, layer="fc")
    check(model, op, folding)


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("kind", ["conv1d", "conv2d", "groups", "depthwise"])
@pytest.mark.parametrize("folding", [(2, 1), (3, 3)])
def test_convolution(name: str, kind: str, folding: tuple[int, int]) -> None:
    groups = {"groups": 2, "depthwise": 6}.get(kind, 1)
    inputs = 6 // groups if groups > 1 else 3
    space = 1 if kind == "conv1d" else 2
    if groups == 2:
        folding = 3, folding[1]
    model = Model((X, [1, inputs * groups, *[4] * space]))
    with model as (x,):
        weight = drawn(SCALES[name], (6, inputs, *[3] * space), 3)
        bias = drawn(FixedType(9, 6), (6,), 4)
        made = layers.Conv1dOp if space == 1 else layers.Conv2dOp
        op = made(
            x,
            weight,
            bias,
            element=Y,
            layer="fc",
            groups=groups,
            padding=[1] * space,
            strides=[1] * space,
            dilation=[1] * space,
        )
    check(model, op, folding)


@pytest.mark.parametrize("axis", [0, 1])
def test_transposed_convolution(axis: int) -> None:
    """Scales of its inputs are part of the codes, those of its outputs are not."""
    model = Model((X, [1, 4, 3, 3]))
    with model as (x,):
        weight = drawn(
            scaled(
                Fixed(5, 2), [0.25, 2.0, 1.0, 0.5][: 4 if axis == 0 else 3], 0, axis
            ),
            (4, 3, 2, 2),
            5,
        )
        op = layers.ConvTranspose2dOp(
            x, weight, element=Y, layer="fc", strides=[2, 2], groups=1
        )
    check(model, op, (2, 2))


@pytest.mark.parametrize("folding", FOLDINGS)
def test_scale_of_groups(folding: tuple[int, int]) -> None:
    scales = np.array([[0.25, 1.0], [0.5, 0.3], [2.0, 0.125]])
    element = ScaledType(Scaled(Fixed(4, 0), scales, ScaleLayout(1, 3)))
    model = Model((X, [1, 5]))
    with model as (x,):
        op = layers.LinearOp(x, drawn(element, (3, 5), 6), element=Y, layer="fc")
    check(model, op, folding)


def test_scaled_data() -> None:
    """What lies around an image is zero, which is not code 0 with a zero point."""
    data = ScaledType(Scaled(Fixed(5, 0, signed=False), 0.25, zero_point=9))
    model = Model((data, [1, 2, 4, 4]))
    with model as (x,):
        weight = drawn(FixedType(4, 2), (3, 2, 3, 3), 7)
        op = layers.Conv2dOp(x, weight, padding=[1, 1], element=Y, layer="fc")
    check(model, op, (2, 1))


ELEMENTS = {
    "binary": BinaryType(Binary()),
    "ternary": TernaryType(Ternary(1.0)),
    "minifloat": MiniFloatType(MiniFloat(3, 2, Kind.FINITE)),
}


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize("folding", [(9, 9), (2, 1)])
def test_elements(name: str, folding: tuple[int, int]) -> None:
    """Sums of products are exact; minifloat becomes fixed point for them."""
    model = Model((X, [2, 5]))
    with model as (x,):
        weight, bias = drawn(ELEMENTS[name], (5, 5), 8), drawn(X, (5,), 9)
        op = layers.LinearOp(x, weight, bias, element=Y, layer="fc")
    check(model, op, folding)
    if name == "minifloat":
        model = Model((ELEMENTS[name], [2, 5]))
        with model as (x,):
            op = layers.LinearOp(x, weight.clone(), element=Y, layer="fc")
        check(model, op, folding)
