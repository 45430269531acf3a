"""Pruning: exact counts, the right ones, and zeros that stay zeros."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mase_text import parse
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.layers import (
    Conv2dOp,
    ConvTranspose2dOp,
    LinearOp,
    MatmulOp,
)
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.frontend.load_model import load_model
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import aliases
from mase_opt.lib.formats.catalog import EXAMPLES
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.pruning import all_but_highest, lowest
from mase_opt.lib.transforms.mase_prune import MasePrunePass
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FEW = st.sampled_from([0.0, 0.5, 1.0, 2.0, np.inf])
"""Scores with many ties."""


def one_layer(shape: tuple[int, ...], weight: np.ndarray, make) -> ModuleOp:
    """The op that `make(x, weight)` gives, in a function of `x`."""
    function = FuncOp("f", ((TensorType(f32, shape),), ()))
    constant = ConstantOp.of(weight.astype(np.float32), f32, "weight")
    op = make(function.args[0], constant.result)
    function.body.block.add_ops([constant, op, ReturnOp(op.result)])
    function.update_function_type()
    return ModuleOp([function])


def linear(weight: np.ndarray) -> ModuleOp:
    return one_layer(
        (1, weight.shape[1]), weight, lambda x, w: LinearOp(x, w, layer="fc")
    )


def constants(module: ModuleOp) -> dict[str, np.ndarray]:
    return {
        op.value.label: op.array() for op in module.walk() if isinstance(op, ConstantOp)
    }


def pruned(module: ModuleOp, **options) -> np.ndarray:
    """The constant 'weight' after pruning."""
    MasePrunePass(**options).apply(Context(), module)
    module.verify()
    return constants(module)["weight"]


@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=7), elements=FEW),
    st.data(),
)
def test_exactly_the_lowest(scores, data):
    count = data.draw(st.integers(0, scores.size))
    [mask] = lowest([scores], count)
    # Of equal scores the first: what a stable sort puts first.
    order = np.argsort(scores.reshape(-1), kind="stable")
    expected = np.zeros(scores.size, bool)
    expected[order[:count]] = True
    np.testing.assert_array_equal(mask.reshape(-1), expected)


@given(st.lists(hnp.arrays(np.float32, st.integers(0, 9), elements=FEW)), st.data())
def test_the_lowest_of_many_are_those_of_one(parts, data):
    count = data.draw(st.integers(0, sum(map(len, parts))))
    masks = lowest(parts, count)
    if parts:
        [together] = lowest([np.concatenate(parts)], count)
        np.testing.assert_array_equal(np.concatenate(masks), together)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=FEW),
    st.integers(1, 9),
    st.data(),
)
def test_groups_keep_their_highest(scores, group, data):
    keep = data.draw(st.integers(0, group))
    mask = all_but_highest(scores, keep, group)
    for row, pruned in zip(scores, mask, strict=True):
        for start in range(0, len(row), group):
            part, gone = row[start : start + group], pruned[start : start + group]
            assert (~gone).sum() == min(keep, len(part))
            if gone.any() and not gone.all():
                assert part[gone].max() <= part[~gone].min()


WEIGHT = np.array([[3.0, -1.0, 0.5, 0.25, 4.0], [2.0, 2.0, 1.5, -2.0, 1.0]])


@pytest.mark.parametrize("sparsity", [0.0, 1.0, 0.5, 0.3, 0.05])
@pytest.mark.parametrize("method", ["magnitude", "random"])
@pytest.mark.parametrize("scope", ["local", "global"])
def test_shares_are_exact(sparsity: float, method: str, scope: str) -> None:
    weight = pruned(linear(WEIGHT), sparsity=sparsity, method=method, scope=scope)
    assert (weight == 0).sum() == round(10 * sparsity)
    kept = weight != 0
    np.testing.assert_array_equal(weight[kept], WEIGHT[kept].astype(np.float32))
    assert not np.signbit(weight[~kept]).any()


def test_random_follows_the_seed() -> None:
    weights = [pruned(linear(WEIGHT), method="random", seed=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_zeros_count() -> None:
    weight = np.array([[0.0, -0.0, 1.0, 2.0]])
    np.testing.assert_array_equal(pruned(linear(weight)), [[0, 0, 1, 2]])


def test_norms_of_channels() -> None:
    # Means 1.75 and 1.7, mean squares 5.26 and 3.05.
    rows = pruned(linear(WEIGHT), granularity="channel", norm="l1").any(axis=1)
    assert rows.tolist() == [True, False]
    # Means 1 and 1.2, mean squares 3 and 1.44.
    weight = np.array([[3.0, 0.0, 0.0], [1.2, 1.2, 1.2]])
    rows = pruned(linear(weight), granularity="channel", norm="l1").any(axis=1)
    assert rows.tolist() == [False, True]
    rows = pruned(linear(weight), granularity="channel").any(axis=1)
    assert rows.tolist() == [True, False]


def test_squares_of_channels_do_not_overflow() -> None:
    weight = np.array([[3e30, 3e30], [1e30, 1e30]])
    rows = pruned(linear(weight), granularity="channel").any(axis=1)
    assert rows.tolist() == [True, False]


OPS = {
    "conv2d": ((1, 4, 5, 5), (6, 2, 3, 2), lambda x, w: Conv2dOp(x, w, groups=2)),
    "conv_transpose2d": (
        (1, 6, 3, 3),
        (6, 2, 3, 2),
        lambda x, w: ConvTranspose2dOp(x, w, groups=3),
    ),
    "matmul_rhs": ((3, 2, 5), (3, 5, 4), MatmulOp),
    "matmul_lhs": ((3, 5, 2), (3, 4, 5), lambda x, w: MatmulOp(w, x)),
}


@pytest.mark.parametrize("name", list(OPS))
def test_channels_are_outputs(name: str) -> None:
    """What is pruned is what a zero in the result depends on."""
    shape, weight_shape, make = OPS[name]
    weight = np.random.default_rng(0).uniform(1, 2, weight_shape)
    module = one_layer(shape, weight, make)
    [before] = evaluate(module, [np.ones((1, *shape), np.float32)])
    pruned(module, granularity="channel", sparsity=0.5)
    [after] = evaluate(module, [np.ones((1, *shape), np.float32)])
    assert (after == 0).mean() == 0.5
    np.testing.assert_array_equal(after[after != 0], before[after != 0])


@pytest.mark.parametrize("name", list(OPS))
def test_patterns_run_along_what_is_summed(name: str) -> None:
    shape, weight_shape, make = OPS[name]
    weight = pruned(one_layer(shape, np.ones(weight_shape), make), granularity="1:3")
    match name:
        case "conv2d":
            rows = weight.reshape(6, 12)
        case "conv_transpose2d":
            rows = weight.reshape(3, 2, 2, 6).transpose(0, 2, 1, 3).reshape(6, 12)
        case "matmul_rhs":
            rows = weight.transpose(0, 2, 1).reshape(12, 5)
        case _:
            rows = weight.reshape(12, 5)
    # Of equal ones the last stays.
    expected = np.arange(rows.shape[1]) % 3 == 2
    if rows.shape[1] % 3:
        expected[-1] = True
    np.testing.assert_array_equal(rows != 0, np.broadcast_to(expected, rows.shape))


def test_embeddings_only_by_element() -> None:
    text = """
