"""Calibration: data files, sketches, bounded memory."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mase_text import parse
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.analysis.calibration import calibration_of
from mase_opt.lib.analysis.model import model_function
from mase_opt.lib.analysis.samples import (
    Input,
    inputs_of,
    load_samples,
    random_samples,
)
from mase_opt.lib.analysis.sketch import POINTS, RESERVOIR, Sketch
from mase_opt.lib.errors import UserError
from mase_opt.lib.transforms.mase_calibrate import calibrate

X = Input("x", (1, 3), False)
IDS = Input("ids", (2,), True)


# ---- data files -------------------------------------------------------------------


def test_samples_may_lack_the_batch_dimension(tmp_path: Path):
    data = np.arange(6.0).reshape(2, 3)
    for name, array in {"a": data, "b": data[:, None]}.items():
        np.savez(tmp_path / name, x=array, labels=np.zeros(2))
        [found] = load_samples(str(tmp_path / f"{name}.npz"), [X])
        assert found.shape == (2, 1, 3)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found[:, 0], data)


def test_one_array_serves_one_input(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.ones((4, 3)))
    np.savez(tmp_path / "b.npz", other=np.ones((4, 3)))
    for name in ("a.npy", "b.npz"):
        [found] = load_samples(str(tmp_path / name), [X], limit=3)
        assert found.shape == (3, 1, 3)


def test_integers_stay_integers(tmp_path: Path):
    np.savez(tmp_path / "a.npz", ids=np.array([[1, 2]], np.int32), x=np.ones((1, 3)))
    x, ids = load_samples(str(tmp_path / "a.npz"), [X, IDS])
    assert x.dtype == np.float32
    assert ids.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "inputs", "message"),
    [
        ({"y": np.ones((2, 3)), "z": np.ones(2)}, [X], "has no array 'x'"),
        ({"xx": np.ones((2, 3)), "z": np.ones(2)}, [X], "did you mean 'xx'?"),
        (
            {"x": np.ones((2, 4))},
            [X],
            "array 'x' has shape 2x4, expected Nx1x3 or Nx3 (N samples)",
        ),
        ({"x": np.float64(1)}, [X], "has shape scalar, expected"),
        ({"x": np.ones((0, 3))}, [X], "array 'x' holds no samples"),
        ({"x": np.array([["a", "b", "c"]])}, [X], "holds <U1, expected numbers"),
        ({"x": np.array([[1, None, 3]])}, [X], "not a .npz or .npy file of plain"),
        ({"ids": np.ones((2, 2))}, [IDS], "holds float64, expected integers"),
        (
            {"x": np.array([[1, 2, 3], [np.nan, np.inf, 0]])},
            [X],
            "holds 2 values that are NaN or infinite, the first in sample 1",
        ),
        (
            {"x": np.ones((2, 3)), "ids": np.ones((3, 2), int)},
            [X, IDS],
            "2 of 'x', 3 of 'ids'",
        ),
    ],
)
def test_data_that_does_not_fit(tmp_path: Path, arrays, inputs, message):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=re.escape(message)):
        load_samples(str(path), inputs)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut"])
def test_files_that_are_not_data(tmp_path: Path, content: bytes):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is not a \.npz or \.npy file"):
        load_samples(str(path), [X])


def test_no_file(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        load_samples(str(tmp_path / "data.npz"), [X])
    with pytest.raises(UserError, match="no such file"):
        load_samples(str(tmp_path), [X])


def test_one_array_for_two_inputs(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.ones((4, 3)))
    with pytest.raises(UserError, match=r"write a \.npz file with the arrays x, ids"):
        load_samples(str(tmp_path / "a.npy"), [X, IDS])


# ---- sketches ---------------------------------------------------------------------


@given(
    st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=300),
    st.integers(1, 50),
)
def test_few_numbers_give_exact_quantiles(values, step):
    values = np.array(values, np.float32)
    sketch = Sketch(0)
    for start in range(0, len(values), step):
        sketch.add(values[start : start + step])
    expected = np.quantile(values.astype(np.float64), np.linspace(0, 1, POINTS))
    np.testing.assert_array_equal(sketch.quantiles(), expected.astype(np.float32))


def test_many_numbers_in_any_batches():
    values = np.random.default_rng(1).standard_normal(20 * RESERVOIR)
    sketches = [Sketch(3), Sketch(3)]
    sketches[0].add(values)
    for part in np.array_split(values, 37):
        sketches[1].add(part)
    whole, parts = (s.quantiles() for s in sketches)
    np.testing.assert_array_equal(whole, parts)
    assert whole[0] == np.float32(values.min())
    assert whole[-1] == np.float32(values.max())
    inner = np.linspace(0, 1, POINTS)[5:-5]
    # Five standard errors of a quantile of RESERVOIR numbers, in probability.
    rank = np.searchsorted(np.sort(values), whole[5:-5]) / values.size
    assert np.abs(rank - inner).max() < 5 * np.sqrt(0.25 / RESERVOIR)


# ---- the pass's function ----------------------------------------------------------

WIDE = """
func.func @f(%x: tensor<1x4xf32>) -> tensor<1x1024xf32> {
  %0 = mase.broadcast %x : tensor<1x4xf32> -> tensor<1x256x1x4xf32>
  %1 = mase.reshape %0 : tensor<1x256x1x4xf32> -> tensor<1x1024xf32>
  %2 = mase.add %1, %1
    : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  func.return %2 : tensor<1x1024xf32>
}
"""


def test_memory_does_not_grow_with_samples(tmp_path: Path):
    """60,000 samples are 240 MB for each of three values."""
    path = str(tmp_path / "x.npy")
    np.save(path, np.ones((60_000, 4), np.float32))
    module = parse(WIDE)
    tracemalloc.start()
    calibrate(module, data=path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6
    total = model_function(module).get_return_op()
    assert total is not None
    quantiles = calibration_of(total.operands[0])
    assert quantiles is not None
    assert (quantiles == 2).all()


def test_random_indices_stay_inside_their_table():
    module = parse("""
