"""Streamed layers whose windows are not all alike, tables and the largest channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from streams import Folding, assert_minimal, assert_streams
from xdsl.dialects.builtin import BoolAttr, i64
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import layers, pooling, shape
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.conversion.convert_torch_to_mase.layers import bilinear_weights
from mase_opt.lib.streams.windows import Windows, transposed

X, W = FixedType(6, 3), FixedType(5, 4)
Value = SSAValue | Operation


def check(
    function: Callable[[SSAValue], Value],
    size: list[int],
    folding: Folding | None = None,
) -> None:
    """The same bits at every level, in buffers of which none is too large."""
    model = Model((X, size))
    with model as (x,):
        y = function(x)
    network = assert_streams(model.returns(y), folding)
    assert_minimal(network_of(network_function(network)).network)


def constant(size: tuple[int, ...], element: FixedType = W) -> SSAValue:
    rng = np.random.default_rng(0)
    low, high = element.format.min_code, element.format.max_code
    return shape.ConstantOp.of(
        rng.integers(low, high, size, endpoint=True), element
    ).result


# ---- pools --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pooling.AdaptiveAvgPoolOp, pooling.AdaptiveMaxPoolOp])
def test_adaptive_pools(kind: Callable[..., Operation]) -> None:
    """Windows of two and of three rows, from places that follow no stride."""
    element = FixedType(8, 5) if kind is pooling.AdaptiveAvgPoolOp else X
    check(lambda x: kind(x, [3, 2], element=element), [1, 3, 5, 4])


@pytest.mark.parametrize("padding_counts", [False, True])
def test_means_of_different_numbers(padding_counts: bool) -> None:
    def pool(x: SSAValue) -> Value:
        op = pooling.AvgPoolOp(
            x,
            [3, 2],
            strides=[2, 2],
            padding=[1, 1],
            ceil_mode=True,
            element=FixedType(8, 4),
        )
        op.count_include_pad = BoolAttr.from_bool(padding_counts)
        return op

    check(pool, [1, 2, 4, 5])


# ---- transposed convolutions, interpolation -----------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@settings(
    phases=[Phase.generate],
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_transposed_convolution(groups: int, data: st.DataObject) -> None:
    def numbers(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(2)]

    kernel, strides = numbers(1, 4), numbers(1, 3)
    padding = [data.draw(st.integers(0, (k - 1) // 2)) for k in kernel]
    folding = (1, 1) if groups > 1 else data.draw(st.sampled_from([(2, 1), (3, 2)]))
    outputs = 4 // groups

    def up(x: SSAValue) -> Value:
        return layers.ConvTranspose2dOp(
            x,
            constant((2, outputs, *kernel)),
            constant((outputs * groups,), FixedType(9, 6)),
            strides=strides,
            padding=padding,
            output_padding=[data.draw(st.integers(0, s - 1)) for s in strides],
            dilation=numbers(1, 2),
            groups=groups,
            layer="up",
        )

    check(up, [1, 2, 2, 2], {"up": folding})


def test_taps_of_a_transposed_convolution() -> None:
    """No cycle is spent on zeros where the stride divides the kernel."""
    windows, kernels = transposed(4, 2, 1, 1)
    assert windows == Windows(-1, 1, 2, period=2, inner=1)
    # Output 0 is made of input -1 by place 3 of the kernel, and of 0 by 1.
    assert kernels.tolist() == [[3, 1], [2, 0]]


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 4)])
def test_interpolation(height: int, width: int) -> None:
    def matrix(old: int, new: int) -> np.ndarray[Any, Any]:
        weights = bilinear_weights(old, new, corners=False)
        return np.round(weights * 64).astype(np.int64)

    def up(x: SSAValue) -> Value:
        rows = shape.ConstantOp.of(matrix(3, height), FixedType(8, 6))
        columns = shape.ConstantOp.of(matrix(3, width).T, FixedType(8, 6))
        return layers.MatmulOp(rows, layers.MatmulOp(x, columns))

    check(up, [1, 2, 3, 3])


def test_windows_around_places() -> None:
    low, high = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 2, 2, 3, 3, 3])
    found = Windows.around(low, high)
    places = found.places(6)
    assert found.taps == 2
    assert ((places[:, 0] <= low) & (places[:, -1] >= high - 1)).all()


# ---- tables -------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 10])
def test_embedding(rows: int) -> None:
    model = Model((i64, [2, 3]))
    with model as (x,):
        table = constant((rows, 5))
        y = layers.EmbeddingOp(table, x, layer="wte", element=FixedType(4, 3))
    network = assert_streams(model.returns(y))
    assert_minimal(network_of(network_function(network)).network)


def test_embedding_of_images() -> None:
    """Rows are the last dimension, though images have channels as their second one."""
    model = Model((UFixedType(2, 0), [1, 2, 3]), (UFixedType(2, 0), [1, 2, 2, 1]))
    with model as (x, y):
        z = layers.EmbeddingOp(constant((4, 5)), x)
        w = layers.EmbeddingOp(constant((4, 2)), y)
    assert_streams(model.returns(z, w))


def rows_of(x: SSAValue) -> SSAValue:
    """Something whose beats lie along the last dimension of images."""
    return layers.LinearOp(x, constant((3, 3)), layer="fc").result


IMAGES: dict[str, Callable[[SSAValue], Value]] = {
    "channels": lambda x: shape.ConcatOp([rows_of(x), x], 1),
    "columns": lambda x: shape.ConcatOp([rows_of(x), x], 3),
    "pad": lambda x: shape.PadOp(rows_of(x), low=[0, 1, 0, 2], high=[0, 0, 1, 1]),
    "right": lambda x: layers.MatmulOp(rows_of(x), constant((3, 2))),
    "left": lambda x: layers.MatmulOp(constant((4, 2)), rows_of(x)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_whose_rows_lie_in_beats(name: str) -> None:
    check(IMAGES[name], [1, 2, 2, 3], {"fc": (3, 3)})


@pytest.mark.parametrize("lanes", [2, 4, 6])
def test_argmax(lanes: int) -> None:
    """The first one of equal numbers, in whatever beats they come."""

    def largest(x: SSAValue) -> Value:
        y = layers.LinearOp(x, constant((6, 4)), layer="fc", element=FixedType(3, -2))
        return pooling.ArgmaxOp(y, 1, keepdims=lanes == 2, element=UFixedType(4, 0))

    check(largest, [3, 4], {"fc": (lanes, 4)})


def test_argmax_of_pixels() -> None:
    check(lambda x: pooling.ArgmaxOp(x, 1), [1, 5, 2, 3])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 2, 3])
def test_argmax_along_other_dimensions(axis: int, keepdims: bool) -> None:
    """Channels that lie in a beat are looked through side by side."""
    size = [2, 3, 2, 4]
    check(lambda x: pooling.ArgmaxOp(x, axis, keepdims=keepdims), size)


def test_argmax_of_a_vector() -> None:
    check(lambda x: pooling.ArgmaxOp(x, 0), [5])
