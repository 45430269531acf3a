"""Methods of post-training quantization: what they do, exactly; and with odd models."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mase_text import parse
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.layers import (
    Floats,
    largest,
    layers,
    numbers,
    set_parameters,
    weight_channels,
)
from mase_opt.lib.analysis.moments import MatrixLayer, as_matrices, input_moments
from mase_opt.lib.data.samples import encode_inputs
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError, parse_spec
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.grid import grid_of
from mase_opt.lib.interpreters.kernels.values import decode
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.lib.quantization.quantized_copy import quantized_weight
from mase_opt.lib.transforms.mase_clip import RATIOS, MaseClipPass
from mase_opt.lib.transforms.mase_correct_bias import MaseCorrectBiasPass
from mase_opt.lib.transforms.mase_equalize import MaseEqualizePass
from mase_opt.lib.transforms.mase_gptq import MaseGptqPass, round_columns
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass
from mase_opt.lib.transforms.mase_set_recipe import MaseSetRecipePass
from mase_opt.lib.transforms.mase_smooth import MaseSmoothPass

CONV = (
    "strides = array<i64: {0}, {0}>, padding = array<i64: {1}, {1}>, "
    "dilation = array<i64: 1, 1>"
)


def model(body: str, argument: str, result: str, *, seed: int = 0) -> ModuleOp:
    """A function whose `CONST<AxB>` are constants of normal numbers."""
    rng = np.random.default_rng(seed)

    def constant(match: re.Match[str]) -> str:
        shape = [int(n) for n in match[1].split("x")]
        values = rng.standard_normal(shape).astype(np.float32).ravel()
        text = ", ".join(repr(float(v)) for v in values)
        return f"mase.constant <f32, [{text}]> : tensor<{match[1]}xf32>"

    lines = re.sub(r"CONST<([0-9x]+)>", constant, body)
    return parse(
        f"func.func @f(%x: tensor<{argument}xf32>) -> tensor<{result}xf32> {{\n"
        f"{lines}\nfunc.return %y : tensor<{result}xf32>\n}}"
    )


def linear(inputs: int, outputs: int, *, bias: bool = True) -> ModuleOp:
    shape = f"(tensor<1x{inputs}xf32>, tensor<{outputs}x{inputs}xf32>"
    body = f"%w = CONST<{outputs}x{inputs}>\n"
    if bias:
        body += f"%b = CONST<{outputs}>\n%y = mase.linear %x, %w, %b "
        shape += f", tensor<{outputs}xf32>"
    else:
        body += "%y = mase.linear %x, %w "
    body += f'{{layer = "fc"}} : {shape}) -> tensor<1x{outputs}xf32>'
    return model(body, f"1x{inputs}", f"1x{outputs}")


def samples(module: ModuleOp, count: int = 40, seed: int = 1) -> list[Any]:
    rng = np.random.default_rng(seed)
    [argument] = model_function(module).args
    shape = (count, *shape_of(argument))
    return [rng.standard_normal(shape).astype(np.float32)]


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    """Writes samples into a file; gives the options of passes that read it."""

    def save(inputs: list[Any]) -> dict[str, Any]:
        np.savez(tmp_path / "data.npz", x=inputs[0])
        return {"data": str(tmp_path / "data.npz")}

    return save


def apply(module: ModuleOp, method: ModulePass) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.apply(Context(), module)
    module.verify()


def result(module: ModuleOp, inputs: list[Any]) -> np.ndarray[Any, Any]:
    return evaluate(module, inputs)[0]


def quantized_result(module: ModuleOp, inputs: list[Any]) -> np.ndarray[Any, Any]:
    """The numbers that a quantized module gives."""
    function = model_function(module)
    [found] = evaluate(module, encode_inputs(function, inputs))
    returned = function.get_return_op()
    assert returned is not None
    return decode(found, element_of(returned.operands[0]))


def layer(module: ModuleOp, index: int = 0) -> Any:
    return layers(model_function(module))[index]


# ---- channels ---------------------------------------------------------------------

CONV2 = f"{CONV.format(1, 1)}, groups = 2 : i64"
PAIRS = {
    "depthwise": (
        f"""%w1 = CONST<4x3x3x3>
        %b1 = CONST<4>
        %w2 = CONST<4x1x3x3>
        %1 = mase.conv2d %x, %w1, %b1 {{{CONV.format(1, 1)}}}
          : (tensor<1x3x6x6xf32>, tensor<4x3x3x3xf32>, tensor<4xf32>)
          -> tensor<1x4x6x6xf32>
        %2 = mase.relu %1 : (tensor<1x4x6x6xf32>) -> tensor<1x4x6x6xf32>
        %y = mase.conv2d %2, %w2 {{{CONV.format(2, 1)}, groups = 4 : i64}}
          : (tensor<1x4x6x6xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x3x3xf32>""",
        "1x3x6x6",
        "1x4x3x3",
    ),
    "groups and a transposed convolution": (
        f"""%w1 = CONST<4x3x1x1>
        %w2 = CONST<4x3x2x2>
        %b2 = CONST<6>
        %w3 = CONST<2x3x3x3>
        %1 = mase.conv2d %x, %w1 {{{CONV.format(1, 0)}, groups = 2 : i64}}
          : (tensor<1x6x4x4xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x4x4xf32>
        %2 = mase.leaky_relu %1 {{negative_slope = 0.1 : f64}}
          : (tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32>
        %3 = mase.conv_transpose2d %2, %w2, %b2 {{strides = array<i64: 2, 2>,
          padding = array<i64: 0, 0>, output_padding = array<i64: 0, 0>,
          dilation = array<i64: 1, 1>, groups = 2 : i64}}
          : (tensor<1x4x4x4xf32>, tensor<4x3x2x2xf32>, tensor<6xf32>)
          -> tensor<1x6x8x8xf32>
        %4 = mase.abs %3 : (tensor<1x6x8x8xf32>) -> tensor<1x6x8x8xf32>
        %y = mase.conv2d %4, %w3 {{{CONV.format(1, 0)}, groups = 2 : i64}}
          : (tensor<1x6x8x8xf32>, tensor<2x3x3x3xf32>) -> tensor<1x2x6x6xf32>""",
        "1x6x4x4",
        "1x2x6x6",
    ),
    "pools, padding, shapes": (
        f"""%w1 = CONST<4x1x3x3>
        %w2 = CONST<2x4>
        %1 = mase.conv2d %x, %w1 {{{CONV.format(1, 0)}}}
          : (tensor<1x1x8x8xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x6x6xf32>
        %2 = mase.pad %1 {{low = array<i64: 0, 0, 1, 1>, value = 0.0 : f64,
          high = array<i64: 0, 0, 1, 1>}} : tensor<1x4x6x6xf32> -> tensor<1x4x8x8xf32>
        %3 = mase.avg_pool %2 {{kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>,
          padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}}
          : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
        %4 = mase.adaptive_max_pool %3 {{output_size = array<i64: 3, 3>}}
          : (tensor<1x4x4x4xf32>) -> tensor<1x4x3x3xf32>
        %5 = mase.slice %4 {{starts = array<i64: 0, 0, 0, 1>,
          stops = array<i64: 1, 4, 3, 3>, strides = array<i64: 1, 1, 1, 1>}}
          : tensor<1x4x3x3xf32> -> tensor<1x4x3x2xf32>
        %6 = mase.reduce %5 {{kind = "mean", axes = array<i64: 2>, keepdims = false}}
          : (tensor<1x4x3x2xf32>) -> tensor<1x4x2xf32>
        %7 = mase.transpose %6 {{permutation = array<i64: 0, 2, 1>}}
          : tensor<1x4x2xf32> -> tensor<1x2x4xf32>
        %8 = mase.neg %7 : (tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
        %y = mase.linear %8, %w2 : (tensor<1x2x4xf32>, tensor<2x4xf32>)
          -> tensor<1x2x2xf32>""",
        "1x1x8x8",
        "1x2x2",
    ),
    "flattened, read twice": (
        f"""%w1 = CONST<3x1x1x1>
        %w2 = CONST<2x12>
        %w3 = CONST<2x12>
        %1 = mase.conv2d %x, %w1 {{{CONV.format(1, 0)}}}
          : (tensor<1x1x2x2xf32>, tensor<3x1x1x1xf32>) -> tensor<1x3x2x2xf32>
        %2 = mase.reshape %1 : tensor<1x3x2x2xf32> -> tensor<1x12xf32>
        %3 = mase.linear %2, %w2
          : (tensor<1x12xf32>, tensor<2x12xf32>) -> tensor<1x2xf32>
        %4 = mase.relu %2 : (tensor<1x12xf32>) -> tensor<1x12xf32>
        %5 = mase.linear %4, %w3
          : (tensor<1x12xf32>, tensor<2x12xf32>) -> tensor<1x2xf32>
        %y = mase.mul %3, %5 : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>""",
        "1x1x2x2",
        "1x2",
    ),
    "values of attention": (
        """%w1 = CONST<6x4>
        %w2 = CONST<3x6>
        %q = CONST<1x2x5x3>
        %1 = mase.linear %x, %w1
          : (tensor<1x5x4xf32>, tensor<6x4xf32>) -> tensor<1x5x6xf32>
        %2 = mase.reshape %1 : tensor<1x5x6xf32> -> tensor<1x5x2x3xf32>
        %3 = mase.transpose %2 {permutation = array<i64: 0, 2, 1, 3>}
          : tensor<1x5x2x3xf32> -> tensor<1x2x5x3xf32>
        %4 = mase.attention %q, %q, %3 {scale = 0.5 : f64}
          : (tensor<1x2x5x3xf32>, tensor<1x2x5x3xf32>, tensor<1x2x5x3xf32>)
          -> tensor<1x2x5x3xf32>
        %5 = mase.transpose %4 {permutation = array<i64: 0, 2, 1, 3>}
          : tensor<1x2x5x3xf32> -> tensor<1x5x2x3xf32>
        %6 = mase.reshape %5 : tensor<1x5x2x3xf32> -> tensor<1x5x6xf32>
        %y = mase.linear %6, %w2
          : (tensor<1x5x6xf32>, tensor<3x6xf32>) -> tensor<1x5x3xf32>""",
        "1x5x4",
        "1x5x3",
    ),
    "right side of a matrix product": (
        """%w1 = CONST<6x4>
        %w2 = CONST<3x6>
        %p = CONST<2x5>
        %1 = mase.linear %x, %w1
          : (tensor<1x5x4xf32>, tensor<6x4xf32>) -> tensor<1x5x6xf32>
        %2 = mase.matmul %p, %1
          : (tensor<2x5xf32>, tensor<1x5x6xf32>) -> tensor<1x2x6xf32>
        %y = mase.linear %2, %w2
          : (tensor<1x2x6xf32>, tensor<3x6xf32>) -> tensor<1x2x3xf32>""",
        "1x5x4",
        "1x2x3",
    ),
    "size 1": (
        """%w1 = CONST<1x1>
        %w2 = CONST<1x1>
        %1 = mase.linear %x, %w1 : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
        %y = mase.linear %1, %w2
          : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>""",
        "1x1",
        "1x1",
    ),
    "one weight for both": (
        """%w = CONST<4x4>
        %1 = mase.linear %x, %w {layer = "one"}
          : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
        %2 = mase.relu %1 : (tensor<1x4xf32>) -> tensor<1x4xf32>
        %y = mase.linear %2, %w
          : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>""",
        "1x4",
        "1x4",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("smooth", [False, True])
def test_scales_move_through(name: str, smooth: bool, saved: Any) -> None:
    module = model(*PAIRS[name])
    inputs = samples(module)
    before, weight = result(module, inputs), numbers(layer(module).weight)
    if smooth:
        # Channels of size 1 are alike to begin with.
        apply(module, MaseSmoothPass(**saved(inputs), alpha=0.7))
    else:
        apply(module, MaseEqualizePass())
    assert not np.allclose(numbers(layer(module).weight), weight)
    np.testing.assert_allclose(result(module, inputs), before, rtol=1e-4, atol=1e-5)


def test_equalized_ranges_are_equal() -> None:
    module = model(*PAIRS["depthwise"])
    apply(module, MaseEqualizePass())
    first, second = layers(model_function(module))
    before = largest(numbers(first.weight), weight_channels(first)[1], 4)
    behind = largest(numbers(second.weight), weight_channels(second)[0], 4)
    np.testing.assert_allclose(before, behind, rtol=1e-6)


def test_channels_of_all_kinds_of_layers() -> None:
    """A change of one output channel's weights changes that channel alone."""
    module = model(*PAIRS["groups and a transposed convolution"])
    inputs = samples(module, 3)
    function = model_function(module)
    for index, op in enumerate(layers(function)):
        inward, outward = weight_channels(op)
        assert inward.shape == outward.shape == shape_of(op.weight)[:2]
        for channel in range(outward.max() + 1):
            changed = module.clone()
            weight = (
                numbers(op.weight) * np.where(outward == channel, 2, 1)[..., None, None]
            )
            set_parameters(layer(changed, index), weight=weight)
            seen = [
                observed(m, layer(m, index).result, inputs) for m in (module, changed)
            ]
            different = np.abs(seen[0] - seen[1]).max(axis=(0, 1, 3, 4)) > 1e-6
            np.testing.assert_array_equal(np.flatnonzero(different), [channel])


def observed(module: ModuleOp, value: SSAValue, inputs: list[Any]) -> Any:
    """What `value` in `module` is."""
    found: list[Any] = []

    def observe(other: SSAValue, array: Any) -> None:
        if other is value:
            found.append(array)

    evaluate(module, inputs, observe=observe)
    return found[0]


NOT_PAIRS = {
    "a bounded activation": "mase.relu6 %1 : (tensor<1x4xf32>) -> tensor<1x4xf32>",
    "a curved activation": "mase.gelu %1 : (tensor<1x4xf32>) -> tensor<1x4xf32>",
    "a sum": (
        "mase.add %1, %x : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>"
    ),
    "mixed channels": (
        'mase.reduce %1 {kind = "mean", axes = array<i64: 1>, keepdims = true}'
        " : (tensor<1x4xf32>) -> tensor<1x1xf32>\n"
        "%z = mase.broadcast %2 : tensor<1x1xf32> -> tensor<1x4xf32>"
    ),
    "a product with itself": (
        "mase.reshape %1 : tensor<1x4xf32> -> tensor<2x2xf32>\n"
        "%m = mase.matmul %2, %2 : (tensor<2x2xf32>, tensor<2x2xf32>)"
        " -> tensor<2x2xf32>\n"
        "%z = mase.reshape %m : tensor<2x2xf32> -> tensor<1x4xf32>"
    ),
}


@pytest.mark.parametrize("name", NOT_PAIRS)
def test_scales_do_not_move_through(name: str) -> None:
    between = NOT_PAIRS[name]
    last = "%z" if "%z" in between else "%2"
    module = model(
        f"""%w1 = CONST<4x4>
        %w2 = CONST<4x4>
        %1 = mase.linear %x, %w1
          : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
        %2 = {between}
        %y = mase.linear {last}, %w2
          : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>""",
        "1x4",
        "1x4",
    )
    text = str(module)
    for method in (MaseEqualizePass(), MaseSmoothPass()):
        with pytest.warns(UserWarning, match="has no effect"):
            method.apply(Context(), module)
    assert str(module) == text


@pytest.mark.parametrize(
    "norm",
    [
        "mase.layer_norm %x : tensor<1x4x6xf32> weight %g : tensor<6xf32> "
        "bias %g : tensor<6xf32> {rank = 1 : i64, eps = 1.0e-5 : f64}",
        "mase.layer_norm %x : tensor<1x4x6xf32> {rank = 1 : i64, eps = 1.0e-5 : f64}",
        "mase.layer_norm %x : tensor<1x4x6xf32> {rank = 2 : i64, eps = 1.0e-5 : f64}",
        "mase.group_norm %x : tensor<1x4x6xf32> {groups = 2 : i64, eps = 1.0e-5 : f64}",
    ],
)
def test_norms_take_scales(norm: str, saved: Any) -> None:
    """With all of the range moved, the results of norms reach 1 in each channel."""
    flat = "rank = 2" in norm
    shape, width = ("1x24", 24) if flat else ("1x4x6", 6)
    swap = (
        "%2 = mase.transpose %1 {permutation = array<i64: 0, 2, 1>} "
        ": tensor<1x4x6xf32> -> tensor<1x6x4xf32>"
    )
    if flat:
        swap = "%2 = mase.reshape %1 : tensor<1x4x6xf32> -> tensor<1x24xf32>"
    elif "group" in norm:
        shape, width = "1x6x4", 4
    else:
        swap = "%2 = mase.neg %1 : (tensor<1x4x6xf32>) -> tensor<1x4x6xf32>"
    module = model(
        f"""%g = CONST<6>
        %w = CONST<3x{width}>
        %1 = {norm} -> tensor<1x4x6xf32>
        {swap}
        %y = mase.linear %2, %w : (tensor<{shape}xf32>, tensor<3x{width}xf32>)
          -> tensor<{shape.rpartition("x")[0]}x3xf32>""",
        "1x4x6",
        f"{shape.rpartition('x')[0]}x3",
    )
    inputs = samples(module)
    before = result(module, inputs)
    apply(module, MaseSmoothPass(**saved(inputs), alpha=1.0))
    np.testing.assert_allclose(result(module, inputs), before, rtol=1e-4, atol=1e-5)
    read = np.abs(observed(module, layer(module).input, inputs))
    ranges = read.max(axis=tuple(range(read.ndim - 1)))
    np.testing.assert_allclose(ranges, 1, rtol=1e-5)


def test_smoothing_inserts_one_product_for_all_readers(saved: Any) -> None:
    module = model(
        """%w1 = CONST<2x3>
        %w2 = CONST<2x3>
        %1 = mase.linear %x, %w1 {layer = "q"}
          : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<1x2xf32>
        %2 = mase.linear %x, %w2 {layer = "k"}
          : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<1x2xf32>
        %y = mase.add %1, %2
          : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>""",
        "1x3",
        "1x2",
    )
    inputs = samples(module)
    before = result(module, inputs)
    apply(module, MaseSmoothPass(**saved(inputs), multiply=True))
    np.testing.assert_allclose(result(module, inputs), before, rtol=1e-5, atol=1e-6)
    assert str(module).count("mase.mul") == 1
    first, second = layers(model_function(module))
    assert first.input is second.input
    # With alpha 1/2 the ranges of inputs and weights are the same.
    inward = np.maximum(*(np.abs(numbers(op.weight)).max(0) for op in (first, second)))
    scaled = observed(module, first.input, inputs)
    np.testing.assert_allclose(np.abs(scaled).max((0, 1)), inward, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:no calibration data")
def test_scaled_channels_lose_their_calibration() -> None:
    module = model(*PAIRS["depthwise"])
    calibrate(module, samples=3)
    assert "mase.calibration" in str(module)
    with pytest.warns(UserWarning, match="run mase-calibrate afterwards"):
        MaseEqualizePass().apply(Context(), module)
    assert "mase.calibration" not in str(module)


# ---- moments ----------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
def test_moments_give_the_error_of_outputs(name: str) -> None:
    """D E[x xᵀ] Dᵀ is the mean square of what a change D of the weight does."""
    module = model(*PAIRS[name])
    inputs = samples(module)
    function = model_function(module)
    ops = [op for op in layers(function) if isinstance(op, MatrixLayer)]
    moments = input_moments(function, ops, inputs)
    rng = np.random.default_rng(2)
    for index, op in enumerate(layers(function)):
        if not isinstance(op, MatrixLayer):
            continue
        change = rng.standard_normal(numbers(op.weight).shape)
        changed = module.clone()
        set_parameters(layer(changed, index), weight=numbers(op.weight) + change)
        after, before = (
            observed(m, layer(m, index).result, inputs) for m in (changed, module)
        )
        difference = after - before
        axis = difference.ndim - 1 if op.name == "mase.linear" else 2
        others = tuple(i for i in range(difference.ndim) if i != axis)
        matrices = as_matrices(op, change)
        errors = np.einsum("gok,gkl,gol->go", matrices, moments[op], matrices)
        np.testing.assert_allclose(
            (difference.astype(np.float64) ** 2).mean(axis=others),
            errors.reshape(-1),
            rtol=1e-4,
        )


# ---- GPTQ -------------------------------------------------------------------------


def test_rounding_of_columns_is_optimal_brain_surgery() -> None:
    """Against the updates of Hassibi and Stork, which keep the inverse up to date."""
    rng = np.random.default_rng(0)
    count = 140  # more than are carried over at a time
    weight, data = rng.standard_normal((5, count)), rng.standard_normal((count, 400))
    moments = data @ (data * np.exp2(rng.integers(-3, 4, 400))).T
    found = round_columns(weight, moments, lambda v, _: np.round(v), 0.01)

    order = np.argsort(-moments.diagonal(), kind="stable")
    left, expected = weight.copy(), np.empty_like(weight)
    damped: Floats = moments + 0.01 * moments.diagonal().mean() * np.eye(count)
    inverse = np.asarray(np.linalg.inv(damped[order][:, order]), np.float64)
    for step, column in enumerate(order):
        expected[:, column] = np.round(left[:, column])
        error = (left[:, column] - expected[:, column]) / inverse[0, 0]
        left[:, order[step:]] -= np.outer(error, inverse[0])
        inverse = inverse - np.outer(inverse[:, 0], inverse[0]) / inverse[0, 0]
        inverse = inverse[1:, 1:]
    np.testing.assert_array_equal(found, expected)


FORMATS = (
    "fixed<4, auto>",
    "fixed<auto, 2>",
    "ufixed<3, 1>",
    "fixed<1, 0>",
    "minifloat<2, 1, finite>",
    "minifloat<4, 3, fn>",
    "minifloat<3, 2, ieee>",
    "log<4, 5>",
    "binary",
    "ternary",
    "scaled<binary, auto, axis = 0>",
    "scaled<ternary, auto, axis = 0>",
    "scaled<fixed<3, 0>, auto>",
    "scaled<fixed<4, 0>, auto, axis = 0>",
    "scaled<fixed<4, 0>, power_of_two>",
    "scaled<fixed<4, 0>, 0.25>",
    "scaled<fixed<4, 0>, auto, axis = -1, group = 5>",
    "mxint8",
    "mxfp4_e2m1",
    "mxfp6_e3m2",
    "block<fixed<4, 2>, e8m0, [4]>",
    "block<fixed<3, 1>, exp<8, 127>, [4], bump>",
    "block<log<4, 3>, exp<4, 7>, [4]>",
)


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("kind", ["linear", "depthwise"])
def test_quantization_keeps_gptq_weights(text: str, kind: str, saved: Any) -> None:
    module = linear(12, 7) if kind == "linear" else model(*PAIRS[kind])
    inputs = samples(module)
    options: dict[str, Any] = {"weight_format": text, "bias_format": "fixed<16, 8>"}
    apply(module, MaseSetRecipePass(**options))
    apply(module, MaseGptqPass(**saved(inputs)))
    weights = [numbers(op.weight) for op in layers(model_function(module))]
    apply(module, MaseQuantizePass(**options))
    exact = "scaled" not in text or "power_of_two" in text or "0.25" in text
    for op, weight in zip(layers(model_function(module)), weights, strict=True):
        kept = quantized_weight(op)
        if exact:
            np.testing.assert_array_equal(kept, weight)
        else:
            # A float32 holds the product of scale and element to 24 bits.
            np.testing.assert_allclose(kept, weight, rtol=2.0**-22)


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_quantization_chooses_the_scales_of_gptq(method: str, saved: Any) -> None:
    module = linear(40, 30)
    options: dict[str, Any] = {
        "weight_format": "scaled<fixed<4, 0>, auto>",
        "method": method,
    }
    apply(module, MaseSetRecipePass(**options))
    apply(module, MaseGptqPass(**saved(samples(module))))
    weight = numbers(layer(module).weight)
    apply(module, MaseQuantizePass(**options))
    np.testing.assert_allclose(quantized_weight(layer(module)), weight, rtol=2.0**-22)


def test_gptq_refuses_scales_that_quantization_would_not_choose(saved: Any) -> None:
    module = linear(40, 30)
    options: dict[str, Any] = {
        "weight_format": "scaled<minifloat<2, 1, finite>, auto, axis = 0>"
    }
    apply(module, MaseSetRecipePass(**options))
    with pytest.raises(PassFailedException, match=r"'fc'.*would not keep.*=minmax"):
        apply(module, MaseGptqPass(**saved(samples(module))))


def test_gptq_leaves_weights_that_fit(saved: Any) -> None:
    module = linear(6, 4)
    op = layer(module)
    weight = np.random.default_rng(0).integers(-8, 8, (4, 6)) / 4
    set_parameters(op, weight=weight)
    apply(module, MaseSetRecipePass(weight_format="fixed<4, 2>"))
    apply(module, MaseGptqPass(**saved(samples(module))))
    np.testing.assert_array_equal(numbers(op.weight), weight)


def test_gptq_with_inputs_that_are_zero(saved: Any) -> None:
    """Nothing can be made up for there, so the nearest value it is."""
    module = linear(6, 4)
    inputs = samples(module)
    inputs[0][..., [1, 4]] = 0
    weight = numbers(layer(module).weight)
    options: dict[str, Any] = {
        "weight_format": "fixed<4, 1>",
        "data_format": "fixed<8, 4>",
    }
    apply(module, MaseSetRecipePass(**options))
    apply(module, MaseGptqPass(**saved(inputs)))
    nearest = np.clip(np.round(weight * 2) / 2, -4, 3.5)
    found = numbers(layer(module).weight)
    np.testing.assert_array_equal(found[:, [1, 4]], nearest[:, [1, 4]])
    assert (found != nearest).any()

    module = linear(6, 4)
    inputs[0][:] = 0
    apply(module, MaseSetRecipePass(**options))
    apply(module, MaseGptqPass(**saved(inputs)))
    np.testing.assert_array_equal(numbers(layer(module).weight), nearest)


@pytest.mark.parametrize(
    "text", [text for text in FORMATS if isinstance(parse_spec(text), Format)]
)
def test_values_of_a_grid_are_values_of_the_format(text: str) -> None:
    spec = parse_spec(text)
    assert isinstance(spec, Format)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((6, 10))
    grid = grid_of(spec, values)
    others = np.where(rng.random((6, 10)) < 0.9, 4 * rng.standard_normal((6, 10)), 0)
    found = grid.nearest(others, ...)
    np.testing.assert_array_equal(spec.cast(found), found)


def test_no_grid_with_zero_points() -> None:
    spec = parse_spec("scaled<ufixed<4, 0>, 0.5, zero_point = 3>")
    assert isinstance(spec, Format)
    with pytest.raises(FormatError, match="do not lie on a grid"):
        grid_of(spec, np.ones((2, 2)))


# ---- clipping ---------------------------------------------------------------------


def test_clipping_has_the_smallest_error_of_outputs(saved: Any) -> None:
    """Row by row, of all thresholds that there are."""
    module = linear(24, 10)
    inputs = samples(module)
    inputs[0][..., :4] *= 8
    weight = numbers(layer(module).weight)
    options: dict[str, Any] = {
        "weight_format": "scaled<fixed<3, 0>, auto, axis = 0>",
        "method": "minmax",
    }
    columns = inputs[0].reshape(-1, 24).astype(np.float64)

    def errors(clipped: Any) -> Any:
        candidate = module.clone()
        set_parameters(layer(candidate), weight=clipped)
        apply(candidate, MaseQuantizePass(**saved(inputs), **options))
        change = quantized_weight(layer(candidate)) - weight
        return ((columns @ change.T) ** 2).mean(axis=0)

    limits = np.abs(weight).max(axis=1, keepdims=True)
    tried = [errors(np.clip(weight, -r * limits, r * limits)) for r in RATIOS]
    clipped = module.clone()
    apply(clipped, MaseSetRecipePass(**options))
    apply(clipped, MaseClipPass(**saved(inputs)))
    found = errors(numbers(layer(clipped).weight))
    np.testing.assert_allclose(found, np.min(tried, axis=0), rtol=1e-5)
    assert len(set(np.argmin(tried, axis=0).tolist())) > 1


# ---- bias correction --------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rounding", ["nearest_even", "floor"])
def test_corrected_layer_has_the_right_mean(
    bias: bool, rounding: str, saved: Any
) -> None:
    module = linear(9, 5, bias=bias)
    inputs = samples(module)
    inputs[0] += 1
    reference = result(module, inputs).mean(axis=(0, 1))
    options: dict[str, Any] = {
        "weight_format": "fixed<3, 1>",
        "data_format": "fixed<20, 10>",
        "bias_format": "fixed<24, 16>",
        "rounding": rounding,
    }
    means: list[Any] = []
    for correct in (False, True):
        copy = module.clone()
        if correct:
            apply(copy, MaseSetRecipePass(**options))
            apply(copy, MaseCorrectBiasPass(**saved(inputs)))
            assert (layer(module).bias is None) == (not bias)
        apply(copy, MaseQuantizePass(**saved(inputs), **options))
        found = quantized_result(copy, inputs).mean(axis=(0, 1))
        means.append(np.abs(found - reference).max())
    assert means[0] > 0.1
    # What is left is the rounding of the results, and of the bias.
    assert means[1] < 2**-10 + 2**-16


def test_corrections_see_those_before(saved: Any) -> None:
    """A relu between: the errors of the second layer are not those it has alone."""
    module = model(*PAIRS["depthwise"])
    inputs = samples(module, 60)
    options: dict[str, Any] = {
        "weight_format": "fixed<3, 1>",
        "data_format": "fixed<24, 14>",
        "bias_format": "fixed<24, 16>",
    }
    reference = result(module, inputs).mean(axis=(0, 1, 3, 4))
    apply(module, MaseSetRecipePass(**options))
    apply(module, MaseCorrectBiasPass(**saved(inputs)))
    apply(module, MaseQuantizePass(**saved(inputs), **options))
    found = quantized_result(module, inputs).mean(axis=(0, 1, 3, 4))
    np.testing.assert_allclose(found, reference, rtol=0, atol=2**-10)


# ---- models that are odd, and mistakes --------------------------------------------

METHODS = (MaseClipPass, MaseGptqPass, MaseCorrectBiasPass)
ALL = (MaseEqualizePass, MaseSmoothPass, *METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PAIRS)
def test_odd_layers(method: Any, name: str, saved: Any) -> None:
    module = model(*PAIRS[name])
    inputs = samples(module, 8)
    untouched = module.clone()
    apply(module, MaseSetRecipePass(width=4))
    apply(module, method(**saved(inputs)))
    apply(module, MaseQuantizePass())
    assert np.isfinite(result(untouched, inputs)).all()


@pytest.mark.parametrize("method", METHODS)
def test_shared_weights_are_not_changed_for_others(method: Any, saved: Any) -> None:
    """Only the first layer is to be quantized; the other one keeps the weight."""
    module = model(*PAIRS["one weight for both"])
    first, second = layers(model_function(module))
    before = numbers(first.weight)
    assert first.weight is second.weight
    settings = saved(samples(module))
    config = Path(settings["data"]).with_suffix(".toml")
    config.write_text(
        """[passes.quantize]
        by = "name"
        default.config.name = "NA"
        one.config.weight = "fixed<3, 1>"
        """
    )
    text = str(module)
    apply(module, MaseSetRecipePass(config=str(config)))
    apply(module, method(**settings))
    assert str(module) != text
    np.testing.assert_array_equal(numbers(second.weight), before)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(method: Any, bad: float) -> None:
    module = model(*PAIRS["depthwise"])
    op = layer(module)
    weight = numbers(op.weight)
    weight[1, 2, 0, 1] = bad
    set_parameters(op, weight=weight)
    with pytest.raises(PassFailedException, match=r"weight .* holds"):
        apply(module, method())


@pytest.mark.parametrize("method", ALL[1:])
def test_values_that_are_not_finite(method: Any, saved: Any) -> None:
    module = model(
        """%w = CONST<2x3>
        %n = mase.layer_norm %x : tensor<1x3xf32> {rank = 1 : i64, eps = 1.0e-5 : f64}
        -> tensor<1x3xf32>
        %l = mase.log %n : (tensor<1x3xf32>) -> tensor<1x3xf32>
        %y = mase.linear %l, %w : (tensor<1x3xf32>, tensor<2x3xf32>)
          -> tensor<1x2xf32>""",
        "1x3",
        "1x2",
    )
    options: dict[str, Any] = {"multiply": True} if method is MaseSmoothPass else {}
    with pytest.raises(PassFailedException, match="NaN"):
        apply(module, method(**saved(samples(module)), **options))


@pytest.mark.parametrize("method", ALL[1:])
@pytest.mark.parametrize(
    ("options", "message"),
    [({"samples": 0}, "samples is 0"), ({"seed": -1}, "seed is -1")],
)
def test_options_out_of_range(method: Any, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        apply(model(*PAIRS["size 1"]), method(**options))


def test_own_options_out_of_range(saved: Any) -> None:
    module = linear(3, 2)
    settings = saved(samples(module))
    for alpha in (-0.1, 1.5, float("nan")):
        with pytest.raises(UserError, match="alpha is"):
            apply(module, MaseSmoothPass(**settings, alpha=alpha))
    for damping in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match="damping is"):
            apply(module, MaseGptqPass(**settings, damping=damping))


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_quantize(method: Any, saved: Any) -> None:
    module = model(
        "%y = mase.relu %x : (tensor<1x3xf32>) -> tensor<1x3xf32>", "1x3", "1x3"
    )
    with pytest.warns(UserWarning, match="has no effect: no layer in f32"):
        method(**saved(samples(module))).apply(Context(), module)


@pytest.mark.parametrize("method", ALL[1:])
def test_random_data_is_told_once(method: Any) -> None:
    module = model(*PAIRS["depthwise"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        method(samples=5).apply(Context(), module)
    assert [str(w.message)[:19] for w in caught] == ["no calibration data"]


PREPARING = [MaseClipPass, MaseGptqPass, MaseCorrectBiasPass]


@pytest.mark.parametrize("method", PREPARING)
def test_other_options_than_the_weights_are_prepared_for(method, saved):
    module = linear(4, 3)
    data = saved(samples(module))
    apply(module, MaseSetRecipePass(width=4))
    apply(module, method(**data))
    text = (
        f"options: data format is 'fixed<8, auto>', but {method.name} has prepared the "
        "weights for 'fixed<4, auto>'; put mase-set-recipe before both"
    )
    for other in (MaseQuantizePass, MaseSetRecipePass):
        with pytest.raises(UserError, match=text):
            apply(module.clone(), other(width=8))
    with pytest.raises(UserError, match="weight format is 'fixed<5, auto>'"):
        apply(module.clone(), MaseQuantizePass(width=4, weight_width=5))
    silent = module.clone()
    apply(silent, MaseQuantizePass(**data))
    # However they are said; and nothing of it is left.
    same = {"width": 8, "data_format": "fixed<4, auto>", "weight_width": 4}
    apply(module, MaseQuantizePass(**same, bias_width=8, **data))
    assert "mase.prepared" not in str(module)
    assert module.is_structurally_equivalent(silent)


def test_preparing_for_nothing_decided_decides_for_the_usual(saved):
    module = linear(4, 3)
    apply(module, MaseGptqPass(**saved(samples(module))))
    with pytest.raises(UserError, match="data format is 'fixed<6, auto>', but mase-gp"):
        apply(module.clone(), MaseQuantizePass(width=6))
    apply(module, MaseQuantizePass(width=8))
