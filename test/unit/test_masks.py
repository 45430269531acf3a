"""Masks before softmax and in attention: all the same, and they cost no range."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from mase_text import parse
from quantize_models import quantize, run
from torch import nn
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.normalization import SoftmaxOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.frontend.import_torch import import_torch
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.analysis.masks import masked_scores
from mase_opt.lib.model_function import model_function
from mase_opt.testing import assert_levels_agree

Array = np.ndarray[Any, Any]
MASKS = [-np.inf, float(np.finfo(np.float32).min), -1e9, -1e4, -100.0]
CAUSAL = torch.full((5, 5), -torch.inf).triu(1)


def with_mask(module: ModuleOp, mask: float) -> ModuleOp:
    """A copy of a model whose masks are -inf, with another number for them."""
    copy = module.clone()
    replaced = 0
    for op in list(model_function(copy).body.block.ops):
        if isinstance(op, ConstantOp) and np.isneginf(array := op.array()).any():
            new = np.where(np.isneginf(array), np.float32(mask), array)
            constant = ConstantOp.of(new, element_of(op.result), op.value.label)
            model_function(copy).body.block.insert_op_before(constant, op)
            op.result.replace_all_uses_with(constant.result)
            op.detach()
            op.erase()
            replaced += 1
    assert replaced
    return copy


class Softmax(nn.Module):
    def __init__(self, kind: str, mask: torch.Tensor):
        super().__init__()
        self.kind = kind
        self.register_buffer("mask", mask)
        self.register_buffer("addend", torch.zeros(()).masked_fill(mask, -torch.inf))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        match self.kind:
            case "fill":
                x = x.masked_fill(self.mask, -torch.inf)
            case "where":
                x = torch.where(self.mask, torch.tensor(-torch.inf), x)
            case "add":
                x = x + self.addend
            case "minimum":
                x = torch.minimum(x, self.addend + 50)
            case "scaled":
                x = x.masked_fill(self.mask, -torch.inf) * 2.0 / 2.0
            case _:
                x = (x.T.masked_fill(self.mask[:, None], -torch.inf)).T.reshape(1, 4)
        return torch.softmax(x, -1)


class Causal(nn.Module):
    """Attention by hand."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = x @ x.transpose(-1, -2) / 2
        mask = CAUSAL[:3, :3] < 0
        return torch.softmax(scores.masked_fill(mask, -torch.inf), -1) @ x


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=CAUSAL)


class Multihead(nn.Module):
    def __init__(self, weights: bool):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.weights = weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, attn_mask=CAUSAL, need_weights=self.weights)[0]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, nn.Transformer.generate_square_subsequent_mask(5))


X = np.array([[[1, 2, 3, 0.5]]], np.float32)
KINDS = ["fill", "where", "add", "minimum", "scaled", "shapes"]


@pytest.mark.parametrize("kind", KINDS)
def test_softmax(kind, tmp_path):
    """All masks give the same codes, those of the right weights, at every level."""
    np.save(tmp_path / "x.npy", X)
    net = Softmax(kind, torch.tensor([True, False, True, False]))
    imported = import_torch(net, (torch.from_numpy(X[0]),))
    right = np.exp(X) * [0, 1, 0, 1] / np.exp(X[0, 0, [1, 3]]).sum()
    texts: set[str] = set()
    for mask in MASKS:
        module = with_mask(imported, mask)
        quantize(module, data=str(tmp_path / "x.npy"))
        # The scores are exact: no bit of them is lost to the mask.
        result = run(module, [X])
        assert (result == np.rint(right * 256) / 256).all(), mask
        assert (to_torch(module)(torch.from_numpy(X[0])).numpy() == result[0]).all()
        texts.add(re.sub(r"<i8, \[(-?\d+)(, -?\d+)*\]>", "mask", str(module)))
        # Softmax has no circuit; all before it has.
        function = model_function(module)
        [softmax] = [op for op in function.body.block.ops if isinstance(op, SoftmaxOp)]
        returned = function.get_return_op()
        assert returned is not None
        returned.operands[0] = softmax.input
        softmax.detach()
        softmax.erase()
        function.update_function_type()
        assert_levels_agree(module)
    assert kind in ("add", "minimum") or len(texts) == 1


@pytest.mark.parametrize(
    ("net", "shape", "error"),
    [
        (Causal(), (3, 4), 0.1),
        (Attention(), (5, 8), 0.05),
        (Multihead(weights=True), (5, 8), 0.04),
        (Multihead(weights=False), (5, 8), 0.03),
        (Encoder(), (5, 8), 0.15),
    ],
    ids=["causal", "attention", "weights", "multihead", "encoder"],
)
def test_attention(net, shape, error, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 1, *shape)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in net.parameters():
            nn.init.uniform_(parameter, -0.4, 0.4)
    net.eval()
    right = np.stack([net(torch.from_numpy(row)).detach().numpy() for row in x])
    imported = import_torch(net, (torch.from_numpy(x[0]),))
    results: list[Array] = []
    for mask in MASKS:
        module = with_mask(imported, mask)
        quantize(module, data=str(tmp_path / "x.npy"))
        results.append(run(module, [x]))
        assert (results[-1] == results[0]).all(), mask
    assert np.abs(results[0] - right).max() < error


