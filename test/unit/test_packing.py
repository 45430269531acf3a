"""Packing of codes to bits, against Python's own integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase_opt.lib.hardware import packing


@st.composite
def code_arrays(draw: st.DrawFn):
    width = draw(st.integers(1, 64))
    signed = draw(st.booleans())
    elements = draw(st.integers(1, 9))
    samples = draw(st.integers(0, 4))
    low, high = packing.code_range(width, signed)
    values = st.one_of(st.integers(low, high), st.sampled_from([low, high]))
    rows = [[draw(values) for _ in range(elements)] for _ in range(samples)]
    dtype = np.int64 if signed else np.uint64
    return np.array(rows, dtype).reshape(samples, elements), width, signed


@given(code_arrays())
def test_pack_is_the_big_integer_with_element_0_lowest(case):
    codes, width, _ = case
    rows = packing.pack(codes, width)
    for row, values in zip(rows, codes.tolist(), strict=True):
        expected = sum((v % (1 << width)) << (i * width) for i, v in enumerate(values))
        assert int.from_bytes(row.tobytes(), "little") == expected


@given(code_arrays())
def test_unpack_reverses_pack(case):
    codes, width, signed = case
    result = packing.unpack(packing.pack(codes, width), codes.shape[1], width, signed)
    assert result.dtype == packing.storage_dtype(width, signed)
    assert result.tolist() == codes.tolist()


@given(code_arrays())
def test_storage_round_trip(case):
    codes, width, signed = case
    stored = packing.to_storage(codes, width)
    assert stored.tolist() == [
        [v % (1 << width) for v in row] for row in codes.tolist()
    ]
    assert packing.from_storage(stored, width, signed).tolist() == codes.tolist()


@pytest.mark.parametrize(("code", "signed"), [(8, True), (-9, True), (16, False)])
def test_codes_out_of_range_are_refused(code: int, signed: bool):
    with pytest.raises(ValueError, match="do not fit 4 bits"):
        packing.check_codes(np.array([[code]]), 4, signed)


def test_floats_are_refused():
    with pytest.raises(ValueError, match="codes are integers"):
        packing.check_codes(np.array([[1.0]]), 4, True)
