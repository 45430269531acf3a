"""The solver of adder graphs against exact arithmetic."""

from __future__ import annotations

import _thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mase_opt.dialects.mase.adder_graph_values import SparseRows, expand, spans
from mase_opt.lib import native
from mase_opt.lib.errors import UserError

pytestmark = pytest.mark.skipif(
    not native.AVAILABLE, reason="installed without a C++ compiler"
)


def ranges(inputs: int, low: int = -128, high: int = 127) -> NDArray[np.int64]:
    return np.tile(np.array([[low, high]], np.int64), (inputs, 1))


def is_graph_of(graph: native.AdderGraph, matrix: NDArray[np.int64]) -> bool:
    built = expand(graph.nodes, graph.outputs, len(matrix))
    return built == SparseRows.of(matrix.T)


Taps = dict[tuple[int, int, int], int]
"""Factors by input and tap."""


def taps_of(graph: native.AdderGraph, inputs: int) -> list[Taps]:
    """What each output of a kernel's graph is at position (0, 0)."""

    def add(total: Taps, value: Taps, factor: int, dy: int, dx: int) -> None:
        for (i, y, x), weight in value.items():
            key = (i, y + dy, x + dx)
            total[key] = total.get(key, 0) + weight * factor

    values: list[Taps] = [{(i, 0, 0): 1} for i in range(inputs)]
    for a, b, p, q, s, dy, dx in graph.nodes.tolist():
        values.append({})
        add(values[-1], values[a], 2**p, 0, 0)
        add(values[-1], values[b], 2**q * (-1) ** s, dy, dx)
    outputs: list[Taps] = []
    for v, p, s, dy, dx in graph.outputs.tolist():
        outputs.append({})
        if v >= 0:
            add(outputs[-1], values[v], 2**p * (-1) ** s, dy, dx)
    return [{k: w for k, w in taps.items() if w} for taps in outputs]


def is_graph_of_kernel(graph: native.AdderGraph, kernel: NDArray[np.int64]) -> bool:
    return taps_of(graph, len(kernel)) == [
        {(i, y, x): w for (i, y, x), w in np.ndenumerate(kernel[:, o]) if w}
        for o in range(kernel.shape[1])
    ]


def depths(graph: native.AdderGraph, before: list[int]) -> list[int]:
    """Adders before each output, of those before each input."""
    depth = list(before)
    for a, b, *_ in graph.nodes.tolist():
        depth.append(max(depth[a], depth[b]) + 1)
    return [depth[v] if v >= 0 else 0 for v, *_ in graph.outputs.tolist()]


