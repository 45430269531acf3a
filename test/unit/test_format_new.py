"""A format that is not ours: one class, and it has everything that others have."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch

from mase_opt.lib.formats import (
    Element,
    FormatError,
    Overflow,
    RoundingMode,
    Scaled,
    add_family,
    parse_spec,
)
from mase_opt.lib.formats.arrays import constants, namespace
from mase_opt.lib.formats.spec import FAMILIES, Term
from mase_opt.lib.formats.torch_cast import cast


@dataclass(frozen=True)
class Posit(Element):
    """Posits of 8 bits with `es` exponent bits, by a table; they never round to 0."""

    es: int

    bits = 8
    min_code, max_code = -127, 127
    step = property(lambda self: float(np.diff(self.table).min()))
    min_value = property(lambda self: float(self.table[0]))
    max_value = property(lambda self: float(self.table[-1]))

    @property
    def table(self) -> np.ndarray:
        """The values in order, as the codes are: two's complement."""
        positive = np.array([self.magnitude(code) for code in range(1, 128)])
        return np.r_[-positive[::-1], 0.0, positive]

    def magnitude(self, code: int) -> float:
        """By the definition: a regime of equal bits, exponent bits, a fraction."""
        text = f"{code:07b}"
        run = len(text) - len(text.lstrip(text[0]))
        regime = run - 1 if text[0] == "1" else -run
        rest = text[run + 1 :]
        exponent = int(rest[: self.es].ljust(self.es, "0") or "0", 2)
        fraction = rest[self.es :]
        part = Fraction(int(fraction or "0", 2), 2 ** len(fraction))
        return float((1 + part) * Fraction(2) ** (regime * 2**self.es + exponent))

    def rounded(self, values, rounding: RoundingMode):
        if rounding is not RoundingMode.NEAREST_EVEN:
            raise FormatError(f"{self} only rounds to nearest_even")
        xp = namespace(values)
        table = constants(self.table, values)
        above = xp.clip(xp.searchsorted(table, values), 1, 254)
        low, high = table[above - 1], table[above]
        # Position 127 is code 0, so even positions are odd codes.
        middle = (low + high) / 2
        up = (values > middle) | ((values == middle) & (above % 2 == 1))
        nearest = xp.where(up, high, low)
        sign = xp.where(values < 0, -xp.ones_like(values), xp.ones_like(values))
        smallest = sign * self.table[128]
        nearest = xp.where((nearest == 0) & (values != 0), smallest, nearest)
        return xp.where(xp.isnan(values), values, nearest)

    def codes_of(self, values: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.table, values) - 127

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.table[codes + 127]

    def __str__(self) -> str:
        return f"posit<8, {self.es}>"


def posit(term: Term) -> Posit:
    bits, es = (term.whole(argument) for argument in term.arguments)
    if bits != 8:
        raise term.fail(f"posits have 8 bits, not {bits},")
    return Posit(es)


@pytest.fixture(autouse=True)
def _known():
    add_family("posit", posit, "posit<8, es>")
    yield
    del FAMILIES["posit"]


def test_it_is_a_format():
    f = parse_spec("posit<8, 1>")
    assert f == Posit(1)
    assert (f.max_value, f.min_value, f.bits_per_element) == (4096.0, -4096.0, 8.0)
    codes = np.arange(-127, 128)
    assert f.encode(f.decode(codes)).tolist() == codes.tolist()
    assert f.cast(np.array([1.0, 1.03, -3.95, 0.0, 1e-9, 1e9])).tolist() == [
        *(1.0, 1.0, -4.0, 0.0, 2.0**-12, 4096.0),
    ]
    with pytest.raises(FormatError, match="NaN has no code in posit<8, 1>"):
        f.encode(np.array([np.nan]))
    with pytest.raises(FormatError, match="posit<8, 1> does not wrap"):
        f.encode(np.array([1e9]), overflow=Overflow.WRAP)
    with pytest.raises(FormatError, match="posits have 8 bits, not 9, in 'posit<9"):
        parse_spec("posit<9, 1>")


def test_it_combines_and_casts_tensors():
    f = parse_spec("scaled<posit<8, 1>, 0.5>")
    assert f == Scaled(Posit(1), 0.5)
    x = torch.randn(
        1000, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    for g in (f, f.element):
        got = cast(x, g)
        assert got.tolist() == g.cast(x.detach().double().numpy()).tolist()
    cast(x, f).sum().backward()
    assert x.grad is not None
    assert (x.grad == 1).all()
