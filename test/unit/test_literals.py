"""Constants, however they come: the value that arrives is the value that left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.import_torch import import_torch
from mase_opt.frontend.load_model import load_model, load_torch_text
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import evaluate

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
nn, F = torch.nn, torch.nn.functional
Array = NDArray[Any]

TYPES: dict[str, torch.dtype] = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "i1": torch.bool,
    "si8": torch.int8,
    "si16": torch.int16,
    "si32": torch.int32,
    "si64": torch.int64,
    "ui8": torch.uint8,
}
"""Element types as torch-mlir and as torch call them."""


def values(dtype: torch.dtype) -> torch.Tensor:
    """The numbers of a type where mistakes happen."""
    if dtype is torch.bool:
        return torch.tensor([True, False])
    if not dtype.is_floating_point:
        info = torch.iinfo(dtype)
        return torch.tensor([info.min, info.max, 0, 1, 7], dtype=dtype)
    info = torch.finfo(dtype)
    inf, nan = float("inf"), float("nan")
    numbers = [inf, -inf, nan, 0.0, -0.0, info.smallest_normal / 2, info.tiny]
    numbers += [info.max, info.min, 1234567.0, -3.0, 0.1]
    # 1234567.0 is infinity in 16 bits.
    return torch.tensor(numbers, dtype=dtype)


def constants(dtype: torch.dtype) -> list[torch.Tensor]:
    """Every value as one element, alone, as a splat; and all of them."""
    every = values(dtype)
    alone = [form for v in every for form in (v.clone(), v.reshape(1), v.repeat(3))]
    return [*alone, every, every.repeat(9)]


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Floats of 16 bits as float32: the conversion has no values of them."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def same(result: Array, tensor: torch.Tensor) -> bool:
    """Equal bits, but for which NaN it is; the interpreter's integers are wide."""
    want = wide(tensor).numpy()
    if result.dtype.kind != want.dtype.kind and want.dtype != np.uint8:
        return False
    if result.shape != want.shape:
        return False
    if want.dtype.kind != "f":
        return bool((result == want).all())
    nan = np.isnan(want)
    bits = f"u{want.dtype.itemsize}"
    return result.dtype == want.dtype and bool(
        (np.isnan(result) == nan).all()
        and (result.view(bits) == want.view(bits))[~nan].all()
    )


def results(module: ModuleOp) -> list[Array]:
    if not isinstance(module, ModuleOp):
        raise TypeError
    x = np.zeros((1, 2), np.float32)
    return [value[0] for value in evaluate(module, [x])]


def converted(module: ModuleOp) -> ModuleOp:
    module.verify()
    ConvertTorchToMasePass().apply(Context(), module)
    module.verify()
    return module


def as_buffers(tensors: Sequence[torch.Tensor], _: Path) -> ModuleOp:
    class Buffers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for index, tensor in enumerate(tensors):
                self.register_buffer(f"b{index}", tensor)

        def forward(self, x: torch.Tensor) -> Any:
            return tuple(wide(getattr(self, f"b{i}")) for i in range(len(tensors)))

    return import_torch(Buffers(), (torch.zeros(2),))


def as_literals(tensors: Sequence[torch.Tensor], _: Path) -> ModuleOp:
    lists = [(tensor.tolist(), tensor.dtype) for tensor in tensors]

    class Literals(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return tuple(wide(torch.tensor(v, dtype=d)) for v, d in lists)

    return import_torch(Literals(), (torch.zeros(2),))


def as_initializers(tensors: Sequence[torch.Tensor], folder: Path) -> ModuleOp:
    onnx = pytest.importorskip("onnx", reason="needs the package onnx")
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs the package ml_dtypes")
    helper = onnx.helper
    nodes, outputs, initializers = [], [], []
    for index, tensor in enumerate(tensors):
        array: Array = wide(tensor).numpy()
        result = helper.np_dtype_to_tensor_dtype(array.dtype)
        if tensor.dtype is torch.bfloat16:
            array = array.astype(ml_dtypes.bfloat16)
        elif tensor.dtype is torch.float16:
            array = tensor.numpy()
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        made = onnx.numpy_helper.from_array(array, f"k{index}")
        if index % 2:  # the other way that a file may hold numbers
            numbers = array.ravel().tolist()
            if tensor.dtype not in (torch.float16, torch.bfloat16):
                made = helper.make_tensor(f"k{index}", kind, array.shape, numbers)
        initializers.append(made)
        nodes.append(helper.make_node("Cast", [f"k{index}"], [f"y{index}"], to=result))
        outputs.append(
            helper.make_tensor_value_info(f"y{index}", result, list(array.shape))
        )
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])]
    graph = helper.make_graph(nodes, "constants", inputs, outputs, initializers)
    opset = [helper.make_opsetid("", 19)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    file = folder / "constants.onnx"
    file.write_bytes(model.SerializeToString())
    return converted(load_model(str(file)))


def literal_text(tensor: torch.Tensor, element: str) -> str:
    """The elements as MLIR prints them: bits where a number is none, or large."""
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}

    def one(value: torch.Tensor) -> str:
        if tensor.dtype is torch.bool:
            return "true" if value else "false"
        if not tensor.dtype.is_floating_point:
            return str(value.item())
        number = value.item()
        if abs(number) < 1e6 and abs(number) > 1e-3:
            return repr(number)
        width = value.element_size()
        code = value.view(bits[width]).item() % (1 << 8 * width)
        return f"0x{code:0{2 * width}X}"

    if tensor.ndim == 0 or (tensor.numel() > 1 and bool((tensor == tensor[0]).all())):
        return one(tensor.reshape(-1)[0])
    return f"[{', '.join(map(one, tensor))}]"