def digit_count(weight: int) -> int:
    return bin(3 * abs(weight) ^ abs(weight)).count("1")


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[np.int64]:
    inputs, outputs = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    bits = draw(st.sampled_from([1, 2, 4, 8, 20, 62]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = (1 << bits) - 1
    matrix = rng.integers(-high, high, (inputs, outputs), endpoint=True)
    matrix *= rng.random(matrix.shape) < draw(st.sampled_from([0.1, 0.5, 1]))
    if draw(st.booleans()):
        # Equal, negated and shifted columns.
        matrix[:, -1] = -matrix[:, 0]
    return matrix


@st.composite
def kernels(draw: st.DrawFn) -> NDArray[np.int64]:
    """Matrices of many columns, a tap of a kernel each."""
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    bits = draw(st.sampled_from([1, 2, 4, 8, 62]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = (1 << bits) - 1
    shape = (inputs, outputs, height, width)
    kernel = rng.integers(-high, high, shape, endpoint=True)
    kernel *= rng.random(shape) < draw(st.sampled_from([0.1, 0.5, 1]))
    if draw(st.booleans()):
        # Translated and negated outputs.
        kernel[:, -1] = 0
        kernel[:, -1, 1:, 1:] = -kernel[:, 0, :-1, :-1]
    return kernel


@given(matrices(), st.integers(0, 2))
@settings(max_examples=200)
def test_graphs_are_those_of_their_matrices(matrix: NDArray[np.int64], effort: int):
    graph = native.solve(matrix, ranges(len(matrix)), effort=effort)
    assert is_graph_of(graph, matrix)


@given(kernels(), st.integers(0, 2), st.sampled_from([None, 0, 2]))
@settings(max_examples=200)
def test_graphs_are_those_of_their_kernels(
    kernel: NDArray[np.int64], effort: int, spare: int | None
):
    limit = None
    if spare is not None:
        weights = kernel.swapaxes(0, 1).reshape(kernel.shape[1], -1).tolist()
        digits = max(sum(map(digit_count, row)) for row in weights)
        limit = max(digits - 1, 0).bit_length() + spare
    inputs = len(kernel)
    graph = native.solve(kernel, ranges(inputs), effort=effort, max_depth=limit)
    assert is_graph_of_kernel(graph, kernel)
    assert limit is None or max(depths(graph, [0] * inputs)) <= limit


def negative_outputs(graph: native.AdderGraph) -> int:
    return int(graph.outputs[:, 2].sum())


@pytest.mark.parametrize(
    ("column", "negative"),
    # The last has no digit that the rest could be subtracted from.
    [([3, -5], 0), ([-3, 5], 0), ([-7, 0], 0), ([-3, -5, 1], 0), ([-1, -4], 1)],
)
def test_outputs_are_not_negative_if_they_need_not_be(column: list[int], negative: int):
    graph = native.solve(np.array(column)[:, None], ranges(len(column)), effort=0)
    assert is_graph_of(graph, np.array(column)[:, None])
    assert negative_outputs(graph) == negative


def test_shared_sums_leave_few_negative_outputs():
    matrix = np.random.default_rng(0).integers(-128, 128, (16, 64))
    graph = native.solve(matrix, ranges(16), effort=1)
    assert is_graph_of(graph, matrix)
    assert negative_outputs(graph) <= 8


@pytest.mark.parametrize(
    "shape",
    [(65, 3, 1, 1), (130, 5, 1, 1), (301, 1, 1, 1), (9, 2, 3, 3), (40, 3, 2, 3)],
    ids=lambda shape: "x".join(map(str, shape)),
)
@pytest.mark.parametrize("effort", [0, 1])
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 8]), st.sampled_from([0.1, 1]))
@settings(max_examples=10)
def test_many_inputs(
    shape: tuple[int, int, int, int], effort: int, seed: int, bits: int, density: float
):
    """More than are paired with each other at first."""
    rng = np.random.default_rng(seed)
    high = (1 << bits) - 1
    kernel = rng.integers(-high, high, shape, endpoint=True)
    kernel *= rng.random(shape) < density
    graph = native.solve(kernel, ranges(len(kernel)), effort=effort)
    assert is_graph_of_kernel(graph, kernel)


def test_very_many_weights():
    """Enough of them for smaller blocks."""
    rng = np.random.default_rng(0)
    matrix = rng.integers(-1, 1, (70, 1000), endpoint=True)
    matrix *= rng.random(matrix.shape) < 0.1
    assert is_graph_of(native.solve(matrix, ranges(70)), matrix)


def test_sums_of_distant_inputs_are_shared():
    matrix = np.zeros((300, 8), np.int64)
    matrix[[0, 299]] = [[1], [3]]
    matrix[np.arange(100, 108), np.arange(8)] = 1
    graph = native.solve(matrix, ranges(300))
    assert is_graph_of(graph, matrix)
    assert len(graph.nodes) == 10


@given(matrices(), st.integers(0, 1))
def test_a_kernel_of_one_tap_is_a_matrix(matrix: NDArray[np.int64], effort: int):
    graph = native.solve(matrix, ranges(len(matrix)), effort=effort)
    same = native.solve(matrix[:, :, None, None], ranges(len(matrix)), effort=effort)
    assert np.array_equal(same.nodes[:, :5], graph.nodes)
    assert np.array_equal(same.outputs[:, :3], graph.outputs)
    assert not same.nodes[:, 5:].any()
    assert not same.outputs[:, 3:].any()


@given(matrices(), st.sampled_from([(-128, 127), (0, 255), (-7, -7), (3, 1 << 62)]))
def test_spans_are_exact(matrix: NDArray[np.int64], bounds: tuple[int, int]):
    """Against each node as a vector of Python integers."""
    inputs = len(matrix)
    graph = native.solve(matrix, ranges(inputs))
    vectors = list(np.eye(inputs, dtype=object))
    for a, b, p, q, s in graph.nodes.tolist():
        vectors.append(vectors[a] * 2**p + vectors[b] * 2**q * (-1) ** s)
    low, high = bounds
    found = spans(graph.nodes, ranges(inputs, low, high)).tolist()
    assert found == [
        [
            sum(min(c * low, c * high) for c in vector),
            sum(max(c * low, c * high) for c in vector),
        ]
        for vector in vectors[inputs:]
    ]


@given(matrices(), st.integers(0, 3))
def test_depth_is_bounded(matrix: NDArray[np.int64], spare: int):
    digits = [sum(map(digit_count, column)) for column in matrix.T.tolist()]
    least = max(max(digits) - 1, 0).bit_length()
    graph = native.solve(matrix, ranges(len(matrix)), max_depth=least + spare)
    assert is_graph_of(graph, matrix)
    assert max(depths(graph, [0] * len(matrix))) <= least + spare
    if least:
        with pytest.raises(UserError, match=f"the smallest is {least}$"):
            native.solve(matrix, ranges(len(matrix)), max_depth=least - 1)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((0, 3), np.int64),
        np.zeros((3, 0), np.int64),
        np.zeros((3, 4), np.int64),
        np.zeros((0, 0), np.int64),
        np.array([[1]]),
        np.array([[-(1 << 61)]]),
        np.array([[2, 4], [8, -16]]),
        np.array([[5, 5, -5, 10, -20]]),
        np.array([[7], [-7], [7]]),
    ],
    ids=lambda m: "x".join(map(str, m.shape)),
)
def test_corners(matrix: NDArray[np.int64]):
    graph = native.solve(matrix, ranges(len(matrix)))
    assert is_graph_of(graph, matrix)


