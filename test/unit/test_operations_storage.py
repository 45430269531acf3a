"""What a model computes and holds, counted: against loops and numbers made by hand."""

from __future__ import annotations

import pytest
import torch
from mase_text import parse
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mase_opt as mo
from mase_opt.lib.analysis.operations import Operations, operations
from mase_opt.lib.analysis.storage import Amount, contractions, storage
from mase_opt.lib.model_function import model_function

SUMS = {
    "linear": (nn.Linear(6, 4, bias=False), (2, 6)),
    "conv1d": (nn.Conv1d(2, 4, 3, bias=False), (1, 2, 9)),
    "conv2d": (nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False), (1, 4, 9, 9)),
    "transposed": (nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False), (1, 4, 3, 3)),
}


@pytest.mark.parametrize("name", SUMS)
def test_products_are_those_that_torch_counts(name: str):
    net, shape = SUMS[name]
    x = torch.zeros(shape)
    with FlopCounterMode(display=False) as counter:
        result = net(x)
    # Two for each product there; here a sum has one addition less than products.
    products = counter.get_total_flops() // 2
    function = mo.import_torch(net, [x]).function
    assert operations(function) == Operations(
        2 * products - result.numel(), products * 32 * 32
    )


def count(body: str, arguments: str, result: str) -> Operations:
    module = parse(f"func.func @f({arguments}) -> {result} {{\n{body}\n}}")
    return operations(model_function(module))


def test_a_bias_is_one_addition_for_each_result():
    # 2 x 3 sums of 4 products of 5 and 6 bits.
    x, w = "tensor<2x4x!mase.fixed<5, 0>>", "tensor<3x4x!mase.fixed<6, 0>>"
    b, y = "tensor<3x!mase.fixed<12, 0>>", "tensor<2x3x!mase.fixed<16, 0>>"
    found = count(
        f"%0 = mase.linear %x, %w, %b : ({x}, {w}, {b}) -> {y}\nfunc.return %0 : {y}",
        f"%x: {x}, %w: {w}, %b: {b}",
        y,
    )
    assert found == Operations(6 * (4 + 3 + 1), 6 * 4 * 5 * 6)


def test_attention_is_two_products_of_matrices_and_a_softmax():
    # 3 queries, 5 keys of 2 numbers, values of 4.
    q, k = "tensor<3x2x!mase.fixed<4, 0>>", "tensor<5x2x!mase.fixed<6, 0>>"
    v, y = "tensor<5x4x!mase.fixed<7, 0>>", "tensor<3x4x!mase.fixed<8, 0>>"
    found = count(
        f"%0 = mase.attention %q, %k, %v {{scale = 1.0 : f64}} : ({q}, {k}, {v}) -> "
        f"{y}\nfunc.return %0 : {y}",
        f"%q: {q}, %k: {k}, %v: {v}",
        y,
    )
    scores = 15 * (2 + 1) + 15
    assert found == Operations(scores + 12 * (5 + 4), 15 * 2 * 4 * 6 + 12 * 5 * 4 * 7)


def test_pools_read_windows_and_others_elements():
    x, y, z = "tensor<1x2x6x6xf32>", "tensor<1x2x2x2xf32>", "tensor<1x2xf32>"
    found = count(
        "%0 = mase.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, "
        "padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : "
        f"({x}) -> {y}\n"
        '%1 = mase.reduce %0 {kind = "mean", axes = array<i64: 2, 3>, keepdims = false}'
        f" : ({y}) -> {z}\n"
        f"%2 = mase.mul %1, %1 : ({z}, {z}) -> {z}\nfunc.return %2 : {z}",
        f"%x: {x}",
        z,
    )
    assert found == Operations(8 * 9 + 8 + 2, 2 * 32 * 32)


def test_what_is_shared_counts_once_and_with_its_exponent():
    # 40 numbers of 8 bits in blocks of 32: two exponents of 8 bits a row.
    x = "tensor<1x40x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>"
    w = "tensor<2x40x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>"
    y = "tensor<1x2x!mase.fixed<16, 8>>"
    codes, scales = ", ".join(["1"] * 80), "#mase.dense<ui8, [128, 128, 128, 128]>"
    module = parse(
        f"func.func @f(%x: {x}) -> {y} {{\n"
        f"%w = mase.constant <i8, [{codes}]> {{scales = {scales}}} : {w}\n"
        f"%0 = mase.linear %x, %w : ({x}, {w}) -> {y}\n"
        f"%1 = mase.linear %x, %w : ({x}, {w}) -> {y}\n"
        f"%2 = mase.add %0, %1 : ({y}, {y}) -> {y}\nfunc.return %2 : {y}\n}}"
    )
    found = storage(model_function(module))
    assert found.weights == Amount(80, 2 * (40 * 8 + 2 * 8))
    assert found.others == Amount(0, 0)
    assert found.activations == Amount(40 + 2 + 2, 40 * 8 + 2 * 8 + 2 * 2 * 16)
    linear = Amount(80, 2 * (40 * 8 + 2 * 8)), Amount(40, 40 * 8 + 2 * 8)
    assert contractions(model_function(module)) == [("mase.linear", *linear)] * 2


def test_a_model_in_floating_point_has_32_bits_everywhere():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    found = storage(mo.import_torch(net, [torch.zeros(1, 6)]).function)
    assert found.weights == Amount(36, 36 * 32)
    assert found.others == Amount(7, 7 * 32)
    assert found.activations == Amount(6 + 4 + 4, 14 * 32)
    assert (found.weights + found.others).average == 32
