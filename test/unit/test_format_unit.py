"""A format whose values are multiples of less than its smallest step, at all levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from levels import Model
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.formats import (
    BlockType,
    LogType,
    TernaryType,
    add_element_type,
)
from mase_opt.dialects.mase.types import ElementType, FixedType, element_of
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.analysis.exact_range import narrowest, range_of
from mase_opt.lib.data.vectors import input_vectors
from mase_opt.lib.formats import (
    Binary,
    Block,
    Element,
    Fixed,
    FormatError,
    Log,
    MiniFloat,
    RoundingMode,
    Ternary,
)
from mase_opt.lib.formats.arrays import Array, constants, namespace
from mase_opt.lib.formats.block import Exponent
from mase_opt.lib.formats.format import Values
from mase_opt.lib.formats.minifloat import Kind
from mase_opt.lib.formats.rounding import IntArray, Rounding
from mase_opt.lib.hardware import codec
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.number import Number, Sum
from mase_opt.lib.hardware.thresholds import choose, search
from mase_opt.lib.hardware.wire import Wire
from mase_opt.lib.interpreters.kernels import values
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.transforms.mase_lower_block_arithmetic import (
    MaseLowerBlockArithmeticPass,
)
from mase_opt.model.verify import results_of
from mase_opt.testing import assert_levels_agree

NUMBERS = np.array([-2.0, -1.25, -0.75, 0.0, 0.75, 1.25, 2.0, 4.0])
"""Nowhere less than 0.5 apart, and all multiples of 0.25."""
MIDDLES = (NUMBERS[1:] + NUMBERS[:-1]) / 2


@dataclass(frozen=True)
class Uneven(Element):
    """What a plug-in might define; ties go up."""

    width: int = 3

    @property
    def bits(self) -> int:
        return self.width

    @property
    def min_code(self) -> int:
        return 0

    @property
    def max_code(self) -> int:
        return 7

    @property
    def min_value(self) -> float:
        return -2.0

    @property
    def max_value(self) -> float:
        return 4.0

    @property
    def step(self) -> float:
        return 0.5

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        if rounding is not RoundingMode.NEAREST_EVEN:
            raise FormatError(f"uneven rounds to nearest_even only, not {rounding}")
        xp = namespace(values)
        places = xp.searchsorted(constants(MIDDLES, values), values, side="right")
        return constants(NUMBERS, values)[places]

    def codes_of(self, values: Values) -> IntArray:
        return np.searchsorted(NUMBERS, values)

    def decode(self, codes: IntArray) -> Values:
        return NUMBERS[codes]

    def __str__(self) -> str:
        return "uneven"


@irdl_attr_definition
class UnevenType(Data[Uneven], ElementType):
    name = "test.uneven"

    @property
    def format(self) -> Uneven:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Uneven:
        return Uneven()

    def print_parameter(self, printer: Printer) -> None:
        pass


def decode(b: Builder, format: Uneven, code: Wire) -> Number:
    quarters = [int(4 * value) for value in NUMBERS]
    thresholds = list(range(1, len(quarters)))
    return Number(choose(b, code, thresholds, quarters), Fraction(1, 4))


def encode(b: Builder, format: Uneven, x: Sum, options: codec.Rounding) -> Wire:
    def place(value: Fraction) -> int:
        return sum(value >= middle for middle in MIDDLES)

    return search(b, x, range(8), place)


UNEVEN = UnevenType(Uneven())
X = FixedType(8, 4)


@pytest.fixture(scope="module", autouse=True)
def hardware() -> Iterator[None]:
    add_element_type(Uneven, UnevenType)
    codec.decoder(Uneven)(decode)
    codec.encoder(Uneven)(encode)
    yield
    del codec.DECODERS[Uneven], codec.ENCODERS[Uneven]


@pytest.mark.parametrize(
    ("format", "unit"),
    [
        (Binary(), 1.0),
        (Ternary(), 1.0),
        (Fixed(8, 4), 2.0**-4),
        (Fixed(64, -3), 8.0),
        (Log(4, 3), 0.25),
        (Log(4, 3, zero=False), 0.125),
        (MiniFloat(4, 3, Kind.FN), 2.0**-9),
        (MiniFloat(8, 23), 2.0**-149),
    ],
    ids=str,
)
def test_unit(format: Element, unit: float) -> None:
    assert format.unit == unit
    if format.bits <= 16:
        # What a format says and what its values say.
        assert Element.unit.fget is not None
        assert Element.unit.fget(format) == unit


def test_unit_of_a_plug_in() -> None:
    assert Uneven().unit == 0.25
    assert Uneven(17).unit is None


def test_range() -> None:
    with Model((UNEVEN, [2])) as (x,):
        numbers = range_of(x)
    assert numbers is not None
    assert narrowest(numbers) == Fixed(6, 2)


def blocks_of_two() -> BlockType:
    return BlockType(Block(Fixed(8, 6), Exponent(3, 5), (2,)))


def assert_all_agree(module: ModuleOp) -> None:
    """Quantized == lowered == torch == circuit."""
    arguments = main_function(module).args
    inputs = input_vectors(arguments, 100)
    wanted = evaluate(module, inputs)
    result = module.clone()
    MaseLowerBlockArithmeticPass().apply(Context(), result)
    result.verify()
    np.testing.assert_array_equal(evaluate(result, inputs), wanted)
    numbers = [
        torch.tensor(
            values.decode(array, element_of(argument))[:, 0].astype(np.float32)
        )
        for argument, array in zip(arguments, inputs, strict=True)
    ]
    (value,) = results_of(main_function(module))
    for text in (module, result):
        given = to_torch(text)(*numbers).numpy()[:, None]
        np.testing.assert_array_equal(
            given, values.decode(wanted[0], element_of(value))
        )
    assert_levels_agree(result, inputs=inputs)


def test_sum_into_blocks() -> None:
    """It becomes fixed point first: 0.75 and 1.25 need two bits behind the point."""
    model = Model((UNEVEN, [1, 4]), (UNEVEN, [1, 4]))
    with model as (x, y):
        total = elementwise.AddOp(x, y, element=blocks_of_two())
    assert_all_agree(model.returns(total))


@pytest.mark.parametrize(
    ("element", "threshold"),
    [
        (UNEVEN, None),
        (LogType(Log(4, 3)), None),
        *((TernaryType(Ternary()), threshold) for threshold in (0.0, 0.3, 5.0)),
    ],
    ids=str,
)
def test_cast_of_blocks(element: ElementType, threshold: float | None) -> None:
    """Where the rounding changes lies at no quarter of a step."""
    model = Model((X, [1, 4]))
    with model as (x,):
        blocks = elementwise.CastOp(x, element=blocks_of_two())
        y = elementwise.CastOp(blocks, element=element, threshold=threshold)
    assert_all_agree(model.returns(y))


@pytest.mark.slow
def test_verilog() -> None:
    model = Model((UNEVEN, [1, 4]))
    with model as (x,):
        y = elementwise.MulOp(x, x, element=UNEVEN)
    assert_levels_agree(model.returns(y), verilator=True)
