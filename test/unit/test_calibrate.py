"""Calibration: data files, sketches, bounded memory."""

import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mase_text import parse
from xdsl.utils.exceptions import PassFailedException, VerifyException

from mase_opt.dialects.mase.attrs import CalibrationAttr, DenseAttr, quantile_grid
from mase_opt.lib.analysis import observation
from mase_opt.lib.analysis.calibration import (
    calibration_of,
    channel_axis,
    channels_of,
    quantile_weights,
)
from mase_opt.lib.analysis.sketch import (
    CHANNEL_POINTS,
    KEPT,
    POINTS,
    ChannelSketch,
    Sketch,
)
from mase_opt.lib.data.array_files import LARGE
from mase_opt.lib.data.samples import (
    Input,
    inputs_of,
    load_labels,
    load_samples,
    random_samples,
)
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import (
    Fixed,
    FormatSpec,
    Method,
    ScaledSpec,
    ScaleLayout,
    choose_format,
)
from mase_opt.lib.formats.clipping import squared_error
from mase_opt.lib.interpreters.mase import main_function
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.model.metrics import accuracy

X = Input("x", (1, 3), None)
IDS = Input("ids", (2,), range(-128, 128))


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
            "holds 2 values that are NaN or infinite in float32, the first in sample 1",
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


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_large_arrays_are_what_they_were(tmp_path: Path, save):
    values = np.arange(LARGE // 4 + 2, dtype=np.float32).reshape(-1, 3) % 100
    save(tmp_path / "a.npz", other=np.arange(3), x=values)
    samples = load_samples(str(tmp_path / "a.npz"), [X], limit=5)
    np.testing.assert_array_equal(samples[0][:, 0], values[:5])
    values[-2, 1] = np.inf
    for order in ("C", "F"):
        np.save(tmp_path / "b.npy", np.asarray(values, order=order))
        with pytest.raises(UserError, match=f"1 values .* sample {len(values) - 2}"):
            load_samples(str(tmp_path / "b.npy"), [X])


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_large_arrays_stay_in_the_file(tmp_path: Path, name):
    values = np.ones((20_000_000 // 3, 3), np.float32)
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, values)
    tracemalloc.start()
    [samples] = load_samples(str(tmp_path / name), [X])
    assert samples[7_000_00:7_000_10].sum() == 30
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6 < values.nbytes


def test_large_files_that_are_cut_off(tmp_path: Path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((LARGE // 4, 3), np.float32))
    path.write_bytes(path.read_bytes()[: LARGE + 10])
    with pytest.raises(UserError, match=r"is not a \.npz or \.npy file"):
        load_samples(str(path), [X])


@pytest.mark.parametrize("names", [("x", "x"), ("arg1", None)])
def test_two_inputs_of_one_name(names: tuple[str, str | None]):
    arguments = ", ".join(
        f"%{i}: tensor<1xf32>" + (f' {{mase.name = "{n}"}}' if n else "")
        for i, n in enumerate(names)
    )
    module = parse(f"func.func @f({arguments}) {{func.return}}")
    with pytest.raises(UserError, match=f"0 and 1 .* are both called '{names[0]}'"):
        inputs_of(main_function(module))


def npy(header: str, data: bytes = bytes(24)) -> bytes:
    """A `.npy` file with this header."""
    text = f"{header}\n".encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def header(shape: str = "(2, 3)", kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"


def test_the_header_decides(tmp_path: Path):
    (tmp_path / "x.npy").write_bytes(npy(header(), np.arange(6, dtype="<f4").tobytes()))
    [found] = load_samples(str(tmp_path / "x.npy"), [X])
    assert found.ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(header("(21333333333, 3)")), "says 238.4 GiB, shape (21333333333, 3)"),
        (npy(header("(1, 3)")), "says 12 bytes, shape (1, 3) of float32, but there"),
        (npy(header("(-2, -3)")), "says shape (-2, -3)"),
        (npy(header(kind="<f8")), "says 48 bytes, shape (2, 3) of float64, but there"),
        (npy(header(kind="|O")), "it holds Python objects"),
        (npy(header("(2, 3")), "EOF in multi-line statement"),
        (npy("[" * 9000), "is not a .npz or .npy file of plain numbers"),
        (npy("{'descr"), "is not a .npz or .npy file of plain numbers"),
    ],
)
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_headers_that_are_wrong(
    tmp_path: Path, name: str, content: bytes, message: str
):
    path = tmp_path / name
    if name == "x.npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)):
        load_samples(str(path), [X])


DAMAGE: dict[str, tuple[int, int, str]] = {
    # offset from the start (or, if negative, from the central directory), bits, error
    "stored data": (-6, 1, "Bad CRC-32"),
    "compressed data": (-12, 0xFF, "is not a .npz or .npy file of plain numbers"),
    "encrypted": (8, 1, "is encrypted"),
    "compression": (10, 99, "compression method is not supported"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_bit_flips_in_archives(tmp_path: Path, kind: str):
    offset, bits, message = DAMAGE[kind]
    path = tmp_path / "x.npz"
    save = np.savez_compressed if kind == "compressed data" else np.savez
    save(path, x=np.arange(6.0).reshape(2, 3))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] ^= bits
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)):
        load_samples(str(path), [X])


def test_memory_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> NoReturn:
        raise MemoryError("Unable to allocate 238. GiB")

    np.savez(tmp_path / "x.npz", x=np.ones((2, 3)))
    monkeypatch.setattr(np, "frombuffer", fails)
    with pytest.raises(UserError, match=r"not fit in memory: Unable to allocate 238\."):
        load_samples(str(tmp_path / "x.npz"), [X])


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("<f8", 3e38, 1e300), ("<f8", -3e38, -1e39), ("<i8", 1 << 62, None)],
)
def test_numbers_are_those_of_float32(tmp_path: Path, kind: str, good: float, bad):
    values = np.array([[0, 0, 0], [0, good, 0]], kind)
    np.save(tmp_path / "x.npy", values)
    [found] = load_samples(str(tmp_path / "x.npy"), [X])
    assert found[1, 0, 1] == np.float32(good)
    if bad is not None:
        values[1, 1] = bad
        np.save(tmp_path / "x.npy", values)
        with pytest.raises(UserError, match=r"1 values .* float32, .* sample 1"):
            load_samples(str(tmp_path / "x.npy"), [X])


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int16])
def test_integers_are_those_of_the_type(tmp_path: Path, dtype):
    values = np.array([[1, 2], [127, 0], [128, 1]], dtype)
    np.save(tmp_path / "ids.npy", values)
    [found] = load_samples(str(tmp_path / "ids.npy"), [IDS], limit=2)
    assert found.tolist() == [[1, 2], [127, 0]]
    with pytest.raises(UserError, match=r"1 values .* not in -128 to 127, .* sample 2"):
        load_samples(str(tmp_path / "ids.npy"), [IDS])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["a", "b"]), "array 'labels' holds <U1, expected numbers of classes"),
        (np.array([0, 0.5]), "holds 0.5, expected whole numbers"),
        (np.array([np.nan, 1]), "holds nan, expected whole numbers"),
        (np.array([1]), "has shape 1, expected one label for each of the 2 samples"),
        (np.array([[1, 2]]), "has shape 1x2, expected one label"),
        (np.array([0, 3]), "label 3 of sample 1 is no class: the model has 3"),
        (np.array([0, -1]), "label -1 of sample 1 is no class"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: np.ndarray, message: str):
    np.savez(tmp_path / "x.npz", labels=labels)
    with pytest.raises(UserError, match=re.escape(message)):
        accuracy(np.eye(3)[:2], load_labels(str(tmp_path / "x.npz"), 2))