CODES = {torch.float32: 6}
"""How torch numbers its types; needed for the result of a cast."""


def as_text(tensors: Sequence[torch.Tensor], _: Path) -> ModuleOp:
    lines: list[str] = []
    returned: list[str] = []
    types: list[str] = []
    for index, tensor in enumerate(tensors):
        element = next(name for name, dtype in TYPES.items() if dtype is tensor.dtype)
        shape = list(tensor.shape)
        builtin = "x".join([*map(str, shape), element])
        type = f"!torch.vtensor<{shape},{element}>".replace(" ", "")
        text = literal_text(tensor, element)
        lines.append(
            f"  %{index} = torch.vtensor.literal(dense<{text}> : tensor<{builtin}>)"
            f" : {type}"
        )
        name = f"%{index}"
        if wide(tensor) is not tensor:
            cast = type.replace(element, "f32")
            lines.append(
                f"  %c{index} = torch.aten.to.dtype {name}, %int6, %false, %false, "
                f"%none : {type}, !torch.int, !torch.bool, !torch.bool, !torch.none"
                f" -> {cast}"
            )
            name, type = f"%c{index}", cast
        returned.append(name)
        types.append(type)
    body = "\n".join(lines)
    return converted(
        load_torch_text(
            "func.func @main(%x: !torch.vtensor<[2],f32>) -> "
            f"({', '.join(types)}) {{\n"
            f"  %int6 = torch.constant.int {CODES[torch.float32]}\n"
            "  %false = torch.constant.bool false\n  %none = torch.constant.none\n"
            f"{body}\n  return {', '.join(returned)} : {', '.join(types)}\n}}",
            "constants.mlir",
        )
    )


CARRIERS: list[Callable[[Sequence[torch.Tensor], Path], ModuleOp]] = [
    as_buffers,
    as_literals,
    as_initializers,
    as_text,
]


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda c: c.__name__)
def test_constants_arrive_as_they_left(
    carrier: Callable[[Sequence[torch.Tensor], Path], ModuleOp],
    element: str,
    tmp_path: Path,
) -> None:
    tensors = constants(TYPES[element])
    arrived = results(carrier(tensors, tmp_path))
    assert len(arrived) == len(tensors)
    wrong = [
        (tensor, result)
        for tensor, result in zip(tensors, arrived, strict=True)
        if not same(result, tensor)
    ]
    assert not wrong


