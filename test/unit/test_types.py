"""Element types are values: equal exactly when they print the same."""

from itertools import product

from mase_opt.dialects.mase.types import FixedType, UFixedType


def test_equality_follows_the_parameters():
    types = [
        cls(width, frac)
        for cls, width, frac in product((FixedType, UFixedType), (4, 8), (-1, 3))
    ]
    for a, b in product(types, types):
        assert (a == b) == (str(a) == str(b))
    assert len(set(types)) == len(types)
