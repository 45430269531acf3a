"""Values that are only compared with constants are compared before any rounding."""

import numpy as np
import pytest
import torch
from quantize_models import model, quantize, run
from torch import nn
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.layers import Conv2dOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.frontend.import_torch import import_torch
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.data.samples import encode_inputs, random_samples
from mase_opt.lib.interpreters.kernels.values import decode
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.model_function import model_function
from mase_opt.testing import assert_levels_agree


class Sign(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        match self.kind:
            case "sign":
                return torch.sign(x)
            case "where":
                return torch.where(x >= 0, 1.0, -1.0)
            case _:
                # Not a number of 8 bits.
                return (x.unflatten(-1, (4, 6)) > 0.3).float().flatten(-2) * 2 - 1


def binarized(kind: str) -> nn.Module:
    net = nn.Sequential(
        nn.Linear(32, 24),
        Sign(kind),
        nn.Linear(24, 24, bias=False),
        Sign(kind),
        nn.Linear(24, 10),
    )
    signs = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randint(0, 2, p.shape, generator=signs) * 2.0 - 1)
    return net


@pytest.mark.parametrize("kind", ["sign", "where", "step"])
def test_binarized_network(kind, tmp_path):
    net = binarized(kind)
    numbers = torch.Generator().manual_seed(1)
    x = torch.randint(-8, 9, (400, 1, 32), generator=numbers) / 8
    np.save(tmp_path / "x.npy", x.numpy())
    module = import_torch(net, (x[0],))
    quantize(module, data=str(tmp_path / "x.npy"))
    assert (run(module, [x.numpy()]) == net(x).detach().numpy()).all()
    assert (to_torch(module)(x[0]) == net(x[0])).all()
    assert_levels_agree(module, samples=16)


COMPARED = """%w = CONST<2x2x2x2>
  %b = CONST<2>
  %t = mase.constant <f32, [0.3, -1.7]> : tensor<2x1x1xf32>
  %half = mase.constant <f32, [0.5]> : tensor<f32>
  %0 = mase.conv2d %x, %w, %b {strides = array<i64: 1, 1>,
    padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}
    : (tensor<1x2x3x3xf32>, tensor<2x2x2x2xf32>, tensor<2xf32>)
    -> tensor<1x2x2x2xf32>
  %1 = mase.max_pool %0 {kernel = array<i64: 1, 2>, strides = array<i64: 1, 2>,
    padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}
    : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x1xf32>
  %2 = mase.add %1, %half : (tensor<1x2x2x1xf32>, tensor<f32>) -> tensor<1x2x2x1xf32>
  %3 = mase.transpose %2 {permutation = array<i64: 0, 1, 3, 2>}
    : tensor<1x2x2x1xf32> -> tensor<1x2x1x2xf32>
  %y = mase.compare %t, %3 {predicate = "lt"}
    : (tensor<2x1x1xf32>, tensor<1x2x1x2xf32>) -> tensor<1x2x1x2xi1>"""
COMPARED_TYPES = "%x: tensor<1x2x3x3xf32>", "tensor<1x2x1x2xi1>"


@pytest.mark.parametrize("options", [{}, {"width": 4}, {"format": "mxint8"}], ids=str)
def test_no_rounding_before_a_comparison(options):
    """What is compared is the exact sum of the numbers that weights and inputs are."""
    module = model(COMPARED, *COMPARED_TYPES)
    function = model_function(module)
    inputs = random_samples(function, 400, seed=0)
    quantize(module, **options)
    held: dict[SSAValue, np.ndarray] = {}
    args = encode_inputs(function, inputs)
    [result] = evaluate(
        module, args, observe=lambda value, array: held.update({value: array})
    )
    [conv] = [op for op in function.body.block.ops if isinstance(op, Conv2dOp)]
    x, w, b = (
        torch.tensor(decode(held[v], element_of(v))).double() for v in conv.operands
    )
    sums = nn.functional.conv2d(x[:, 0], w[0], b[0])
    compared = nn.functional.max_pool2d(sums, (1, 2)).transpose(-1, -2).numpy() + 0.5
    thresholds = np.float32([0.3, -1.7]).astype(np.float64)[:, None, None]
    assert (result[:, 0] == (thresholds < compared)).all()
    if "format" not in options:  # exact sums of blocks have no circuit
        assert_levels_agree(module, samples=8)


def test_a_result_with_a_format_of_its_own(tmp_path):
    config = tmp_path / "q.toml"
    config.write_text(
        '[passes.quantize]\nby = "type"\n'
        '[passes.quantize.conv2d.config]\ndata_out = "fixed<6, 3>"\n'
    )
    module = model(COMPARED, *COMPARED_TYPES)
    quantize(module, config=str(config))
    [conv] = [
        op for op in model_function(module).body.block.ops if isinstance(op, Conv2dOp)
    ]
    assert str(element_of(conv.result)) == "!mase.fixed<6, 3>"
