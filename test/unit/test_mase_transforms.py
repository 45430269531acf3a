"""Rewrites of mase IR give the same codes: lookup tables, canonicalization."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mase_text import parse
from xdsl.context import Context
from xdsl.dialects.builtin import Float32Type, Float64Type, ModuleOp
from xdsl.transforms.canonicalize import CanonicalizePass

from mase_opt.dialects.mase.types import fixed_type
from mase_opt.lib.formats import Fixed, FormatError, Overflow
from mase_opt.lib.interpreters.kernels.elementwise import FUNCTIONS
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.canonicalization.mase import is_lossless
from mase_opt.lib.transforms.mase_lower_to_lookup import MaseLowerToLookupPass

PARAMETERS = {"mase.elu": "{alpha = 0.7 : f64}"}
FORMATS = st.builds(Fixed, st.integers(1, 7), st.integers(-4, 9), st.booleans())


def all_codes(format: Fixed) -> np.ndarray:
    """One sample for each code."""
    return np.arange(format.min_code, format.max_code + 1)[:, None]


@pytest.mark.parametrize("op", [op.name for op in FUNCTIONS])
@pytest.mark.parametrize("text", ["ufixed<12, 9>", "fixed<5, 2>", "ufixed<1, 0>"])
def test_a_table_gives_what_the_function_gives(op: str, text: str):
    if op in ("mase.log", "mase.sqrt", "mase.rsqrt"):
        text = text.replace("fixed", "ufixed").replace("uu", "u")
    module = parse(f"""
func.func @f(%x: tensor<1x!mase.{text}>) -> tensor<1x!mase.fixed<9, 5>> {{
  %y = {op} %x {PARAMETERS.get(op, "")}
    : (tensor<1x!mase.{text}>) -> tensor<1x!mase.fixed<9, 5>>
  func.return %y : tensor<1x!mase.fixed<9, 5>>
}}""")
    width, frac = map(int, text.partition("<")[2].rstrip(">").split(","))
    codes = all_codes(Fixed(width, frac, not text.startswith("u")))
    [expected] = evaluate(module, [codes])
    MaseLowerToLookupPass().apply(Context(), module)
    module.verify()
    assert op not in str(module)
    [actual] = evaluate(module, [codes])
    np.testing.assert_array_equal(actual, expected)


def canonical(module: ModuleOp) -> ModuleOp:
    copy = module.clone()
    CanonicalizePass().apply(Context(), copy)
    copy.verify()
    return copy


@given(FORMATS, FORMATS, FORMATS)
def test_canonical_casts_give_the_same_codes(first, second, third):
    x, y, z = (f"tensor<1x{fixed_type(f)}>" for f in (first, second, third))
    module = parse(f"""
func.func @f(%x: {x}) -> {z} {{
  %0 = mase.cast %x : ({x}) -> {y}
  %1 = mase.cast %0 {{rounding = #mase.rounding<half_up, wrap>}} : ({y}) -> {z}
  func.return %1 : {z}
}}""")
    inputs = [all_codes(first)]
    [expected] = evaluate(module, inputs)
    [actual] = evaluate(canonical(module), inputs)
    np.testing.assert_array_equal(actual, expected)


@given(FORMATS, FORMATS)
def test_lossless_is_what_no_value_changes_by(source, target):
    values = source.decode(all_codes(source))
    try:
        codes = target.encode(values, overflow=Overflow.ERROR)
        exact = (target.decode(codes) == values).all()
    except FormatError:
        exact = False
    assert is_lossless(fixed_type(source), fixed_type(target)) == exact


@given(st.builds(Fixed, st.integers(1, 64), st.integers(-200, 200), st.booleans()))
def test_floats_are_lossless_only_where_they_hold_all_codes(format):
    for element, dtype in ((Float32Type(), np.float32), (Float64Type(), np.float64)):
        if is_lossless(fixed_type(format), element):
            for code in (format.min_code, format.max_code, format.max_code - 1, 1):
                value = np.ldexp(dtype(code), -format.frac)
                assert int(value * 2.0**format.frac) == code


def test_shapes_give_the_same_elements():
    module = parse("""
func.func @f(%x: tensor<2x3x4xf32>) -> tensor<4x6xf32> {
  %0 = mase.transpose %x {permutation = array<i64: 2, 0, 1>}
    : tensor<2x3x4xf32> -> tensor<4x2x3xf32>
  %1 = mase.transpose %0 {permutation = array<i64: 1, 2, 0>}
    : tensor<4x2x3xf32> -> tensor<2x3x4xf32>
  %2 = mase.transpose %1 {permutation = array<i64: 1, 2, 0>}
    : tensor<2x3x4xf32> -> tensor<3x4x2xf32>
  %3 = mase.reshape %2 : tensor<3x4x2xf32> -> tensor<24xf32>
  %4 = mase.reshape %3 : tensor<24xf32> -> tensor<4x6xf32>
  func.return %4 : tensor<4x6xf32>
}""")
    simple = canonical(module)
    assert str(simple).count("mase.") == 2
    inputs = [np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)]
    np.testing.assert_array_equal(
        evaluate(simple, inputs)[0], evaluate(module, inputs)[0]
    )