@pytest.mark.parametrize("factor", [-1e9, -1e4, -100.0])
def test_masks_from_an_input(factor, tmp_path):
    """`scores + (1 - m) * -1e4`, also with rows that are masked out completely."""
    text = f"""
    func.func @f(%x: tensor<1x4x4xf32> {{mase.name = "x"}},
        %m: tensor<1x4xf32> {{mase.name = "m"}}) -> tensor<1x4x4xf32> {{
      %one = mase.constant <f32, [1.0]> : tensor<f32>
      %big = mase.constant <f32, [{factor}]> : tensor<f32>
      %c = mase.constant <f32, [0.0, {factor}, {factor}, {factor}, 0.0, 0.0, {factor},
        {factor}, 0.0, 0.0, 0.0, {factor}, 0.0, 0.0, 0.0, 0.0]> : tensor<4x4xf32>
      %0 = mase.sub %one, %m : (tensor<f32>, tensor<1x4xf32>) -> tensor<1x4xf32>
      %1 = mase.mul %0, %big : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
      %2 = mase.reshape %1 : tensor<1x4xf32> -> tensor<1x1x4xf32>
      %3 = mase.add %x, %2
        : (tensor<1x4x4xf32>, tensor<1x1x4xf32>) -> tensor<1x4x4xf32>
      %4 = mase.add %3, %c
        : (tensor<1x4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x4xf32>
      %5 = mase.softmax %4 {{axis = 2 : i64}}
        : (tensor<1x4x4xf32>) -> tensor<1x4x4xf32>
      func.return %5 : tensor<1x4x4xf32>
    }}"""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (64, 1, 4, 4)).astype(np.float32)
    # Padded at the left: the first position then has nothing to look at.
    m = (np.arange(4) >= rng.integers(0, 3, (64, 1, 1))).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, m=m)
    module = parse(text)
    quantize(module, data=str(tmp_path / "data.npz"))
    allowed = np.tri(4, dtype=bool) & (m[:, :, None] > 0)
    right = np.exp(x) * allowed
    some = allowed.any(axis=-1, keepdims=True)
    right = right / np.where(some, right.sum(axis=-1, keepdims=True), 1)
    result = run(module, [x, m])
    # Half a step of 1/8 in two scores, which are up to 3 and reach down to -10, and of
    # 1/32 in what they come from; a weight changes by a quarter of that.
    assert np.abs((result - right) * some).max() < 0.25 * 2 * (1 / 16 + 1 / 64)
    assert (result[np.broadcast_to(some, x.shape) & ~allowed] == 0).all()


FILL = """
func.func @f(%x: tensor<1x8xf32>) -> ({types}) {{
  %m = mase.constant <i1, [true, false, true, false, false, false, false, true]>
    : tensor<8xi1>
  %c = mase.constant <f32, [{mask}]> : tensor<f32>
  %0 = mase.select %m, %c, %x
    : (tensor<8xi1>, tensor<f32>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %1 = mase.softmax %0 {{axis = 1 : i64}} : (tensor<1x8xf32>) -> tensor<1x8xf32>
  func.return {values} : {types}
}}"""
ONE = {"types": "tensor<1x8xf32>", "values": "%1"}
TWO = {"types": "tensor<1x8xf32>, tensor<1x8xf32>", "values": "%0, %1"}


def fill(mask: float, values: dict[str, str]) -> ModuleOp:
    return parse(FILL.format(mask=mask, **values))


@pytest.mark.parametrize(
    "options",
    [
        {"width": 4},
        {"width": 16},
        {"method": "minmax"},
        {"method": "percentile", "percentile": 60.0},
        {"method": "kl"},
        {"format": "int8"},
        {"format": "uint8"},
        {"format": "fp8_e4m3"},
        {"format": "mxint8"},
        {"masters": True},
    ],
    ids=str,
)
def test_formats_and_methods(options):
    x = np.random.default_rng(0).standard_normal((64, 1, 8)).astype(np.float32)
    results: list[Array] = []
    for mask in MASKS:
        module = fill(mask, ONE)
        quantize(module, **options)
        results.append(run(module, [x]))
        assert (results[-1] == results[0]).all(), mask
    assert (results[0][..., [0, 2, 7]] == 0).all()
    assert (results[0][..., [1, 3, 4, 5, 6]] > 0).mean() > 0.6


def test_no_masks():
    for mask, values, options, message in [
        (np.nan, ONE, {}, "holds 1 NaN and 0 infinite values of 1; train or export"),
        (-np.inf, ONE, {"overflow": "wrap"}, "holds -inf, which has no code: it masks"),
        (-np.inf, TWO, {}, "holds -inf, which has no code: it masks"),
    ]:
        with pytest.raises(PassFailedException, match=message):
            quantize(fill(mask, values), **options)


def test_what_is_masked_out():
    scores = np.full((2, 3, 4), -1e4, np.float32)
    scores[0, 0] = [1, 2, -np.inf, -44]
    scores[0, 1, 0] = 7
    scores[1, 2] = [-60, -61, -59, -200]
    expected = np.array(
        [
            # Within 45 of the highest; a row with one score; a padded one.
            [[False, False, True, True], [False, True, True, True], [True] * 4],
            [[True] * 4, [True] * 4, [False, False, False, True]],
        ]
    )
    assert (masked_scores(scores, 1) == expected).all()
    assert (masked_scores(scores.swapaxes(1, 2), 0) == expected.swapaxes(1, 2)).all()
