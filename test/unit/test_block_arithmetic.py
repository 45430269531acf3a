"""Sums over blocks: what the pass makes of them, and that hardware does the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from levels import Model
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.types import ElementType, FixedType, element_of
from mase_opt.lib.analysis.blocks import is_block, keeps_blocks, touches_blocks
from mase_opt.lib.data.vectors import input_vectors
from mase_opt.lib.formats import Block, parse_spec
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.simulation import verilator
from mase_opt.lib.transforms.mase_lower_block_arithmetic import (
    MaseLowerBlockArithmeticPass,
)
from mase_opt.testing import assert_levels_agree, lower

FORMATS = {
    "mxint8": "block<fixed<8, 6>, e8m0, {}>",
    "mxfp4_e2m1": "block<minifloat<2, 1, finite>, e8m0, {}>",
    "mxfp8_e4m3": "block<minifloat<4, 3, fn>, e8m0, {}>",
    "msfp12": "block<minifloat<0, 3, no_implicit>, exp<8, 127>, {}>",
    "narrow": "block<fixed<4, 1>, exp<3, 5>, {}>",
}


def parse_block(text: str) -> Block:
    format = parse_spec(text)
    assert isinstance(format, Block)
    return format


def block(name: str, *sizes: int) -> BlockType:
    return BlockType(parse_block(FORMATS[name].format(list(sizes))))


def constant(
    element: ElementType, size: Sequence[int], seed: int = 0
) -> shape.ConstantOp:
    """Random numbers of all magnitudes."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size) * 2.0 ** rng.integers(-6, 3, size)
    return shape.ConstantOp.of(element.held(values[None])[0], element)


def cast(
    x: SSAValue, element: Attribute, rounding: RoundingAttr = RoundingAttr.DEFAULT
) -> SSAValue:
    return elementwise.CastOp(x, element=element, rounding=rounding).result


def lowered(module: ModuleOp) -> ModuleOp:
    """A copy of `module` after the pass; verified, and nothing left to do in it."""
    result = module.clone()
    MaseLowerBlockArithmeticPass().apply(Context(), result)
    result.verify()
    for op in result.walk():
        if not isinstance(op, MaseOp) or not touches_blocks(op):
            continue
        if isinstance(op, layers.ContractionOp):
            assert isinstance(element_of(op.result), FixedType)
        else:
            assert isinstance(op, elementwise.CastOp | shape.ConstantOp) or (
                keeps_blocks(op)
            )
    text = str(result)
    MaseLowerBlockArithmeticPass().apply(Context(), result)
    assert str(result) == text
    return result


def assert_same_numbers(module: ModuleOp) -> ModuleOp:
    """The pass changes no result, given an accumulator that holds all sums."""
    result = lowered(module)
    inputs = input_vectors(main_function(module).body.block.args, 20)
    for before, after in zip(evaluate(module, inputs), evaluate(result, inputs)):
        np.testing.assert_array_equal(before, after)
    return result


WIDE = FixedType(64, 30)
X = FixedType(12, 8)


def linear(
    x: BlockType,
    weight: ElementType,
    features: int,
    *,
    accumulator: Attribute = WIDE,
    result: Attribute = FixedType(16, 8),
    rounding: RoundingAttr = RoundingAttr.DEFAULT,
    bias: ElementType | None = FixedType(10, 6),
    rows: int = 2,
    outputs: int = 3,
) -> ModuleOp:
    model = Model((X, [rows, features]))
    with model as (data,):
        op = layers.LinearOp(
            cast(data, x),
            constant(weight, [outputs, features]),
            constant(bias, [outputs], 1) if bias is not None else None,
            element=result,
            rounding=rounding,
            layer="fc",
        )
        op.accumulator = accumulator
    return model.returns(op)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("features", "sizes"), [(1, (2, 2)), (8, (4, 4)), (11, (4, 4)), (12, (4, 6))]
)
def test_linear_is_its_parts(name: str, features: int, sizes: tuple[int, int]) -> None:
    x, weight = (block(name, size) for size in sizes)
    assert_same_numbers(linear(x, weight, features))


