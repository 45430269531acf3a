"""Streamed layers over formats other than fixed point: scales, and elements."""

from __future__ import annotations

import numpy as np
import pytest
from levels import Model
from streams import assert_minimal, assert_streams, streamed
from xdsl.context import Context
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

import mase_opt as mo
from mase_opt.dialects.mase import elementwise, layers, shape
from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.formats import (
    BinaryType,
    BlockType,
    MiniFloatType,
    ScaledType,
    TernaryType,
)
from mase_opt.dialects.mase.types import ElementType, FixedType, element_of
from mase_opt.dialects.stream.ops import RomOp
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.formats import Block, Fixed, MiniFloat
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Exponent
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.minifloat import Kind
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.simulation import verilator
from mase_opt.lib.transforms.mase_lower_block_arithmetic import (
    MaseLowerBlockArithmeticPass,
)

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


# ---- blocks -------------------------------------------------------------------------

BLOCKS = {
    "mxint8": (Fixed(8, 6), E8M0),
    "mxfp4": (MiniFloat(2, 1, Kind.FINITE), E8M0),
    "mxfp8": (MiniFloat(4, 3, Kind.FN), E8M0),
    "narrow": (Fixed(4, 2), Exponent(3, 4)),
}
ACCUMULATOR = FixedType(18, 9)
"""So narrow that sums of blocks are rounded, and some saturate."""


def block(name: str, *sizes: int) -> BlockType:
    return BlockType(Block(*BLOCKS[name], sizes))


def into(value: SSAValue, element: BlockType) -> SSAValue:
    return elementwise.CastOp(value, element=element).result


