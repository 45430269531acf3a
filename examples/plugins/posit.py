"""
Posits of 8 bits: a number format in one file, for `--load-plugin`.

The numbers are those of the Standard for Posit Arithmetic (2022), with any number of
exponent bits: https://posithub.org/docs/posit_standard-2.pdf, sections 3 and 4.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from xdsl.ir import Data, Dialect
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.universe import Universe

from mase_opt.dialects.mase.formats import add_element_type
from mase_opt.dialects.mase.types import ElementType
from mase_opt.lib.formats import Element, FormatError, RoundingMode, add_family
from mase_opt.lib.formats.arrays import Array, constants, namespace
from mase_opt.lib.formats.format import Values
from mase_opt.lib.formats.rounding import IntArray, Rounding
from mase_opt.lib.formats.spec import FormatTerm


def magnitude(code: int, bits: int, es: int) -> float:
    """The posit of a positive code: a regime, `es` exponent bits, a fraction."""
    text = f"{code:0{bits - 1}b}"
    run = len(text) - len(text.lstrip(text[0]))
    regime = run - 1 if text[0] == "1" else -run
    rest = text[run + 1 :]
    exponent = int(rest[:es].ljust(es, "0") or "0", 2)
    fraction = rest[es:]
    part = 1 + int(fraction or "0", 2) / 2 ** len(fraction)
    return part * 2.0 ** (regime * 2**es + exponent)


@cache
def tables(es: int) -> tuple[Values, Values]:
    """The values of codes 0 to 127, and what is between two positive neighbours."""
    values = [0.0, *(magnitude(code, 8, es) for code in range(1, 128))]
    # By the standard the posit of one bit more: the mean of fractions or of exponents.
    middles = [magnitude(2 * code + 1, 9, es) for code in range(1, 127)]
    return np.array(values), np.array(middles)


@dataclass(frozen=True)
class Posit(Element):
    """
    Posits of 8 bits with `es` exponent bits.

    Rounded to nearest, ties to the even code; nothing but zero becomes zero, and what
    is beyond the range the end of it. NaN and infinities are NaR, code -128.
    """

    es: int

    def __post_init__(self):
        if not 0 <= self.es <= 3:
            raise FormatError(f"posits have 0 to 3 exponent bits, got {self.es}")

    @property
    def bits(self) -> int:
        return 8

    @property
    def min_code(self) -> int:
        return -128

    @property
    def max_code(self) -> int:
        return 127

    @property
    def has_nan(self) -> bool:
        return True

    @property
    def exact_in_float32(self) -> bool:
        return True

    @property
    def max_value(self) -> float:
        return float(tables(self.es)[0][-1])

    @property
    def min_value(self) -> float:
        return -self.max_value

    @property
    def step(self) -> float:
        return float(np.diff(tables(self.es)[0]).min())

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        if rounding is not RoundingMode.NEAREST_EVEN:
            raise FormatError(f"{self} rounds to nearest_even only, not {rounding}")
        xp = namespace(values)
        posits, middles = (constants(table, values) for table in tables(self.es))
        magnitudes = xp.abs(values)
        below = xp.searchsorted(middles, magnitudes)
        tie = middles[xp.clip(below, None, len(middles) - 1)] == magnitudes
        code = 1 + below + (tie & (below % 2 == 0))
        result = xp.copysign(posits[code], values)
        result = xp.where(magnitudes == 0, 0.0, result)
        return xp.where(magnitudes < np.inf, result, np.nan)

    def codes_of(self, values: Values) -> IntArray:
        codes = np.searchsorted(tables(self.es)[0], np.abs(values))
        return np.where(np.isnan(values), -128, np.where(values < 0, -codes, codes))

    def decode(self, codes: IntArray) -> Values:
        values = tables(self.es)[0][np.minimum(np.abs(codes), 127)]
        return np.where(codes == -128, np.nan, np.where(codes < 0, -values, values))

    def __str__(self) -> str:
        return f"posit<8, {self.es}>"


@irdl_attr_definition
class PositType(Data[Posit], ElementType):
    """
    A posit of 8 bits and its number of exponent bits.

    ```mlir
    tensor<1x64x!unum.posit<8, 1>>
    ```
    """

    name = "unum.posit"

    @property
    def format(self) -> Posit:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Posit:
        with parser.in_angle_brackets():
            bits = parser.parse_integer(allow_boolean=False)
            parser.parse_punctuation(",")
            es = parser.parse_integer(allow_boolean=False)
        try:
            return posit(bits, es)
        except FormatError as error:
            parser.raise_error(str(error))

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<8, {self.data.es}>")


def posit(bits: int, es: int) -> Posit:
    if bits != 8:
        raise FormatError(f"posits have 8 bits here, not {bits}")
    return Posit(es)


def parse(term: FormatTerm) -> Posit:
    """What `posit<8, es>` stands for on the command line and in configurations."""
    if len(term.arguments) != 2 or term.options:
        raise term.fail("expected posit<8, es>")
    return posit(*(term.whole(argument) for argument in term.arguments))


add_family("posit", parse, "posit<8, es>", example="posit<8, 1>")
add_element_type(Posit, PositType)

UNIVERSE = Universe(all_dialects={"unum": lambda: Dialect("unum", [], [PositType])})