@pytest.mark.parametrize(
    "shape",
    [(0, 2, 3, 3), (2, 0, 3, 3), (2, 2, 0, 3), (2, 2, 3, 0), (2, 2, 3, 3)],
    ids=lambda s: "x".join(map(str, s)),
)
def test_empty_kernels(shape: tuple[int, int, int, int]):
    kernel = np.zeros(shape, np.int64)
    graph = native.solve(kernel, ranges(len(kernel)))
    assert graph.nodes.shape == (0, 7)
    assert graph.outputs.tolist() == [[-1, 0, 0, 0, 0]] * shape[1]


def test_equal_columns_cost_nothing():
    column = np.array([[93], [-45], [71]])
    one = native.solve(column, ranges(3))
    many = native.solve(np.hstack([column, -column, 4 * column]), ranges(3))
    assert len(one.nodes) == len(many.nodes)


def test_translated_kernels_cost_nothing():
    kernel = np.zeros((2, 3, 4, 4), np.int64)
    kernel[:, 0, :3, :3] = np.random.default_rng(0).integers(-128, 128, (2, 3, 3))
    kernel[:, 1, 1:, :3] = -kernel[:, 0, :3, :3]
    kernel[:, 2, :3, 1:] = 2 * kernel[:, 0, :3, :3]
    one = native.solve(kernel[:, :1], ranges(2))
    many = native.solve(kernel, ranges(2))
    assert is_graph_of_kernel(many, kernel)
    assert len(one.nodes) == len(many.nodes)


def test_windows_share_what_they_have_in_common():
    """Nine taps are a sum of three sums of three."""
    row = np.array([1, 2, 1])
    kernel = (row[:, None] * row)[None, None]
    graph = native.solve(kernel, ranges(1))
    assert is_graph_of_kernel(graph, kernel)
    assert len(graph.nodes) == 4


def test_a_long_filter():
    """As many taps as fields of places have room for, far apart."""
    kernel = np.zeros((1, 2, 1, 1000), np.int64)
    kernel[0, :, 0, ::333] = (1 << 62) - 5
    kernel[0, 1, 0, 1::333] = 85
    assert is_graph_of_kernel(native.solve(kernel, ranges(1)), kernel)


def test_a_kernel_of_too_many_taps():
    kernel = np.zeros((1, 1, 129, 128), np.int64)
    kernel[0, 0, -1, -1] = 3
    with pytest.raises(UserError, match=r"129x128 taps, expected up to 128x128$"):
        native.solve(kernel, ranges(1))