def test_python_numbers_arrive_as_they_left() -> None:
    numbers = [float("inf"), float("-inf"), 1234567.0, -0.0, 1e-45, 3.4e38]

    class Filled(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return tuple(x.masked_fill(x < 1, number) for number in numbers)

    arrived = results(import_torch(Filled(), (torch.zeros(2),)))
    for number, result in zip(numbers, arrived, strict=True):
        assert same(result, torch.full((2,), number))


# Masks


def agrees(model: nn.Module, *inputs: torch.Tensor) -> None:
    """The imported model computes what torch does, but for the order of sums."""
    model = model.eval()
    module = import_torch(model, inputs)
    with torch.no_grad():
        expected = model(*inputs)
    (result,) = evaluate(module, [x.numpy()[None] for x in inputs])
    np.testing.assert_allclose(result[0], expected.numpy(), rtol=2e-5, atol=2e-6)
    assert np.isfinite(result).all()


def function(body: Callable[..., Any]) -> nn.Module:
    class Function(nn.Module):
        def forward(self, *inputs: torch.Tensor) -> Any:
            return body(*inputs)

    return Function()


INF = float("inf")
X = torch.tensor([1.0, 2.0, 3.0, 4.0])


def test_masked_softmax() -> None:
    model = function(lambda x: torch.softmax(x.masked_fill(x > 2, -INF), -1))
    (result,) = evaluate(import_torch(model, (X,)), [X.numpy()[None]])
    np.testing.assert_allclose(result[0], [0.26894143, 0.7310586, 0, 0], rtol=1e-6)


def test_causal_attention() -> None:
    def attention(x: torch.Tensor) -> torch.Tensor:
        mask = torch.full((5, 5), -INF).triu(1)
        return torch.softmax(x @ x.T + mask, -1) @ x

    agrees(function(attention), torch.randn(5, 3))
    filled = torch.tril(torch.ones(5, 5)) == 0

    def masked(x: torch.Tensor) -> torch.Tensor:
        return torch.softmax((x @ x.T).masked_fill(filled, -INF), -1) @ x

    agrees(function(masked), torch.randn(5, 3))


class Attention(nn.Module):
    def __init__(self, **masks: torch.Tensor):
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True)
        self.names = list(masks)
        for name, mask in masks.items():
            self.register_buffer(name, mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        masks = {name: getattr(self, name) for name in self.names}
        return self.layer(x, x, x, need_weights=False, **masks)[0]


@pytest.mark.parametrize(
    "masks",
    [
        {"attn_mask": torch.full((4, 4), -INF).triu(1)},
        {"attn_mask": torch.ones(4, 4, dtype=torch.bool).triu(1)},
        {"key_padding_mask": torch.tensor([[False, False, False, True]] * 2)},
        {
            "attn_mask": torch.full((4, 4), -INF).triu(1),
            "key_padding_mask": torch.tensor([[0.0, 0.0, 0.0, -INF]] * 2),
        },
    ],
    ids=["float", "bool", "padding", "both"],
)
def test_multihead_attention(masks: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    agrees(Attention(**masks), torch.randn(2, 4, 8))


def test_transformer_encoder_layer() -> None:
    torch.manual_seed(0)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            mask = nn.Transformer.generate_square_subsequent_mask(4)
            self.register_buffer("mask", mask)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x, src_mask=self.mask)

    agrees(Encoder(), torch.randn(2, 4, 8))


# Arithmetic with constants, which torch-mlir must not do.

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda k, s: k == s,
    "ne": lambda k, s: k != s,
    "lt": lambda k, s: k < s,
    "le": lambda k, s: k <= s,
    "gt": lambda k, s: k > s,
    "ge": lambda k, s: k >= s,
}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    **COMPARISONS,
    "add": lambda k, s: k + s,
    "radd": lambda k, s: s + k,
    "sub": lambda k, s: k - s,
    "rsub": lambda k, s: s - k,
    "mul": lambda k, s: k * s,
    "rmul": lambda k, s: s * k,
    "div": lambda k, s: k / s,
    "rdiv": lambda k, s: s / k,
    "floordiv": lambda k, s: k // s,
    "rfloordiv": lambda k, s: s // k,
    "trunc div": lambda k, s: torch.div(k, s, rounding_mode="trunc"),
    "floor div": lambda k, s: torch.div(k, s, rounding_mode="floor"),
    "mod": lambda k, s: k % s,
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "pow": lambda k, s: k.float() ** s,
    "rpow": lambda k, s: abs(s) ** k.float(),
    "maximum": lambda k, s: torch.maximum(k, torch.tensor(s)),
    "minimum": lambda k, s: torch.minimum(k, torch.tensor(s)),
    "clamp low": lambda k, s: torch.clamp(k.float(), min=s),
    "clamp high": lambda k, s: torch.clamp(k.float(), max=s),
    "where": lambda k, s: torch.where(k > s, k, s),
    "where not": lambda k, s: torch.where(k > s, s, k),
    "masked_fill": lambda k, s: k.float().masked_fill(k == s, s),
    "and": lambda k, s: torch.logical_and(k, torch.tensor(s)),
    "or": lambda k, s: torch.logical_or(k, torch.tensor(s)),
    "xor": lambda k, s: torch.logical_xor(k, torch.tensor(s)),
    "add alpha": lambda k, s: torch.add(k.float(), s, alpha=2),
    "sub alpha": lambda k, s: torch.sub(k.float(), s, alpha=-3),
    "sign": lambda k, s: torch.sign(k.float() * s),
    "trunc": lambda k, s: torch.trunc(k.float() * s),
    "floor": lambda k, s: torch.floor(k.float() * s),
    "ceil": lambda k, s: torch.ceil(k.float() * s),
    "round": lambda k, s: torch.round(k.float() * s),
    "frac": lambda k, s: torch.frac(k.float() * s),
    "neg": lambda k, s: -(k.float() * s),
    "abs": lambda k, s: abs(k.float() * s),
    "exp": lambda k, s: torch.exp(k.float() * s),
    "sqrt": lambda k, s: torch.sqrt(abs(k.float() * s)),
    "rsqrt": lambda k, s: torch.rsqrt(abs(k.float() * s)),
    "reciprocal": lambda k, s: torch.reciprocal(k.float() * s),
    "to int": lambda k, s: (k.float() * s).to(torch.int64),
    "to bool": lambda k, s: (k.float() * s).to(torch.bool),
    "atan2": lambda k, s: torch.atan2(k.float(), torch.tensor(float(s))),
    "hypot": lambda k, s: torch.hypot(k.float(), torch.tensor(float(s))),
    "not": lambda k, s: torch.logical_not(k * s),
}
BUFFERS = [1.0, -2.5, 3, -7, True, False]
SCALARS = [2, -1, 1.5, True]