def test_labels_are_compared(tmp_path: Path):
    for labels in (
        np.array([0, 2, 9]),
        np.array([0.0, 2.0, 9.0]),
        np.array([0, 2, 9], "u1"),
    ):
        np.savez(tmp_path / "x.npz", y=labels)
        assert accuracy(np.eye(3)[:2], load_labels(str(tmp_path / "x.npz"), 2)) == 0.5
    assert accuracy(np.array([[1.0], [2.0]]), np.array([1, 1])) == 0.5
    with pytest.raises(UserError, match="a single number"):
        accuracy(np.array([[0.3], [2.0]]), np.array([0, 1]))


# ---- sketches ---------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([-3.0, -0.1, 0.0, 1e-30, 0.3, 2.0, 1e30]), min_size=1),
    st.integers(1, 50),
)
def test_few_different_numbers_give_exact_quantiles(values, step):
    values = np.array(values, np.float32)
    sketch = Sketch()
    for start in range(0, len(values), step):
        sketch.add(values[start : start + step])
    grid = quantile_grid(POINTS)
    expected = np.quantile(values, grid, method="inverted_cdf")
    np.testing.assert_array_equal(sketch.quantiles(), expected)


NUMBERS = np.random.default_rng(1).standard_t(3, 200_000).astype(np.float32)


