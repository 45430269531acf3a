"""The public checks: what is right passes, what is wrong is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest
from xdsl.dialects.builtin import i1
from xdsl.ir import Data, SSAValue
from xdsl.irdl import irdl_attr_definition, irdl_op_definition

from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.dialects.mase.base import MaseOp, Sign, UnaryOp
from mase_opt.dialects.mase.formats import add_element_type, element_type
from mase_opt.dialects.mase.types import ElementType, FixedType
from mase_opt.lib.formats import Element, FormatError, RoundingMode, add_family
from mase_opt.lib.formats.arrays import Array, namespace
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import Rounding
from mase_opt.lib.formats.spec import FAMILIES
from mase_opt.lib.interpreters import kernels
from mase_opt.lib.interpreters.kernels import KERNELS, kernel
from mase_opt.testing import check_format, check_op

X = FixedType(6, 3)


@pytest.mark.parametrize(
    "spec",
    [
        "fixed<5, 7>",
        "ufixed<3, -2>",
        "minifloat<3, 2>",
        "fp8_e4m3",
        "log<4, 3>",
        "log<4, 3, no_zero>",
        "minifloat<2, 2, no_implicit>",
        "binary",
        "ternary",
    ],
)
def test_formats(spec: str) -> None:
    check_format(spec)


def test_open_format() -> None:
    with pytest.raises(AssertionError, match="is no format of elements, all of it"):
        check_format("fixed<8, auto>")


UNARY: dict[str, Callable[[SSAValue], MaseOp]] = {
    "relu": elementwise.ReluOp,
    "relu6": elementwise.Relu6Op,
    "neg": partial(elementwise.NegOp, element=FixedType(8, 3)),
    "abs": elementwise.AbsOp,
    "leaky": partial(elementwise.LeakyReluOp, negative_slope=0.3),
    "sigmoid": elementwise.SigmoidOp,
    "gelu": elementwise.GeluOp,
    "floor": elementwise.FloorOp,
    "cast": partial(elementwise.CastOp, element=FixedType(4, 1)),
    "sum": partial(pooling.ReduceOp, kind="sum", axes=[1]),
    "max": partial(pooling.ReduceOp, kind="max", axes=[1]),
    "mean": partial(pooling.ReduceOp, kind="mean", axes=[1]),
    "max_pool": partial(pooling.MaxPoolOp, kernel=[2]),
    "avg_pool": partial(pooling.AvgPoolOp, kernel=[2]),
    "adaptive": partial(pooling.AdaptiveAvgPoolOp, output_size=[2]),
    "pad": partial(shape.PadOp, low=[0, 1], high=[0, 0], value=0.5),
    "slice": partial(shape.SliceOp, starts=[0, 1], stops=[1, 4]),
    "softmax": partial(normalization.SoftmaxOp, axis=1),
}


@pytest.mark.parametrize("name", UNARY)
def test_operations(name: str) -> None:
    check_op(UNARY[name], (X, [1, 4]), samples=16)


@pytest.mark.parametrize("op", ["AddOp", "SubOp", "MulOp", "MaximumOp", "MinimumOp"])
def test_operations_on_two_tensors(op: str) -> None:
    check_op(getattr(elementwise, op), (X, [1, 3]), (FixedType(4, 1), [3]), samples=16)


def test_contractions_and_choices() -> None:
    check_op(layers.LinearOp, (X, [1, 3]), (X, [2, 3]), (X, [2]), samples=16)
    check_op(layers.MatmulOp, (X, [2, 3]), (X, [3, 2]), samples=16)
    check_op(elementwise.SelectOp, (i1, [1, 3]), (X, [1, 3]), (X, [3]), samples=16)


# ---- operations that promise too much -----------------------------------------------


class Wrong(UnaryOp):
    """Computes 1 - x."""


@irdl_op_definition
class NeverNegative(Wrong):
    name = "wrong.never_negative"
    SIGN: ClassVar[Sign] = Sign.NEVER_NEGATIVE


@irdl_op_definition
class KeepsSign(Wrong):
    name = "wrong.keeps_sign"
    SIGN: ClassVar[Sign] = Sign.KEPT


@irdl_op_definition
class Rises(Wrong):
    name = "wrong.rises"
    DIRECTIONS: ClassVar[tuple[int, ...]] = (1,)


@irdl_op_definition
class IsExact(Wrong):
    name = "wrong.is_exact"

    def exact_result(self, operands: Sequence[Multiples]) -> Multiples | None:
        return operands[0]


@pytest.fixture
def one_minus() -> Iterator[None]:
    with patch.dict(KERNELS):

        @kernel(NeverNegative, KeepsSign, Rises, IsExact)
        def meaning(op: Wrong, x: kernels.Exact) -> Any:
            number = kernels.exact(np.asarray(x), op.input)
            assert number is not None
            return kernels.from_exact(
                op, (1 << number.frac) - number.codes, number.frac
            )

        yield


@pytest.mark.usefixtures("one_minus")
@pytest.mark.parametrize(
    ("op", "message"),
    [
        (NeverNegative, "wrong.never_negative is never negative, but was"),
        (KeepsSign, "wrong.keeps_sign is not negative where no operand is, but was"),
        (Rises, r"wrong.rises does not follow \(1,\)"),
        (IsExact, r"wrong.is_exact in fixed<6, 3>, said to be exact: \d+ of"),
    ],
)
def test_promises(op: type[Wrong], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_op(op, (X, [1, 3]))


# ---- formats that are not what they say ---------------------------------------------


@dataclass(frozen=True)
class Even(Element):
    """The numbers -4, -2, 0 and 2, with a `fault`."""

    fault: str = ""

    @property
    def bits(self) -> int:
        return 2

    @property
    def min_code(self) -> int:
        return -2

    @property
    def max_code(self) -> int:
        return 1

    @property
    def min_value(self) -> float:
        return -4.0

    @property
    def max_value(self) -> float:
        return 4.0 if self.fault == "ends" else 2.0

    @property
    def step(self) -> float:
        return 1.0 if self.fault == "step" else 2.0

    @property
    def unit(self) -> float:
        return 4.0 if self.fault == "unit" else 2.0

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        if rounding is not RoundingMode.NEAREST_EVEN:
            raise FormatError("nearest_even only")
        xp = namespace(values)
        if self.fault == "falls":
            values = xp.where(values == 1.5, 0.0, values)
        if self.fault == "torch" and xp is not np:
            values = values + 0.75
        return 2 * xp.round(values / 2)

    def codes_of(self, values: Any) -> Any:
        return (values / 2).astype(int) + (self.fault == "codes")

    def decode(self, codes: Any) -> Any:
        return codes * 2.0

    def __str__(self) -> str:
        return "even"


@irdl_attr_definition
class EvenType(Data[Even], ElementType):
    name = "wrong.even"

    @property
    def format(self) -> Even:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: Any) -> Even:
        return Even()

    def print_parameter(self, printer: Any) -> None:
        pass


@pytest.fixture
def even() -> Iterator[None]:
    add_element_type(Even, EvenType)
    with patch.dict(FAMILIES):
        yield


@pytest.mark.usefixtures("even")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("ends", r"says \(-4.0, 4.0\) are its ends, codes say \(-4.0, 2.0\)"),
        ("step", "even: step is 1.0, codes say 2.0"),
        ("unit", "-2.0 is no multiple of unit"),
        ("codes", "even: a code out of range"),
        ("torch", "even, nearest_even, saturate: torch: .* numbers differ"),
        ("", ""),
    ],
)
def test_faults_of_formats(fault: str, message: str) -> None:
    format = Even(fault)
    add_family("even", lambda term: format, "even")
    assert element_type(format).format == format
    if not fault:
        check_format(format)
        return
    with pytest.raises(AssertionError, match=message):
        check_format(format)