def test_operands_without_blocks() -> None:
    x, weight = block("mxint8", 4), FixedType(8, 6)
    assert_same_numbers(linear(x, weight, 6))
    assert_same_numbers(linear(x, block("mxint8", -1), 6, bias=block("narrow", 2)))
    result = assert_same_numbers(linear(x, weight, 6, result=block("mxint8", 2)))
    returned = main_function(result).body.block.last_op
    assert returned is not None
    assert is_block(returned.operands[0])


def conv(
    x: BlockType,
    weight: ElementType,
    *,
    channels: int = 4,
    size: tuple[int, int] = (5, 4),
    kernel: tuple[int, int] = (3, 2),
    outputs: int = 2,
    groups: int = 1,
    accumulator: Attribute = WIDE,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> ModuleOp:
    model = Model((X, [1, channels, *size]))
    with model as (data,):
        op = layers.Conv2dOp(
            cast(data, x),
            constant(weight, [outputs, channels // groups, *kernel]),
            constant(FixedType(10, 6), [outputs], 1),
            element=FixedType(16, 8),
            layer="conv",
            groups=groups,
            strides=strides,
            padding=padding,
            dilation=dilation,
        )
        op.accumulator = accumulator
    return model.returns(op)


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        ((2, 1, 1), (2, 1, 1)),
        ((3, 1, 1), (2, 1, 1)),
        ((-1, 1, 1), (-1, -1, -1)),
        ((-1, -1, -1), (-1, -1, -1)),
        ((-1, -1, -1), (2, 1, 1)),
        ((-1, -1, -1), (2,)),
        ((8,), (8,)),
        ((1, 1, -1), (1, -1)),
    ],
)
def test_conv_is_its_parts(x: tuple[int, ...], weight: tuple[int, ...]) -> None:
    for name in ("mxint8", "mxfp8_e4m3"):
        data, weights = block(name, *x), block(name, *weight)
        assert_same_numbers(conv(data, weights))
        assert_same_numbers(
            conv(
                data,
                weights,
                strides=(2, 1),
                padding=(0, 1),
                dilation=(2, 2),
            )
        )


def test_groups() -> None:
    for blocks in ((-1, 1, 1), (2, 1, 1), (4, 1, 1)):
        x = block("mxint8", *blocks)
        assert_same_numbers(conv(x, block("mxint8", 1, 1, 1), groups=2))
    with pytest.raises(PassFailedException, match="2 channels of a group"):
        lowered(conv(block("mxint8", 1, 1, 1), block("mxint8", -1), groups=2))


def others(name: str, x: SSAValue, y: SSAValue) -> MaseOp:
    """Ops on blocks of 1x4x4x4 that are not sums of products."""
    match name:
        case "relu":
            return elementwise.ReluOp(x)
        case "relu6":
            return elementwise.Relu6Op(x)
        case "neg":
            return elementwise.NegOp(x)
        case "abs":
            return elementwise.AbsOp(x)
        case "add":
            return elementwise.AddOp(x, y)
        case "sub":
            return elementwise.SubOp(x, y)
        case "mul":
            return elementwise.MulOp(x, y)
        case "maximum":
            return elementwise.MaximumOp(x, y)
        case "max_pool":
            return pooling.MaxPoolOp(x, [2, 2])
        case "avg_pool":
            return pooling.AvgPoolOp(x, [2, 2], padding=[1, 1])
        case "adaptive_avg_pool":
            return pooling.AdaptiveAvgPoolOp(x, [1, 2])
        case "sum":
            return pooling.ReduceOp(x, "sum", [2, 3], keepdims=True)
        case "mean":
            return pooling.ReduceOp(x, "mean", [1])
        case "reshape":
            return shape.ReshapeOp(x, [2, 4, 8])
        case "transpose":
            return shape.TransposeOp(x, [0, 3, 1, 2])
        case "concat":
            return shape.ConcatOp([x, y], 3)
        case "slice":
            return shape.SliceOp(x, starts=[0, 1, 0, 1], stops=[1, 3, 4, 3])
        case "pad":
            return shape.PadOp(x, low=[0, 1, 0, 0], high=[0, 0, 0, 2], value=1.5)
        case "compare":
            return elementwise.CompareOp(x, y, "lt")
        case _:
            raise NotImplementedError(name)


OTHERS = (
    "relu relu6 neg abs add sub mul maximum max_pool avg_pool adaptive_avg_pool sum "
    "mean reshape transpose concat slice pad compare"
).split()


@pytest.mark.parametrize("op", OTHERS)
@pytest.mark.parametrize("name", ["mxint8", "mxfp4_e2m1", "narrow"])
def test_other_ops_go_through_fixed_point(op: str, name: str) -> None:
    blocks = block(name, 3, 1, 4) if op in ("mul", "reshape") else block(name, 2, 3)
    model = Model((X, [1, 4, 4, 4]), (FixedType(9, 2), [1, 4, 4, 4]))
    with model as (x, y):
        result = others(op, cast(x, blocks), cast(y, blocks))
    assert_same_numbers(model.returns(result))


def test_slices_and_paddings_of_whole_blocks_stay() -> None:
    model = Model((block("mxint8", 2, 1), [4, 3]))
    with model as (x,):
        part = shape.SliceOp(x, starts=[2, 1], stops=[4, 3])
        result = shape.PadOp(part, low=[0, 1], high=[0, 0])
    module = model.returns(result)
    assert str(lowered(module)) == str(module)


def test_what_is_missing() -> None:
    x = block("mxint8", 2)
    model = Model((X, [1, 4]))
    with model as (data,):
        op = layers.LinearOp(
            cast(data, x),
            constant(x, [2, 4]),
            element=FixedType(16, 8),
            layer="fc",
        )
    with pytest.raises(PassFailedException, match=r"'fc'.* 2 blocks .*accumulator = "):
        lowered(model.returns(op))
    model = Model((x, [1, 4]))
    with model as (data,):
        op = elementwise.ReluOp(data, layer="act")
    with pytest.raises(PassFailedException, match=r"'act'.*fixed<16, 8>"):
        lowered(model.returns(op))
    with pytest.raises(PassFailedException, match=r"blocks of its input are 2 long"):
        lowered(conv(block("mxint8", 1, 1, 2), block("mxint8", -1)))
    model = Model((X, [2, 4]), (X, [4, 2]))
    with model as (lhs, rhs):
        op = layers.MatmulOp(cast(lhs, x), cast(rhs, block("mxint8", 4, 1)))
        op.accumulator = WIDE
    with pytest.raises(PassFailedException, match="end in different places"):
        lowered(model.returns(op))


def test_matmul_is_its_parts() -> None:
    model = Model((X, [2, 3, 7]), (X, [7, 2]))
    with model as (lhs, rhs):
        op = layers.MatmulOp(
            cast(lhs, block("mxint8", 4)),
            cast(rhs, block("mxfp4_e2m1", 4, 1)),
            element=FixedType(20, 8),
        )
        op.accumulator = WIDE
    assert_same_numbers(model.returns(op))


# ---- hardware -----------------------------------------------------------------------

SMALL = FixedType(14, 6)
"""An accumulator that cuts low bits off, and overflows."""


def roundings() -> list[RoundingAttr]:
    return [
        RoundingAttr((mode, overflow))
        for mode in RoundingMode
        for overflow in (Overflow.SATURATE, Overflow.WRAP)
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_casts_to_blocks_in_hardware(name: str) -> None:
    """Blocks that divide nothing, of one element, of all; in every rounding mode."""
    model = Model((FixedType(6, 4), [2, 2]))
    with model as (x,):
        results = [
            cast(x, block(name, *sizes), RoundingAttr((mode, Overflow.SATURATE)))
            for mode, sizes in zip(
                RoundingMode, [(1,), (2,), (-1,), (2, 2), (3,), (2, 1)], strict=True
            )
        ]
        wide = cast(x, FixedType(60, 50))
        fixed = cast(cast(wide, block(name, 2)), FixedType(9, 7))
    assert_levels_agree(model.returns(*results, fixed))


def test_casts_between_blocks_in_hardware() -> None:
    """Exponents from the smallest to the largest, and none that fits."""
    model = Model((block("mxfp8_e4m3", 2), [5]))
    with model as (x,):
        results = [cast(x, block(name, 3)) for name in FORMATS]
        fixed = cast(x, FixedType(8, 3))
    assert_levels_agree(model.returns(*results, fixed))


def test_every_rounding_of_a_sum_in_hardware() -> None:
    """Sums are shifted by up to ±250 bits into accumulators of 1 to 14 bits."""
    model = Model((block("mxint8", 2), [1, 3]))
    with model as (x,):
        weight = constant(block("mxint8", 1), [2, 3])
        results: list[layers.LinearOp] = []
        for index, rounding in enumerate(roundings()):
            op = layers.LinearOp(x, weight, element=X, rounding=rounding)
            op.accumulator = FixedType((14, 5, 1)[index % 3], index - 4)
            results.append(op)
    module = lowered(model.returns(*results))
    assert_levels_agree(module, samples=100)


@pytest.mark.parametrize("name", ["mxint8", "mxfp4_e2m1", "msfp12"])
def test_linear_in_hardware(name: str) -> None:
    module = linear(
        block(name, 3), block(name, 2), 4, accumulator=SMALL, rows=1, outputs=2
    )
    assert_levels_agree(lowered(module), max_logic_depth=3, samples=16)


def test_conv_in_hardware() -> None:
    module = conv(
        block("mxint8", 2, 1, 1),
        block("mxint8", 4, 1, 1),
        channels=3,
        size=(2, 2),
        kernel=(1, 2),
        padding=(0, 1),
        outputs=1,
        accumulator=SMALL,
    )
    assert_levels_agree(lowered(module), max_logic_depth=4, stall=True, samples=16)


def test_groups_in_hardware() -> None:
    x, weight = block("mxint8", -1, -1, -1), block("mxint8", -1, -1)
    module = conv(x, weight, groups=4, outputs=4, size=(2, 1), accumulator=SMALL)
    assert_levels_agree(lowered(module))


@pytest.mark.slow
@pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)
def test_matmul_in_hardware() -> None:
    model = Model((block("mxint8", 2), [1, 3]), (block("mxfp4_e2m1", 2, 1), [3, 2]))
    with model as (lhs, rhs):
        op = layers.MatmulOp(lhs, rhs, element=SMALL)
        op.accumulator = SMALL
    assert_levels_agree(lowered(model.returns(op)), verilator=True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [m for m in RoundingMode if m != "stochastic"])
@pytest.mark.parametrize(
    "text",
    [
        "block<log<4, 7>, exp<8, 127>, [3]>",
        "block<log<3, 2>, exp<3, 3>, [3]>",
        "block<log<5, 15, no_zero>, e8m0, [3]>",
    ],
)
def test_powers_of_two_that_share_an_exponent(text: str, mode: RoundingMode) -> None:
    """Halfway between two of them is √2, so that no bit may be lost."""
    model = Model((FixedType(12, 8), [2, 5]))
    with model as (x,):
        element = BlockType(parse_block(text))
        op = elementwise.CastOp(
            x, element=element, rounding=RoundingAttr((mode, Overflow.SATURATE))
        )
    assert_levels_agree(model.returns(op), samples=200)


def test_block_log_layers() -> None:
    log = BlockType(parse_block("block<log<4, 7>, exp<8, 127>, [2]>"))
    for data in (block("mxint8", 2), log):
        module = linear(data, log, 4, accumulator=SMALL, rows=1, outputs=1)
        assert_levels_agree(lowered(module), samples=16)


def test_blocks_with_bump_have_no_circuit() -> None:
    bump = BlockType(parse_block("block<fixed<8, 6>, e8m0, [2], bump>"))
    model = Model((X, [2]))
    with model as (x,):
        result = cast(x, bump)
    with pytest.raises(PassFailedException, match="leave bump out"):
        lower(model.returns(result), 0)


def test_exponents_that_differ_have_no_circuit() -> None:
    x = block("mxint8", 2)
    module = linear(x, x, 4)
    with pytest.raises(PassFailedException, match="run mase-lower-block-arithmetic"):
        lower(module, 0)
    model = Model((x, [4]))
    with model as (data,):
        op = elementwise.ReluOp(data, element=X)
    with pytest.raises(PassFailedException, match="run mase-lower-block-arithmetic"):
        lower(model.returns(op), 0)