def test_many_numbers_in_any_batches_and_order():
    whole, parts, mixed = Sketch(), Sketch(), Sketch()
    whole.add(NUMBERS)
    for part in np.array_split(NUMBERS, 37):
        parts.add(part)
    mixed.add(np.random.default_rng(2).permutation(NUMBERS))
    quantiles = whole.quantiles()
    np.testing.assert_array_equal(parts.quantiles(), quantiles)
    np.testing.assert_array_equal(mixed.quantiles(), quantiles)
    assert (quantiles[0], quantiles[-1]) == (NUMBERS.min(), NUMBERS.max())
    exact = np.quantile(NUMBERS, quantile_grid(POINTS), method="inverted_cdf")
    np.testing.assert_allclose(quantiles, exact, rtol=1 / 64)


def test_channels_in_any_batches():
    values = NUMBERS.reshape(-1, 5) * np.float32([1, 2, 3, 4, 5])
    whole, parts = (ChannelSketch(np.random.SeedSequence(3)) for _ in range(2))
    whole.add(values)
    for part in np.array_split(values, 61):
        parts.add(part)
    quantiles = whole.quantiles()
    np.testing.assert_array_equal(parts.quantiles(), quantiles)
    np.testing.assert_array_equal(quantiles[:, 0], values.min(axis=0))
    np.testing.assert_array_equal(quantiles[:, -1], values.max(axis=0))
    for channel, found in zip(values.T, quantiles, strict=True):
        rank = np.searchsorted(np.sort(channel), found[1:-1]) / len(channel)
        grid = quantile_grid(CHANNEL_POINTS)[1:-1]
        # Five standard errors of a quantile of `KEPT` numbers, in probability.
        error = 5 * np.sqrt(grid * (1 - grid) / KEPT) + 1 / KEPT
        assert (np.abs(rank - grid) < error).all()


def test_few_places_give_exact_channels():
    values = np.float32([[1, -2], [3, 0], [2, 5]])
    sketch = ChannelSketch(np.random.SeedSequence(0))
    for row in values:
        sketch.add(row[None])
    expected = np.quantile(
        values, quantile_grid(CHANNEL_POINTS), axis=0, method="inverted_cdf"
    )
    np.testing.assert_array_equal(sketch.quantiles(), expected.T)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("method", Method)
def test_quantiles_choose_as_all_numbers_do(width, method):
    rng = np.random.default_rng(0)
    for numbers in (
        NUMBERS,
        np.maximum(rng.standard_normal(200_000), 0),
        rng.laplace(size=200_000),
        rng.uniform(-1, 2, 200_000),
        rng.integers(0, 17, 200_000) / 16,
    ):
        sketch = Sketch()
        sketch.add(numbers)
        for spec in (
            ScaledSpec(Fixed(width, 0, bool(numbers.min() < 0))),
            FormatSpec(width=width),
        ):
            quantiles = sketch.quantiles().astype(np.float64)
            full = choose_format(spec, numbers.astype(np.float64), method=method)
            found = choose_format(
                spec, quantiles, weights=quantile_weights(POINTS), method=method
            )
            if method in (Method.MINMAX, Method.PERCENTILE):
                assert found.step == pytest.approx(full.step, rel=0.04)
            elif method is Method.MSE:
                best = squared_error(numbers, full)
                assert squared_error(numbers, found) <= 1.1 * best
            else:
                # The full histogram is noisy, so its choice is, too.
                if isinstance(spec, ScaledSpec):
                    assert 0.65 <= found.step / full.step <= 1.5
                assert squared_error(numbers, found) <= 2 * squared_error(numbers, full)


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


CONV = """
func.func @f(%x: tensor<1x3x6x6xf32>, %w: tensor<2x3x3x3xf32>)
    -> tensor<1x32xf32> {
  %0 = mase.add %x, %x
    : (tensor<1x3x6x6xf32>, tensor<1x3x6x6xf32>) -> tensor<1x3x6x6xf32>
  %1 = mase.conv2d %0, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>,
    dilation = array<i64: 1, 1>, groups = 1 : i64}
    : (tensor<1x3x6x6xf32>, tensor<2x3x3x3xf32>) -> tensor<1x2x4x4xf32>
  %2 = mase.relu %1 : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %3 = mase.reshape %2 : tensor<1x2x4x4xf32> -> tensor<1x32xf32>
  func.return %3 : tensor<1x32xf32>
}
"""