func.func @f(%ids: tensor<1x2xi64>, %w: tensor<3x1xf32>) -> tensor<1x2x1xf32> {
  %0 = mase.reshape %ids : tensor<1x2xi64> -> tensor<1x2xi64>
  %1 = mase.embedding %w, %0
    : (tensor<3x1xf32>, tensor<1x2xi64>) -> tensor<1x2x1xf32>
  func.return %1 : tensor<1x2x1xf32>
}""")
    ids, _ = random_samples(model_function(module), 100, seed=0)
    assert set(ids.ravel().tolist()) == {0, 1, 2}


LOG = """
func.func @f(%x: tensor<1xf32> {mase.name = "x"}) -> tensor<1xf32> {
  %0 = mase.log %x {layer = "head.log"} : (tensor<1xf32>) -> tensor<1xf32>
  func.return %0 : tensor<1xf32>
}"""


@pytest.mark.parametrize(("value", "problem"), [(-1, "NaN"), (0, "infinite")])
def test_values_that_are_no_numbers_are_named(tmp_path: Path, value, problem):
    np.savez(tmp_path / "x.npz", x=np.full(3, value))
    message = rf"'head.log' \(mase.log\) is {problem} for"
    with pytest.raises(PassFailedException, match=message):
        calibrate(parse(LOG), data=str(tmp_path / "x.npz"))


def test_infinities_among_numbers_are_large(tmp_path: Path):
    module = parse(LOG)
    np.savez(tmp_path / "x.npz", x=np.array([0, 1, 1]))
    calibrate(module, data=str(tmp_path / "x.npz"))
    total = model_function(module).get_return_op()
    assert total is not None
    quantiles = calibration_of(total.operands[0])
    assert quantiles is not None
    assert quantiles[0] == -np.finfo(np.float32).max
    assert quantiles[-1] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module {\n}", "not a model: expected one function, found none"),
        (
            "func.func @f() {\n func.call @f() : () -> ()\n func.return\n}",
            r"not in the mase dialect: func.call \(1\); convert the module first",
        ),
    ],
)
def test_modules_without_a_model(text, message):
    with pytest.raises(PassFailedException, match=message):
        calibrate(parse(text))


def test_values_without_elements_are_named(tmp_path: Path):
    np.savez(tmp_path / "x.npz", x=np.ones((3, 1, 2)))
    text = """
    func.func @f(%x: tensor<1x2xf32>) -> tensor<1x0xf32> {
      %0 = mase.slice %x {starts = array<i64: 0, 0>, stops = array<i64: 1, 0>,
        strides = array<i64: 1, 1>} : tensor<1x2xf32> -> tensor<1x0xf32>
      func.return %0 : tensor<1x0xf32>
    }
    """
    with pytest.raises(PassFailedException, match="no elements: its shape is 1x0"):
        calibrate(parse(text), data=str(tmp_path / "x.npz"))


def test_counts_without_meaning():
    with pytest.raises(UserError, match="seed is -1, expected at least 0"):
        calibrate(parse(WIDE), seed=-1)
    with pytest.raises(UserError, match="samples is 0, expected at least 1"):
        calibrate(parse(WIDE), samples=0)


def test_inputs_without_names_are_numbered():
    assert [i.name for i in inputs_of(model_function(parse(WIDE)))] == ["arg0"]


def test_a_terminal_gets_a_progress_bar(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    path = str(tmp_path / "x.npy")
    np.save(path, np.ones((5000, 4), np.float32))
    calibrate(parse(WIDE), data=path)
    captured = capsys.readouterr()
    assert "calibrating" in captured.err
    assert captured.out == ""