def expected_values(
    k: torch.Tensor,
) -> tuple[list[tuple[str, Any]], list[torch.Tensor]]:
    """What torch computes at all, and the results."""
    cases, wanted = [], []
    for name, operator in OPERATORS.items():
        for scalar in SCALARS:
            try:
                wanted.append(operator(k, scalar))
            except RuntimeError:  # torch has it not for these kinds
                continue
            cases.append((name, scalar))
    return cases, wanted


@pytest.mark.slow
@pytest.mark.parametrize("value", BUFFERS, ids=str)
def test_operators_on_one_element(value: float) -> None:
    # With and without a dimension, in turn.
    k = torch.tensor(value).reshape((1,) if value > 0 else ())
    cases, wanted = expected_values(k)
    assert len(cases) > 150

    class Computed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("k", k)

        def forward(self, x: torch.Tensor) -> Any:
            return tuple(OPERATORS[name](self.k, scalar) for name, scalar in cases)

    arrived = results(import_torch(Computed(), (torch.zeros(2),)))
    wrong = [
        (case, result, want)
        for case, result, want in zip(cases, arrived, wanted, strict=True)
        if not same(result, want)
    ]
    assert not wrong


TEXT_TYPES = {torch.float32: "f32", torch.int64: "si64", torch.bool: "i1"}


@pytest.mark.parametrize("value", BUFFERS, ids=str)
def test_comparisons_in_text(value: float) -> None:
    k = torch.tensor(value)
    element = TEXT_TYPES[k.dtype]
    literal = literal_text(k, element)
    lines: list[str] = []
    wanted: list[torch.Tensor] = []
    for name, operator in COMPARISONS.items():
        for scalar in [2, -1, 1, 1.5, -0.5, -7, 1.0]:
            index = len(wanted)
            kind = "float" if isinstance(scalar, float) else "int"
            shown = f"{scalar:e}" if isinstance(scalar, float) else str(scalar)
            lines.append(f"  %s{index} = torch.constant.{kind} {shown}")
            lines.append(
                f"  %r{index} = torch.aten.{name}.Scalar %k, %s{index} : "
                f"!torch.vtensor<[],{element}>, !torch.{kind} -> "
                "!torch.vtensor<[],i1>"
            )
            wanted.append(operator(k, scalar))
    types = ", ".join(["!torch.vtensor<[],i1>"] * len(wanted))
    names = ", ".join(f"%r{index}" for index in range(len(wanted)))
    body = "\n".join(lines)
    module = load_torch_text(
        f"func.func @main(%x: !torch.vtensor<[2],f32>) -> ({types}) {{\n"
        f"  %k = torch.vtensor.literal(dense<{literal}> : tensor<{element}>)"
        f" : !torch.vtensor<[],{element}>\n{body}\n  return {names} : {types}\n}}",
        "comparisons.mlir",
    )
    arrived = results(converted(module))
    assert all(same(r, w) for r, w in zip(arrived, wanted, strict=True))


class Scaled(nn.Module):
    """Constants that inputs meet."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("k", torch.tensor(1.0))
        self.register_buffer("flags", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> Any:
        return (
            x.masked_fill(self.flags == 0, 5.0),
            torch.where(self.k > 0, x, -x),
            x * (self.k * -1),
            x + torch.sign(self.k * -3) + torch.trunc(self.k * 2.5),
            x * (self.k.item() + 1),
        )


def test_constants_that_inputs_meet() -> None:
    module = import_torch(Scaled(), (X,))
    arrived = evaluate(module, [X.numpy()[None]])
    for result, want in zip(arrived, Scaled()(X), strict=True):
        assert same(result[0], want)


def test_random_numbers_are_no_constants() -> None:
    with pytest.raises(UserError, match="it draws random numbers"):
        import_torch(function(lambda x: x + torch.rand(4)), (X,))