def calibrated(text, monkeypatch, batch=None, **options):
    if batch is not None:
        monkeypatch.setattr(observation, "BATCH_ELEMENTS", batch)
    module = parse(text)
    calibrate(module, **options)
    return module


def test_the_result_is_the_same_for_every_batch_size(tmp_path: Path, monkeypatch):
    rng = np.random.default_rng(0)
    data = tmp_path / "x.npz"
    np.savez(
        data,
        arg0=rng.standard_normal((50, 3, 6, 6)),
        arg1=rng.standard_normal((50, 2, 3, 3, 3)),
    )
    texts = {
        str(calibrated(CONV, monkeypatch, batch, data=str(data), channels=True))
        for batch in (1, 1000, 1 << 22)
    }
    assert len(texts) == 1


def test_channels_are_those_of_the_layers(tmp_path: Path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3, 6, 6)).astype(np.float32)
    x *= np.float32([1, 10, 0.1])[:, None, None]
    np.savez(tmp_path / "x.npz", arg0=x, arg1=np.ones((50, 2, 3, 3, 3)))
    options = {"data": str(tmp_path / "x.npz"), "channels": True}
    function = model_function(calibrated(CONV, monkeypatch, **options))
    ops = list(function.body.block.ops)
    axes = [
        channel_axis(v) for v in (function.args[0], *(o.results[0] for o in ops[:4]))
    ]
    assert axes == [1, 1, 1, 1, 1]
    found = channels_of(function.args[0])
    assert found is not None
    np.testing.assert_array_equal(found.low, x.min(axis=(0, 2, 3)))
    np.testing.assert_array_equal(found.high, x.max(axis=(0, 2, 3)))
    np.testing.assert_array_equal(found.largest, np.abs(x).max(axis=(0, 2, 3)))
    values, weights = found.sample(rank=4)
    assert values.shape == weights.shape == (CHANNEL_POINTS, 3, 1, 1)
    for method in Method:
        spec = ScaledSpec(Fixed(8, 0), ScaleLayout(1))
        whole = choose_format(spec, x[:, :, None].astype(np.float64), method=method)
        chosen = choose_format(spec, values, weights=weights, method=method)
        ratio = chosen.scales / whole.scales
        assert ((ratio > 0.7) & (ratio < 1.4)).all()
        if method is Method.MINMAX:
            np.testing.assert_array_equal(ratio, 1)
    flat = channels_of(ops[3].results[0])
    assert flat is not None
    assert flat.sample(rank=2)[0].shape == (CHANNEL_POINTS, 32)


@pytest.mark.filterwarnings("ignore:no calibration data")
def test_nothing_is_recorded_of_channels_unless_asked(monkeypatch):
    function = model_function(calibrated(CONV, monkeypatch, samples=3))
    assert calibration_of(function.args[0]) is not None
    assert channels_of(function.args[0]) is None


def test_weights_are_of_the_quantiles():
    for points in (1, 3, 65, 1025):
        weights = quantile_weights(points)
        assert weights.sum() == pytest.approx(1)
        assert (weights > 0).all()
    values = np.quantile(NUMBERS, quantile_grid(POINTS), method="inverted_cdf")
    mean = np.average(np.abs(values), weights=quantile_weights(POINTS))
    assert mean == pytest.approx(np.abs(NUMBERS).mean(), rel=0.01)


def test_attributes_of_channels():
    quantiles = DenseAttr.from_array(np.float32([0, 1, 2]))
    channels = DenseAttr.from_array(np.float32([0, 1, 1, 0, 0, 2]))
    attribute = CalibrationAttr(quantiles, 1, channels)
    assert attribute.channel_array(2).tolist() == [[0, 1, 1], [0, 0, 2]]
    with pytest.raises(VerifyException, match="6 quantiles of 4 channels"):
        attribute.channel_array(4)
    with pytest.raises(VerifyException, match="quantiles are i8"):
        CalibrationAttr(quantiles, 1, DenseAttr.from_array(np.int8([0, 1, 1])))
    with pytest.raises(VerifyException, match="quantiles of channels need an axis"):
        CalibrationAttr(quantiles, None, channels)
    text = f"""func.func @f(%x: tensor<1x2xf32> {{mase.calibration = {attribute}}})
      -> tensor<1x2xf32> {{
      func.return %x : tensor<1x2xf32>
    }}"""
    found = channels_of(model_function(parse(text)).args[0])
    assert found is not None
    assert found.high.tolist() == [1, 2]