func.func @f(%i: tensor<3xi64>) -> tensor<3x2xf32> {
  %w = mase.constant <f32, [4.0, 3.0, 2.0, 1.0]> : tensor<2x2xf32>
  %y = mase.embedding %w, %i {layer = "wte"}
    : (tensor<2x2xf32>, tensor<3xi64>) -> tensor<3x2xf32>
  func.return %y : tensor<3x2xf32>
}"""
    module = parse(text)
    MasePrunePass().apply(Context(), module)
    assert constants(module)["data"].tolist() == [[4, 3], [0, 0]]
    with pytest.raises(PassFailedException, match="to prune by what an output sums"):
        MasePrunePass(granularity="2:4", layers="wte").apply(Context(), parse(text))


def test_a_shared_weight_is_pruned_for_the_layers_that_are_named() -> None:
    module = parse("""
func.func @f(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [4.0, 3.0, 2.0, 1.0]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "a.0"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %1 = mase.linear %0, %w {layer = "b"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %1 : tensor<1x2xf32>
}""")
    MasePrunePass(layers=r"a\.\d").apply(Context(), module)
    module.verify()
    first, second = (op for op in module.walk() if isinstance(op, LinearOp))
    assert first.weight.owner.array().tolist() == [[4, 3], [0, 0]]
    assert second.weight.owner.array().tolist() == [[4, 3], [2, 1]]


@pytest.mark.parametrize(
    ("granularity", "zeros"),
    # Half of 4001 channels is rounded to an even number.
    [("element", 10_002_500), ("channel", 2000 * 5000), ("2:4", 10_002_500)],
)
def test_twenty_million_weights(granularity: str, zeros: int) -> None:
    # More weights than there are float32 numbers from 1 to 2.
    weight = 1 + np.random.default_rng(0).random((4001, 5000), np.float32)
    result = pruned(linear(weight), granularity=granularity)
    assert (result == 0).sum() == zeros


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
@pytest.mark.parametrize("granularity", ["element", "channel", "2:4"])
def test_empty_and_single_weights(shape: tuple[int, int], granularity: str) -> None:
    assert pruned(linear(np.ones(shape)), granularity=granularity).shape == shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": -0.1}, "sparsity is -0.1, expected 0 to 1"),
        ({"sparsity": np.nan}, "sparsity is nan, expected 0 to 1"),
        ({"seed": -1}, "seed is -1, expected at least 0"),
        ({"method": "magntude"}, "expected magnitude or random; did you mean 'mag"),
        ({"scope": "all"}, "scope is 'all', expected local or global"),
        ({"norm": "l3"}, "norm is 'l3', expected l2 or l1"),
        ({"granularity": "4:2"}, "granularity is '4:2', expected element, channel, "),
        ({"granularity": "0:0"}, "granularity is '0:0', expected element, channel, "),
        ({"granularity": "2:4", "sparsity": 0.5}, "sparsity has no meaning for the "),
        ({"granularity": "2:4", "scope": "global"}, "scope has no meaning for the "),
    ],
)
def test_options_without_meaning(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MasePrunePass(**options)


def test_other_mistakes() -> None:
    with pytest.raises(UserError, match="format is 'cvs', expected one of table, csv"):
        MasePrunePass(format="cvs")
    with pytest.raises(UserError, match=r"'fc\(' is not a regular expression"):
        pruned(linear(WEIGHT), layers="fc(")


def test_the_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    pruned(linear(WEIGHT), sparsity=0.3, format="json", output=str(path))
    assert json.loads(path.read_text()) == {
        "rows": [
            {
                "layer": "fc",
                "operation": "linear",
                "weight": "weight",
                "shape": "2x5",
                "size": 10,
                "zeros": 3,
                "sparsity": 0.3,
            }
        ],
        "total": {
            "layer": "total",
            "operation": None,
            "weight": None,
            "shape": None,
            "size": 10,
            "zeros": 3,
            "sparsity": 0.3,
        },
    }


@pytest.fixture
def calibration(tmp_path: Path) -> str:
    path = tmp_path / "x.npz"
    np.savez(path, arg0=np.random.default_rng(0).standard_normal((32, 70)))
    return str(path)


def quantized_weight(format: str, calibration: str) -> tuple[np.ndarray, np.ndarray]:
    """Which weights of a layer are pruned, and what they are once quantized."""
    weight = np.random.default_rng(1).normal(0.1, 0.3, (6, 70))
    module = linear(weight)
    zero = pruned(module, sparsity=0.8) == 0
    MaseQuantizePass(weight_format=format, data=calibration).apply(Context(), module)
    module.verify()
    return zero, constants(module)["weight"]


@pytest.mark.parametrize(
    "format", [name for name in (*EXAMPLES, *aliases.names()) if name != "binary"]
)
def test_zeros_stay_zeros_when_quantized(format: str, calibration: str) -> None:
    zero, weight = quantized_weight(format, calibration)
    assert zero.sum() == 336
    assert (weight[zero] == 0).all()
    assert weight[~zero].any()


def test_binary_has_no_zero(calibration: str) -> None:
    zero, weight = quantized_weight("binary", calibration)
    assert (weight[zero] == 1).all()
    assert set(weight[~zero].tolist()) == {-1.0, 1.0}


def test_a_logarithm_without_zero_has_none(calibration: str) -> None:
    zero, weight = quantized_weight("log<4, 3, no_zero>", calibration)
    assert (weight[zero] == 2.0**-3).all()


@pytest.mark.parametrize(
    ("name", "least"), [("mlp", 335), ("cnn", 300), ("transformer", 340)]
)
def test_digits_at_half_the_weights(name: str, least: int) -> None:
    module = load_model(str(DIGITS / f"{name}.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    data = "mlp" if name == "mlp" else "cnn"
    with np.load(DIGITS / f"{data}_test.npz") as file:
        x, labels = file["x"][:, None], file["labels"]

    def correct(**options) -> int:
        copy = module.clone()
        MasePrunePass(**options).apply(Context(), copy)
        [scores] = evaluate(copy, [x])
        return int((scores[:, 0].argmax(1) == labels).sum())

    assert correct() >= least > correct(method="random")