def weights(element: ElementType, size: tuple[int, ...], seed: int) -> SSAValue:
    """Numbers of several magnitudes; a row of zeros."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size) * np.exp2(rng.integers(-3, 2, size))
    values[0] = 0
    return shape.ConstantOp.of(element.format.quantize(values), element).result


def check_lowered(
    model: Model,
    op: layers.ContractionOp,
    folding: tuple[int, int],
    *,
    verilator: bool = False,
) -> None:
    op.accumulator = ACCUMULATOR
    module = model.returns(op)
    MaseLowerBlockArithmeticPass().apply(Context(), module)
    network = assert_streams(module, {"fc": folding}, verilator=verilator)
    assert_minimal(network_of(network_function(network)).network)


def linear_on_blocks(name: str, features: int) -> tuple[Model, layers.LinearOp]:
    x = block(name, 4)
    model = Model((FixedType(12, 7), [1 if features == 8 else 2, features]))
    with model as (data,):
        weight, bias = weights(x, (5, features), 1), drawn(FixedType(9, 6), (5,), 2)
        op = layers.LinearOp(into(data, x), weight, bias, element=Y, layer="fc")
    return model, op


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize(
    ("features", "folding"), [(8, (2, 4)), (11, (3, 1)), (3, (9, 9)), (4, (1, 9))]
)
def test_linear_on_blocks(name: str, features: int, folding: tuple[int, int]) -> None:
    """Several blocks, a short one at the end, less than one; rows and one alone."""
    check_lowered(*linear_on_blocks(name, features), folding)


@pytest.mark.slow
@pytest.mark.skipif(verilator.available() is not None, reason="needs Verilator")
def test_verilator_on_blocks() -> None:
    check_lowered(*linear_on_blocks("narrow", 4), (1, 9), verilator=True)


@pytest.mark.parametrize("which", ["data", "weight"])
def test_blocks_and_fixed_point(which: str) -> None:
    model = Model((FixedType(8, 4), [2, 6]))
    with model as (data,):
        x = into(data, block("mxint8", 4)) if which == "data" else data
        element = block("mxfp4", 4) if which == "weight" else FixedType(5, 4)
        made = weights(element, (5, 6), 3) if which == "weight" else None
        weight = made or drawn(element, (5, 6), 3).result
        op = layers.LinearOp(x, weight, element=Y, layer="fc")
    check_lowered(model, op, (2, 2))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mxint8", "conv1d"), ("mxfp4", "conv2d"), ("mxint8", "depthwise")],
)
def test_convolution_on_blocks(name: str, kind: str) -> None:
    """Blocks of channels: a product for each place of the kernel, around it zeros."""
    space = 1 if kind == "conv1d" else 2
    x = block(name, *((1,) if kind == "depthwise" else (2,)), *[1] * space)
    channels, groups = (2, 2) if kind == "depthwise" else (3, 1)
    model = Model((FixedType(9, 5), [1, channels, *[3] * space]))
    with model as (data,):
        weight = weights(x, (2, channels // groups, *[2] * space), 4)
        made = layers.Conv1dOp if space == 1 else layers.Conv2dOp
        op = made(
            into(data, x),
            weight,
            element=Y,
            layer="fc",
            groups=groups,
            padding=[1] * space,
            strides=[2] * space,
            dilation=[1] * space,
        )
    check_lowered(model, op, (1, 2))


@pytest.mark.parametrize(("name", "terms"), [("mxint8", 4), ("mxfp4", 7)])
def test_product_of_blocks(name: str, terms: int) -> None:
    element = FixedType(9, 5)
    model = Model((element, [2, 3, terms]), (element, [2, terms, 3]))
    with model as (x, y):
        rows, columns = into(x, block(name, 4)), into(y, block(name, 4, 1))
        op = layers.MatmulOp(rows, columns, element=Y, layer="fc")
    check_lowered(model, op, (2, 2))


def test_from_blocks() -> None:
    model = Model((FixedType(9, 5), [2, 7]))
    with model as (x,):
        y = elementwise.CastOp(into(x, block("mxint8", 4)), element=FixedType(12, 8))
    check(model, y, (1, 1))


def test_weights_one_at_a_time_are_codes() -> None:
    """A ROM of one word has codes, which are no numbers in minifloat."""
    model = Model((X, [1, 3]))
    with model as (x,):
        weight = drawn(ELEMENTS["minifloat"], (2, 3), 5)
        op = layers.LinearOp(x, weight, element=Y, layer="fc")
    check(model, op, (2, 3))


def test_blocks_of_two_dimensions() -> None:
    model = Model((X, [2, 8]))
    with model as (x,):
        y = elementwise.CastOp(into(x, block("mxint8", 2, 2)), element=Y)
    message = r"lies along 2 dimensions of \[2, 8\], .*: use blocks of one size"
    with pytest.raises(PassFailedException, match=message):
        streamed(model.returns(y))


def test_no_port_of_blocks() -> None:
    model = Model((block("mxint8", 4), [1, 8]))
    with model as (x,):
        y = elementwise.CastOp(x, element=Y)
    with pytest.raises(PassFailedException, match=r"input 0 .* cast it to blocks"):
        streamed(model.returns(y))
    model = Model((X, [1, 8]))
    with model as (x,):
        y = into(x, block("mxint8", 4))
    with pytest.raises(PassFailedException, match=r"result .* cast it to fixed point"):
        streamed(model.returns(y))


@pytest.mark.slow
@pytest.mark.parametrize("which", ["mlp", "cnn"])
@pytest.mark.parametrize("format", ["mxint8", "mxfp4_e2m1"])
def test_digits(which: str, format: str) -> None:
    folder = "examples/digits"
    model = mo.load(f"{folder}/{which}.mlir").calibrate(
        f"{folder}/{which}_calibration.npz"
    )
    quantized = model.quantize(format=format, accumulator="fixed<24, 12>")
    module = quantized.apply("allocate-parallelism", interval=200)._explicit  # pyright: ignore[reportPrivateUsage]
    timing = network_of(network_function(assert_streams(module))).network
    assert timing.run().interval <= 200


def test_scales_of_data() -> None:
    """Those of each channel have no process, and one that is no power of two."""
    model = Model((X, [2, 3]))
    with model as (x,):
        element = scaled(Fixed(5, 2), [0.5, 0.25, 1.0], 0, 1)
        y = elementwise.CastOp(x, element=element, layer="act")
        z = elementwise.CastOp(y, element=Y)
    message = r"mase.cast act has elements .*, and no channel has .*: give data one"
    with pytest.raises(PassFailedException, match=message):
        streamed(model.returns(z))


def test_scales_multiply_sums() -> None:
    """Codes stay as narrow as they are, whatever the scales."""
    model = Model((X, [1, 4]))
    with model as (x,):
        weight = drawn(scaled(Fixed(4, 1), [0.3, 1.7, 0.01]), (3, 4), 11)
        op = layers.LinearOp(x, weight, element=Y, layer="fc")
    network = streamed(model.returns(op), {"fc": (1, 2)})
    roms = [inner for inner in network.walk() if isinstance(inner, RomOp)]
    assert next(element_of(rom.result) for rom in roms) == FixedType(4, 1)
    assert [len(rom.words()) for rom in roms] == [6, 3]
