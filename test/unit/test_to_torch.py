"""Models in torch: the interpreter's codes, for any batch, compiled and trained."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from mase_text import parse
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.layers import Conv2dOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedType, element_of
from mase_opt.frontend.import_torch import import_torch
from mase_opt.frontend.load_model import load_model
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def digits(name: str, width: int | None = None) -> ModuleOp:
    """A digits model, quantized if there is a width."""
    module = load_model(str(DIGITS / f"{name}.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    if width is not None:
        data = str(DIGITS / f"{name}_calibration.npz")
        MaseQuantizePass(width=width, data=data).apply(Context(), module)
    return module


def images(name: str) -> torch.Tensor:
    with np.load(DIGITS / f"{name}_test.npz") as data:
        return torch.from_numpy(data["x"])


def types(module: ModuleOp) -> tuple[Any, Any]:
    """The formats of the first argument and the first result."""
    block = module.body.block.first_op.body.block  # pyright: ignore
    return element_of(block.args[0]), element_of(block.last_op.operands[0])


def expected(module: ModuleOp, x: torch.Tensor) -> np.ndarray:
    """The numbers that the interpreter gives for a batch."""
    source, target = types(module)
    (result,) = evaluate(module, [source.held(x.numpy()[:, None])])
    return target.numbers(result)[:, 0]  # the batch in the IR is 1


@pytest.mark.parametrize("width", [8, 4])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_digits(name: str, width: int):
    module, x = digits(name, width), images(name)
    net = to_torch(module)
    wanted = expected(module, x)
    result = net(x)
    assert result.dtype == torch.float32
    assert np.array_equal(result.numpy(), wanted)
    assert np.unique(wanted).size > 4
    for count in (1, 3):
        assert torch.equal(net(x[:count]), result[:count])
    # Formats are in the IR, whatever torch is told.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(net(x), result)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(net(x), result)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(copy.deepcopy(net)(x), result)
    assert torch.equal(to_torch(net.ir)(x), result)


@pytest.mark.parametrize("width", [16, 26, 32])
def test_wide_formats(width: int):
    module = digits("cnn", width)
    x = images("cnn")[:40]
    assert np.array_equal(to_torch(module)(x).numpy(), expected(module, x))


def adversary(channels: int) -> tuple[ModuleOp, torch.Tensor]:
    """A convolution with sums as large as they get, and odd."""
    rng = np.random.default_rng(0)
    weight = rng.choice([-127, -126, 125, 127], (8, channels, 3, 3)).astype(np.int8)
    weight[0] = -127
    weight[0, 0, 1, 1] = -126
    x = rng.choice([-128, -127, 127], (2, channels, 14, 14))
    x[0] = 127
    function = func.FuncOp(
        "main", ([TensorType(FixedType(8, 4), (1, channels, 14, 14))], ())
    )
    block = function.body.block
    constant = ConstantOp.of(weight, FixedType(8, 6), "weight")
    conv = Conv2dOp(block.args[0], constant, padding=(1, 1), element=FixedType(32, 10))
    block.add_ops([constant, conv, func.ReturnOp(conv)])
    function.update_function_type()
    return ModuleOp([function]), torch.from_numpy(x / 16.0).float()


@pytest.mark.parametrize(("channels", "bits"), [(64, 24), (128, 25)])
def test_convolutions_are_exact(channels: int, bits: int):
    """In float32 if and only if that is wide enough."""
    module, x = adversary(channels)
    wanted = expected(module, x)
    codes = np.abs(wanted * 2**10).astype(int)
    assert int(codes.max()).bit_length() == bits
    assert (codes[codes >= 1 << (bits - 1)] % 2 == 1).any()
    net = to_torch(module)
    assert np.array_equal(net(x).numpy(), wanted)
    last = x.to(memory_format=torch.channels_last)
    assert np.array_equal(net(last).numpy(), wanted)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_traces_into_one_graph_for_all_batches():
    torch.compiler.reset()
    module, x = digits("cnn", 8), images("cnn")
    net = to_torch(module)
    compiled: Any = torch.compile(net, fullgraph=True, dynamic=True, backend="eager")
    for count in (1, 3, 50):
        assert torch.equal(compiled(x[:count]), net(x[:count]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_code_is_exact():
    torch.compiler.reset()
    module, x = digits("cnn", 8), images("cnn")
    net = to_torch(module)
    compiled: Any = torch.compile(net, fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(x), net(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "name", ["mlp", "jsc_tiny", "lenet", "gan_generator", "gan_discriminator"]
)
def test_float_models(name: str):
    """As the model that was imported, also for larger batches than in the IR."""
    model, (x,) = zoo.MODELS[name]()
    net = to_torch(import_torch(model, (x,)))
    many = torch.cat([x, 2 * x, -x])
    with torch.no_grad():
        torch.testing.assert_close(net(many), model(many), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
        net.load_state_dict(model.state_dict(), strict=name == "mlp")
        torch.testing.assert_close(net(many), model(many), rtol=1e-4, atol=1e-4)


def test_parameters_are_named_as_in_the_model():
    net = to_torch(digits("cnn"))
    assert {n: tuple(p.shape) for n, p in net.named_parameters()} == {
        "conv.weight": (6, 1, 3, 3),
        "conv.bias": (6,),
        "bn.weight": (6,),
        "bn.bias": (6,),
        "fc.weight": (10, 96),
        "fc.bias": (10,),
    }
    assert {n for n, _ in net.named_buffers()} == {"bn.running_mean", "bn.running_var"}
    for name, tensor in net.state_dict().items():
        assert np.array_equal(net.constants[name].array(), tensor)
        assert net.constants[name].value.label == name
        assert net.constants[name].parent_op().parent_op() is net.ir  # pyright: ignore


NAMES = """
func.func @main(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {{
  %0 = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %1 = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %2 = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %3 = mase.add %x, %0 : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %4 = mase.add %3, %1 : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %5 = mase.add %4, %2 : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %5 : tensor<1x2xf32>
}}
"""


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("a.b", "a", "a.b"), ["a.b", "a_", "a.b_"]),
        (("a", "a.b", "a_"), ["a", "a_.b", "a__"]),
        (("forward", "ir.x", "0.1.x"), ["forward_", "ir_.x", "0.1.x"]),
        (("x", "..", "train.type"), ["x", "_._._", "train_.type_"]),
    ],
)
def test_awkward_names(labels: tuple[str, ...], names: list[str]):
    module = parse(NAMES.format())
    for op, label in zip(list(module.walk())[2:5], labels, strict=True):
        assert isinstance(op, ConstantOp)
        new = ConstantOp.of(op.array(), element_of(op.result), label)
        op.value = new.value
    net = to_torch(module)
    assert sorted(net.constants) == sorted(names)
    assert sorted(n for n, _ in net.named_parameters()) == sorted(names)
    assert net(torch.tensor([[1.0, 2.0]])).tolist() == [[4.0, 8.0]]


MASTERS = """
func.func @main(%x: tensor<1x3x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %0 = mase.constant <f32, [0.1, 0.2, -0.3, 1.0, 300.0, 0.7]> : tensor<2x3xf32>
  %1 = mase.constant <f32, [0.5, -0.26]> : tensor<2xf32>
  %w = mase.cast %0 : (tensor<2x3xf32>) -> tensor<2x3x!mase.fixed<4, 2>>
  %b = mase.cast %1 : (tensor<2xf32>) -> tensor<2x!mase.fixed<4, 2>>
  %y = mase.linear %x, %w, %b {layer = "fc"}
    : (tensor<1x3x!mase.fixed<8, 4>>, tensor<2x3x!mase.fixed<4, 2>>,
       tensor<2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %y : tensor<1x2x!mase.fixed<8, 4>>
}
"""


def test_masters_behind_casts_train():
    module = parse(MASTERS)
    net = to_torch(module)
    parameters = dict(net.named_parameters())
    assert set(parameters) == {"fc.weight", "fc.bias"}
    x = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 0.3]], requires_grad=True)
    y = net(x)
    weight = torch.tensor([[0.0, 0.25, -0.25], [1.0, 1.75, 0.75]])
    rounded = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 0.3125]])
    exact = rounded @ weight.T + torch.tensor([0.5, -0.25])
    assert y.tolist() == (torch.round(exact * 16) / 16).tolist()
    y.sum().backward()
    # Straight through, but for the weight that saturates.
    column = rounded.sum(0)
    wanted = torch.stack([column, column])
    wanted[1, 1] = 0
    assert torch.equal(parameters["fc.weight"].grad, wanted)  # pyright: ignore
    assert parameters["fc.bias"].grad.tolist() == [2, 2]  # pyright: ignore
    assert x.grad is not None
    assert torch.equal(x.grad, weight.sum(0).expand(2, 3))
    with torch.no_grad():
        parameters["fc.bias"] += 1
    assert net(x).tolist() != y.tolist()


WIDE = """
func.func @main(%x: tensor<1x2x!mase.fixed<32, 20>>)
    -> tensor<1x1x!mase.fixed<40, 20>> {
  %0 = mase.constant <f32, [0.5, -0.25]> : tensor<1x2xf32>
  %w = mase.cast %0 : (tensor<1x2xf32>) -> tensor<1x2x!mase.fixed<28, 24>>
  %y = mase.linear %x, %w {layer = "fc"}
    : (tensor<1x2x!mase.fixed<32, 20>>, tensor<1x2x!mase.fixed<28, 24>>)
    -> tensor<1x1x!mase.fixed<40, 20>>
  %z = mase.reduce %y {kind = "sum", axes = array<i64: 1>, keepdims = true}
    : (tensor<1x1x!mase.fixed<40, 20>>) -> tensor<1x1x!mase.fixed<40, 20>>
  func.return %z : tensor<1x1x!mase.fixed<40, 20>>
}
"""


def test_gradient_through_integer_sums():
    net = to_torch(parse(WIDE))
    x = torch.tensor([[3.0, 1.0]], dtype=torch.float64, requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.5, -0.25]]
    assert dict(net.named_parameters())["fc.weight"].grad.tolist() == [[3, 1]]  # pyright: ignore


PAIR = """
func.func @main(%x: tensor<2x3xf32> {mase.name = "x"}, %y: tensor<f32>)
    -> (tensor<2x3xf32>, tensor<f32>, tensor<3xf32>) {
  %0 = mase.add %x, %y : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %1 = mase.reduce %x {kind = "sum", axes = array<i64: 0, 1>}
    : (tensor<2x3xf32>) -> tensor<f32>
  %2 = mase.constant <f32, [1.0, 2.0, 3.0]> : tensor<3xf32>
  func.return %0, %1, %2 : tensor<2x3xf32>, tensor<f32>, tensor<3xf32>
}
"""


def test_batches():
    net = to_torch(parse(PAIR))
    x = torch.arange(12.0).reshape(4, 3)
    total, sums, constant = net(x, torch.tensor([10.0, 20.0]))
    offset = torch.tensor([10.0, 10, 20, 20])[:, None]
    assert torch.equal(total, x + offset)
    assert sums.tolist() == [15, 51]
    assert constant.tolist() == [1, 2, 3, 1, 2, 3]
    # One for the whole batch.
    for one in (torch.tensor(10.0), torch.tensor([10.0])):
        assert torch.equal(net(x, one)[0], x + 10)
    empty, *_ = net(x[:0], torch.tensor(1.0))
    assert empty.shape == (0, 3)
    with pytest.raises(UserError, match="takes 2 inputs, got 1"):
        net(x)
    with pytest.raises(UserError, match="'x' has shape 3x3, expected 2x3, the first"):
        net(x[:3], torch.tensor(1.0))
    with pytest.raises(UserError, match="'arg1' has 3 samples, others have 2"):
        net(x, torch.arange(3.0))


def test_dtypes_stay():
    net = to_torch(digits("mlp", 8))
    for change in (net.half, net.double, net.bfloat16):
        with pytest.raises(UserError, match="follow from the formats"):
            change()
    assert net.to("cpu") is net
    assert to_torch(digits("mlp")).float() is not None


def test_refusals():
    with pytest.raises(UserError, match="expected one function, found none"):
        to_torch(ModuleOp([]))
    with pytest.raises(UserError, match=r"func.call has no meaning in torch"):
        to_torch(
            parse(
                """
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = func.call @main(%x) : (tensor<2xf32>) -> tensor<2xf32>
  func.return %0 : tensor<2xf32>
}"""
            )
        )
    with pytest.raises(UserError, match="does not compute with ui64"):
        to_torch(
            parse(
                """
func.func @main(%x: tensor<2xui64>) -> tensor<2xui64> {
  func.return %x : tensor<2xui64>
}"""
            )
        )


def documented(index: int) -> str:
    page = (DIGITS.parents[1] / "docs" / "torch.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[index]


def test_documented_evaluation(monkeypatch: Any, capsys: Any):
    monkeypatch.chdir(DIGITS.parents[1])
    exec(compile(documented(0), "docs/torch.md", "exec"), {})
    right = int(capsys.readouterr().out.split()[0])
    assert 340 <= right <= 360


def test_documented_training(monkeypatch: Any):
    monkeypatch.chdir(DIGITS.parents[1])
    names: dict[str, Any] = {}
    exec(compile(documented(1), "docs/torch.md", "exec"), names)
    trained: ModuleOp = names["trained"].apply("canonicalize").ir
    constants = [op for op in trained.walk() if isinstance(op, ConstantOp)]
    assert len(constants) == 4
    assert not any(is_float(element_of(op.result)) for op in constants)
    assert not any(isinstance(op, CastOp) for op in trained.walk())
