"""Constant data in Python: dtypes, ranges, sharing, equality, lifetime."""

from __future__ import annotations

import gc
import weakref
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, IntegerType, ModuleOp, f32, i1, i8, i64
from xdsl.ir import Attribute
from xdsl.parser import Parser
from xdsl.printer import Printer

from mase_opt.dialects.mase import Mase
from mase_opt.dialects.mase.attrs import DTYPES, CalibrationAttr, DenseAttr
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedType, UFixedType


def context() -> Context:
    ctx = Context()
    ctx.load_dialect(Builtin)
    ctx.load_dialect(Mase)
    return ctx


def round_trip(op: ConstantOp) -> ConstantOp:
    """What a text file makes of `op`."""
    stream = StringIO()
    printer = Printer(stream)
    ctx = context()
    printer.print_op(ModuleOp([op]))
    printer.print_metadata(ctx.loaded_dialects)
    module = Parser(ctx, stream.getvalue()).parse_module()
    module.verify()
    again = module.body.block.first_op
    assert isinstance(again, ConstantOp)
    return again


@pytest.mark.parametrize("dtype", [np.dtype(code) for code in DTYPES.values()])
@pytest.mark.parametrize("count", [0, 1, 16, 17, 1000])
def test_every_dtype_survives_text(dtype: np.dtype[Any], count: int):
    rng = np.random.default_rng(count)
    values = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype)
    if dtype.kind == "b":
        values = values.view(np.uint8) % 2 == 1
    if dtype.kind == "f":
        values = np.where(np.isnan(values), np.inf, values).astype(dtype)
    attribute = DenseAttr.from_array(values, "some.name")
    assert np.array_equal(attribute.array(), values)
    element = {
        "?": i1,
        "<f4": f32,
    }.get(DTYPES[attribute.data.storage])
    if element is None and dtype.kind in "iu":
        cls = FixedType if dtype.kind == "i" else UFixedType
        element = cls(8 * dtype.itemsize, 3)
    if element is None:
        return
    op = ConstantOp.of(values, element, "some.name")
    again = round_trip(op.clone())
    assert again.array().tobytes() == values.tobytes()
    assert again.value == op.value
    assert again.value.label == ("some.name" if count > 16 else "data")


def test_float32_text_is_short_and_exact():
    values = np.array(
        [0.1, 1e-20, 3.4028235e38, 1e-45, -0.0, 16777217, 1e20], dtype=np.float32
    )
    op = ConstantOp.of(values, f32)
    printed = "[0.1, 1.0e-20, 3.4028235e+38, 1.4013e-45, -0.0, 16777216.0, 1.0e+20]"
    assert printed in str(op)
    assert round_trip(op).array().tobytes() == values.tobytes()


def test_big_endian_and_strided_arrays():
    values = np.arange(40, dtype=">i2").reshape(4, 10)[::2, ::3]
    op = ConstantOp.of(values, FixedType(16, 0))
    assert op.array().tolist() == values.tolist()
    assert op.value.array().dtype == np.dtype("<i2")


def test_no_copy_and_read_only():
    values = np.arange(100, dtype=np.int8)
    op = ConstantOp.of(values, FixedType(8, 0))
    assert np.shares_memory(op.array(), values)
    with pytest.raises(ValueError, match="read-only"):
        op.array()[0] = 1
    values[0] = 1  # the caller's own array stays writable


@pytest.mark.parametrize(
    ("values", "element", "message"),
    [
        (
            [8],
            FixedType(4, 0),
            "the code 8, expected -8 to 7, the range of !mase.fixed<4, 0>",
        ),
        ([300], i8, "the code 300, expected -128 to 127, the range of i8"),
        ([-1], UFixedType(8, 0), "the code -1, expected 0 to 255"),
        ([2**64], UFixedType(64, 0), "the code 18446744073709551616"),
        ([2], i1, "the code 2, expected 0 to 1, the range of i1"),
        ([0.5], FixedType(8, 4), "codes of !mase.fixed<8, 4> are float64"),
    ],
)
def test_codes_outside_the_format(values: list[Any], element: Attribute, message: str):
    with pytest.raises(ValueError, match=message.replace("!", ".")):
        ConstantOp.of(np.array(values), element)


def test_python_integers():
    values = np.array([2**64 - 1, 0], dtype=object)
    assert DenseAttr.from_array(values).data.storage == "ui64"
    assert DenseAttr.from_array(-np.array([5], dtype=object)).data.storage == "i64"
    with pytest.raises(ValueError, match="no storage type for a value"):
        DenseAttr.from_array(np.array([2**64], dtype=object))
    with pytest.raises(ValueError, match="no storage type for complex64"):
        DenseAttr.from_array(np.zeros(2, dtype=np.complex64))


def test_equality_is_content():
    a = DenseAttr.from_array(np.arange(50, dtype=np.int8), "a")
    b = DenseAttr.from_array(np.arange(50, dtype=np.int8), "b")
    c = DenseAttr.from_array(np.arange(50, dtype=np.uint8), "a")
    d = DenseAttr.from_array(np.arange(1, 51, dtype=np.int8), "a")
    assert a == b
    assert hash(a) == hash(b)
    assert a != c
    assert a != d


def test_names_become_keys():
    for name, label in (("fc1.weight", "fc1.weight"), ("a b/c", "a_b_c"), ("0", "_0")):
        op = ConstantOp.of(np.arange(17), i64, name)
        assert round_trip(op).value.label == label


def test_printing_without_resources_keeps_nothing_alive():
    attribute = DenseAttr.from_array(np.arange(100))
    blob = weakref.ref(attribute.data.blob)
    assert "data_" in str(attribute)
    del attribute
    gc.collect()
    assert blob() is None


@pytest.mark.parametrize(
    "text",
    [
        "#mase.dense<i8, [1, -2, 3]>",
        "#mase.dense<f32, fc1.weight_0123456789ab>",
        "#mase.rounding<nearest_even, saturate>",
        "#mase.calibration<#mase.dense<f32, [-1.0, 0.0, 2.5]>>",
        "tensor<1x64x!mase.fixed<8, 4>>",
        "tensor<1x64x!mase.ufixed<8, 8>>",
    ],
)
def test_examples_of_attributes(text: str):
    documents = [a.__doc__ or "" for a in Mase.attributes]
    assert any(f"    {text}\n" in document for document in documents)
    attribute = Parser(context(), text).parse_attribute()
    if not isinstance(attribute, DenseAttr) or attribute.data.blob.loaded:
        assert str(attribute) == text


def test_quantiles():
    values = np.array([-1, 0.5, 2], dtype=np.float32)
    calibration = CalibrationAttr(DenseAttr.from_array(values))
    assert calibration.array().tolist() == [-1, 0.5, 2]


def test_ops_file_shows_every_op():
    text = (Path(__file__).parents[1] / "dialects/mase/ops.mlir").read_text()
    shown = {word for word in text.replace("(", " ").split() if "mase." in word}
    assert {op.name for op in Mase.operations} <= shown


def test_integer_types_of_other_widths():
    op = ConstantOp.of(np.array([-4, 3]), IntegerType(3))
    op.verify()
    assert op.value.data.storage == "i64"