def test_partial_sums_are_shared():
    rng = np.random.default_rng(0)
    matrix = rng.integers(-128, 128, (32, 32))
    graph = native.solve(matrix, ranges(32))
    digits = sum(map(digit_count, matrix.ravel().tolist()))
    assert len(graph.nodes) < 0.5 * (digits - 32)


@given(matrices(), st.data())
def test_inputs_of_some_depth(matrix: NDArray[np.int64], data: st.DataObject):
    before = [data.draw(st.integers(0, 4)) for _ in matrix]
    loads = [
        sum(digit_count(w) << d for w, d in zip(column, before, strict=True))
        for column in matrix.T.tolist()
    ]
    least = max(max(loads) - 1, 0).bit_length()
    bounds, given = ranges(len(matrix)), np.array(before, np.int32)
    graph = native.solve(matrix, bounds, depths=given, max_depth=least)
    assert is_graph_of(graph, matrix)
    assert max(depths(graph, before)) <= least
    if least:
        with pytest.raises(UserError, match=f"the smallest is {least}$"):
            native.solve(matrix, bounds, depths=given, max_depth=least - 1)


@given(kernels(), st.sampled_from([(0, 0), (5, 5), (-3, -3), (0, 255), (-(2**40), 0)]))
def test_ranges_do_not_change_the_function(
    kernel: NDArray[np.int64], bounds: tuple[int, int]
):
    graph = native.solve(kernel, ranges(len(kernel), *bounds))
    assert is_graph_of_kernel(graph, kernel)


def test_the_result_does_not_depend_on_threads():
    solver = native._native
    assert solver is not None
    rng = np.random.default_rng(1)
    matrix = rng.integers(-128, 128, (12, 12, 1, 1))
    before = np.zeros(12, np.int32)
    first, *others = (
        solver.solve(
            matrix, ranges(12), before, -1, 2, threads, lambda done, total: None
        )
        for threads in (1, 4, 2, 4)
    )
    for other in others:
        assert np.array_equal(first[0], other[0])
        assert np.array_equal(first[1], other[1])


def test_effort_saves_adders():
    rng = np.random.default_rng(2)
    matrix = rng.integers(-128, 128, (16, 16))
    graphs = [native.solve(matrix, ranges(16), effort=effort) for effort in range(3)]
    assert all(is_graph_of(graph, matrix) for graph in graphs)
    adders = [len(graph.nodes) for graph in graphs]
    assert adders[0] > adders[1] > adders[2]


@pytest.mark.parametrize("effort", [0, 2])
@pytest.mark.parametrize("limit", [None, 7])
def test_progress_goes_from_nothing_to_all(effort: int, limit: int | None):
    rng = np.random.default_rng(1)
    calls: list[tuple[int, int]] = []
    native.solve(
        rng.integers(-128, 128, (16, 16)),
        ranges(16),
        max_depth=limit,
        effort=effort,
        progress=lambda done, total: calls.append((done, total)),
    )
    done = [d for d, _ in calls]
    assert done == sorted(done)
    assert calls[-1][0] == calls[-1][1] > 0


def test_numbers_that_are_too_large():
    with pytest.raises(UserError, match="a weight has 63 bits, expected up to 62"):
        native.solve(np.array([[1 << 62]]), ranges(1))
    wide = np.array([[-(2**63), 2**63 - 1]])
    with pytest.raises(UserError, match=r"sums have 12\d bits, expected up to 126"):
        native.solve(np.array([[1 << 61]]), wide)


def test_an_error_in_progress_stops_the_solver():
    class Stop(Exception):
        pass

    calls: list[int] = []

    def progress(done: int, total: int) -> None:
        calls.append(done)
        raise Stop

    matrix = np.random.default_rng(1).integers(-128, 128, (256, 256))
    with pytest.raises(Stop):
        native.solve(matrix, ranges(256), progress=progress)
    assert len(calls) == 1


def test_an_interrupt_stops_the_solver():
    matrix = np.random.default_rng(1).integers(-128, 128, (256, 256))
    with pytest.raises(KeyboardInterrupt):
        native.solve(
            matrix, ranges(256), progress=lambda done, total: _thread.interrupt_main()
        )
