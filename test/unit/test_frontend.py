"""Reading models: exported programs, files, factories, and what can be wrong there."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.utils.exceptions import ParseError, PassFailedException

from mase_opt.driver.main import run as mase_opt
from mase_opt.frontend.import_torch import export_module, import_torch, torch_text
from mase_opt.frontend.importer.torch_import import quiet_torch
from mase_opt.frontend.load_model import load_model, load_torch_text
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import evaluate

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
nn = torch.nn

X = torch.linspace(-1, 1, 8).reshape(2, 4)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 3)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


def run(module: ModuleOp, *inputs: torch.Tensor) -> list[np.ndarray]:
    return [r[0] for r in evaluate(module, [x.numpy()[None] for x in inputs])]


def converted(module: ModuleOp) -> ModuleOp:
    ConvertTorchToMasePass().apply(Context(), module)
    module.verify()
    return module


def check(model: nn.Module, module: ModuleOp, *inputs: torch.Tensor) -> None:
    with torch.no_grad():
        expected = model(*inputs)
    (result,) = run(module, *inputs)
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-6, atol=1e-6)


def function(body: Any) -> nn.Module:
    class Function(nn.Module):
        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return body(*inputs)

    return Function()


# In-place ops, whose removal must respect what shares memory with their target.


def chain(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y.relu_().add_(1)
    return y * y


def view_before(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    view = y.view(4, 2)
    y.relu_()
    return view + 1


def view_written(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y[:, 1].add_(5)
    return y


def dropout_alias(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    z = nn.functional.dropout(y, 0.5, training=False)
    z.relu_()
    return y - z


def used_before(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    z = y + 1
    y.neg_()
    return y * z


@pytest.mark.parametrize(
    "body", [chain, view_before, view_written, dropout_alias, used_before]
)
def test_in_place_ops(body: Any) -> None:
    model = function(body)
    check(model, import_torch(model, (X,)), X)


def decomposed(program: Any) -> Any:
    with quiet_torch():
        return program.run_decompositions()


def relu_of_input(x: torch.Tensor) -> torch.Tensor:
    return x.relu_()


def written_and_used(x: torch.Tensor) -> torch.Tensor:
    before = x + 1
    x.view(8)[3:].mul_(2)
    return before * x


def element_of_input(x: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor]:
    x[0, 1] = 5.0
    return x, None, torch.special.expit(x)


@pytest.mark.parametrize("body", [relu_of_input, written_and_used, element_of_input])
@pytest.mark.parametrize("prepare", [lambda program: program, decomposed])
def test_writes_to_an_input_are_seen_by_what_follows(body: Any, prepare: Any) -> None:
    model = function(body)
    program = prepare(export_module(model, (X.clone(),)))
    expected = model(X.clone())
    if isinstance(expected, torch.Tensor):
        expected = (expected,)
    results = run(import_torch(program), X)
    wanted = [value for value in expected if value is not None]
    for result, value in zip(results, wanted, strict=True):
        np.testing.assert_allclose(result, value.numpy(), rtol=1e-6)


def test_one_tensor_for_two_inputs(tmp_path: Path) -> None:
    model = function(lambda x, y, z: x - y * z)
    module = import_torch(model, (X, X.clone(), X))
    inputs = [X, X + 1, X - 2]
    (result,) = run(module, *inputs)
    np.testing.assert_array_equal(result, model(*inputs).numpy())
    # torch.export itself confuses them.
    program = torch.export.export(model, (X, X.clone(), X))
    file = tmp_path / "net.pt2"
    torch.export.save(program, file)
    message = (
        "the example inputs 'inputs_0' and 'inputs_2' are one tensor, and torch.export "
        r"takes every use of it for the last of them: pass a copy \(\.clone\(\)\)"
    )
    with pytest.raises(UserError, match=message):
        load_model(str(file))


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return x + self.count


class Held(nn.Module):
    """A layer with a path."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.exp())


@pytest.mark.parametrize("prepare", [lambda program: program, decomposed])
def test_state_that_changes_is_an_error(prepare: Any) -> None:
    program = prepare(export_module(Held(Counter()), (X,)))
    with pytest.raises(
        UserError,
        match=r"the model writes to its state 'layer\.count'.* and a circuit keeps "
        "nothing from sample to sample: pass the state as an input, and return the new "
        "one as an output",
    ):
        import_torch(program)


class Attended(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(4, 2, dropout=0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads(x, x, x)[0]


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        (nn.Dropout(), "dropout in 'layer' at .*: it is random"),
        (nn.RReLU(), "rrelu in 'layer' at .*: it is random"),
        (Attended(), r"dropout in 'layer\.heads' at .*: it is random"),
        (nn.BatchNorm1d(4), "batch_norm in 'layer' at .*: it is"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*LeafSpec")
def test_programs_in_training_mode(
    layer: nn.Module, where: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Held(layer).train(), (X,)), file)
    with pytest.raises(
        UserError,
        match=rf"^torch\.aten\.{where} in training mode: call model\.eval\(\) before "
        "the export$",
    ):
        load_model(str(file))


def test_statistics_that_training_updates() -> None:
    program = torch.export.export(Held(nn.BatchNorm1d(4)).train(), (X,))
    with pytest.raises(
        UserError,
        match=r"^the model writes to its state 'layer\.running_mean' in 'layer' at .*: "
        r"call model\.eval\(\) before the export$",
    ):
        import_torch(decomposed(program))


def attention(x: torch.Tensor, **options: Any) -> torch.Tensor:
    x = x[None]
    return nn.functional.scaled_dot_product_attention(x, x, x, **options)


ALWAYS_TRAINING: dict[str, tuple[Any, str, str]] = {
    # What it does, the op that is named, what to pass.
    "dropout": (nn.functional.dropout, "dropout", "training=self.training"),
    "rrelu": (
        lambda x: nn.functional.rrelu(x, training=True),
        "rrelu",
        "training=self.training",
    ),
    "attention": (
        lambda x: attention(x, dropout_p=0.25),
        "scaled_dot_product_attention",
        r"dropout_p=0\.25 if self\.training else 0\.0",
    ),
    "batch_norm": (
        lambda x: nn.functional.batch_norm(x, X[0], X[0].exp(), training=True),
        "batch_norm",
        "training=self.training",
    ),
}


@pytest.mark.parametrize("name", ALWAYS_TRAINING)
def test_functions_told_to_train(name: str) -> None:
    body, op, setting = ALWAYS_TRAINING[name]
    with pytest.raises(
        UserError,
        match=rf"^torch\.aten\.{op} in 'layer' at .*test_frontend\.py:\d+: it.*: "
        rf"pass {setting}, and call model\.eval\(\) before the export$",
    ):
        import_torch(Held(function(body)), (X,))


@pytest.mark.parametrize(
    "body",
    [
        lambda x: nn.functional.dropout(x, p=0.0) + 1,
        lambda x: nn.functional.dropout(x, training=False) + 1,
        lambda x: (torch.rand(3), x + 1)[1],
        lambda x: nn.functional.rrelu(x) + 1,
        lambda x: attention(x, dropout_p=0.0)[0],
    ],
)
def test_random_ops_that_do_nothing(body: Any) -> None:
    model = function(body)
    check(model, import_torch(model, (X,)), X)


@pytest.mark.parametrize(
    ("body", "op"),
    [
        (lambda x: x + torch.randn(2, 4), "randn"),
        (lambda x: torch.bernoulli(x.sigmoid()), "bernoulli"),
        (lambda x: (x[0].uniform_(), x * 2)[1], "uniform_"),
    ],
)
def test_random_numbers(body: Any, op: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"^torch\.aten\.{op}.*: it draws random numbers, which a circuit does "
        "not have: pass them as an input of the model$",
    ):
        import_torch(function(body), (X,))


def test_statistics_of_the_batch() -> None:
    layer = nn.BatchNorm1d(4, track_running_stats=False)
    with pytest.raises(
        UserError,
        match=r"^torch\.aten\.batch_norm in 'layer' at .*: it keeps no running "
        r"statistics \(track_running_stats=False\), so that its result depends on all "
        "samples of a batch: keep them, and train it again, or use a norm within a "
        r"sample \(group_norm, layer_norm\)$",
    ):
        import_torch(Held(layer), (X,))
    # Those of instance norm are of one sample.
    model = Held(nn.InstanceNorm1d(4, affine=True))
    x = torch.arange(24.0).reshape(2, 4, 3).sin()
    check(model, import_torch(model, (x,)), x)


class ComplexWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("phase", torch.ones(4, dtype=torch.complex64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.phase).real


@pytest.mark.parametrize(
    ("model", "x", "where"),
    [
        (function(torch.real), X + 1j, "input 'inputs_0'"),
        (ComplexWeight(), X, "weight 'phase'"),
        (function(lambda x: (x * 1j).imag), X, r"torch\.aten\.mul\.Tensor at .*"),
        (function(lambda x: torch.fft.fft(x).abs()), X, r"torch\.aten\.fft_fft at .*"),
    ],
)
def test_complex_numbers(model: nn.Module, x: torch.Tensor, where: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"^{where}: torch\.complex64 has no number format: compute with the "
        "real and the imaginary part as two tensors$",
    ):
        import_torch(model, (x,))


def test_buffers_that_are_not_saved() -> None:
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            shift = torch.arange(4.0)
            self.register_buffer("shift", shift, persistent=False)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x + self.shift)

    model = Shifted()
    check(model, import_torch(model, (X,)), X)
    assert model._non_persistent_buffers_set == {"shift"}


def test_weights_that_are_views_or_shared() -> None:
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)
            self.b = nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight
            self.c = nn.Parameter(torch.arange(16.0).reshape(4, 4).t())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x)) @ self.c

    model = Tied()
    module = import_torch(model, (X,))
    check(model, module, X)


def test_names_outside_ascii() -> None:
    model = nn.Sequential()
    model.add_module("größe", nn.Linear(4, 4))
    check(model, import_torch(model, (X,)), X)


def test_boolean_buffers() -> None:
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("a", torch.tensor([True, False, True, True]))
            self.register_buffer("b", torch.tensor([True, True, False, True]))
            self.register_buffer("c", torch.tensor([False, True, True, True]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.where(self.a, x, 0.5) + torch.where(self.b, x, 0.25)
            return y + torch.where(self.c, x, 0.125)

    model = Masked()
    check(model, import_torch(model, (X,)), X)


def test_keyword_inputs_keep_their_names() -> None:
    class Two(nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return ids * mask

    module = import_torch(Two(), {"ids": X, "mask": X.clone()})
    text = str(module)
    assert '%ids: tensor<2x4xf32> {mase.name = "ids"}' in text
    assert '%mask: tensor<2x4xf32> {mase.name = "mask"}' in text
    assert "func.func @Two(" in text


def test_arguments_and_results_that_are_no_tensors() -> None:
    model = function(lambda x, n, mode: (x * n, None, x + 1 if mode == "a" else x))
    results = run(import_torch(model, (X, 3, "a")), X)
    np.testing.assert_allclose(results[0], X.numpy() * 3)
    np.testing.assert_allclose(results[1], X.numpy() + 1)


def test_ops_that_torch_mlir_takes_apart_wrongly() -> None:
    model = function(lambda x: torch.meshgrid(x[0], x[1], indexing="xy")[1])
    check(model, import_torch(model, (X,)), X)


def test_exported_program_stays_usable() -> None:
    model = Net().eval()
    program = export_module(model, (X,))
    first = import_torch(program, name="net")
    second = import_torch(program, name="net")
    check(model, first, X)
    assert str(first) == str(second)


def test_untraceable_module_is_an_error() -> None:
    model = function(lambda x: x if x.sum() > 0 else -x)
    with pytest.raises(UserError, match=r"cannot trace Function: .* control flow"):
        import_torch(model, (X,))


def test_wrong_example_inputs_are_an_error() -> None:
    with pytest.raises(UserError, match=r"cannot trace Net: .*example inputs must fit"):
        import_torch(Net(), (torch.zeros(2, 5),))


def test_brain_float_is_an_error() -> None:
    with pytest.raises(UserError, match=r"bfloat16: call model\.float\(\)"):
        import_torch(Net().bfloat16(), (X.bfloat16(),))


def test_unsupported_ops_are_all_listed() -> None:
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.odd = function(torch.erfinv)
            self.more = function(torch.special.i0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.more(self.odd(x)) + self.odd(x)

    with pytest.raises(PassFailedException) as caught:
        import_torch(Odd(), (X,))
    message = str(caught.value)
    assert "cannot convert 3 ops" in message
    assert "2 x torch.aten.erfinv: not supported" in message
    assert "1 x torch.aten.i0: not supported" in message
    assert "in 'odd' at " in message
    assert "in 'more' at " in message


# Files


def test_torch_text_round_trip() -> None:
    model = Net()
    text = torch_text(model, (X,), "net")
    assert "torch.aten.linear" in text
    check(model, converted(load_torch_text(text, "net.mlir")), X)


def test_pt2_file(tmp_path: Path) -> None:
    model = Net().eval()
    file = tmp_path / "net.pt2"
    torch.export.save(export_module(model, (X,)), file)
    module = converted(load_model(str(file)))
    check(model, module, X)
    assert 'layer = "fc1"' in str(module)


def safetensors() -> bytes:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + b"1234"


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "1")
    return stream.getvalue()


def saved(value: Any, *, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def scripted() -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(Net().eval(), X), stream)
    return stream.getvalue()


NET = Net()
RETURNS = "returns model, (x,) with an example input x, and give FILE.py:FUNCTION"
LOADS = f": write a function that builds the model, loads them and {RETURNS}"
STATE = f"a state dict, weights without a model{LOADS}"
CHECKPOINT = f"a dict of weights (a checkpoint) without a model{LOADS}"
ONNX = "convert the model to ONNX, with tf2onnx for example"


def pickled(name: str) -> str:
    return (
        f"a pickled module ({name}), whose code is elsewhere: write a function that "
        f"loads it (torch.load with weights_only=False) and {RETURNS}"
    )


FOREIGN: dict[str, tuple[bytes, str]] = {
    "module.pt": (saved(nn.Linear(4, 2)), pickled("torch.nn.modules.linear.Linear")),
    "old_module.pt": (
        saved(nn.Sequential(nn.Linear(4, 2)), zipped=False),
        pickled("torch.nn.modules.container.Sequential"),
    ),
    "module.pkl": (
        pickle.dumps(nn.Linear(4, 2)),
        pickled("torch.nn.modules.linear.Linear"),
    ),
    "traced_by_fx.pt2": (
        saved(torch.fx.symbolic_trace(nn.Sequential(nn.ReLU()))),
        pickled("torch.fx.graph_module.reduce_graph_module"),
    ),
    "weights.pt": (saved(NET.state_dict()), STATE),
    "old_weights.pth": (saved(NET.state_dict(), zipped=False), STATE),
    "weights.pkl": (pickle.dumps(NET.state_dict()), STATE),
    "checkpoint.ckpt": (saved({"epoch": 3, "net": NET.state_dict()}), CHECKPOINT),
    "old.bin": (saved(dict(NET.state_dict()), zipped=False), CHECKPOINT),
    "tensor.pt": (saved(X), "a pickle, but not of a model"),
    "numbers.pkl": (pickle.dumps({"a": [1.5]}), "a pickle, but not of a model"),
    "script.pt": (
        scripted(),
        "TorchScript, which torch.export does not take: export the module that it was "
        "made from, with torch.export.save(torch.export.export(model.eval(), (x,)), "
        "'model.pt2')",
    ),
    "w.safetensors": (
        safetensors(),
        f"a safetensors file, weights without a model{LOADS}",
    ),
    "llm.gguf": (b"GGUF\3\0\0\0", f"a GGUF file, weights without a model{LOADS}"),
    "net.h5": (b"\x89HDF\r\n\x1a\n\0\0", f"an HDF5 file, of Keras probably: {ONNX}"),
    "net.keras": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        f"a Keras model: {ONNX}",
    ),
    "net.tflite": (b"\x1c\0\0\0TFL3\0", f"a TensorFlow Lite model: {ONNX}"),
    "net.pb": (b"\x08\x01\x12\x03abc", f"a TensorFlow graph: {ONNX}"),
    "data.npz": (zipped("x.npy", "y.npy"), "a NumPy archive: data, and no model"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(
    name: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    data, kind = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    assert mase_opt([name]) == 1
    assert capsys.readouterr().err == f"error: {name} is {kind}\n"


class Bomb:
    """Ends the test when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


def test_foreign_files_are_not_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    for zipped in (False, True):
        file.write_bytes(saved(Bomb(), zipped=zipped))
        with pytest.raises(UserError, match="a pickle, but not of a model"):
            load_model(str(file))


@pytest.mark.parametrize("size", [0, 100, -100])
def test_damaged_pt2_file(tmp_path: Path, size: int) -> None:
    file = tmp_path / "net.pt2"
    torch.export.save(export_module(Net(), (X,)), file)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError, match=r"net\.pt2 is"):
        load_model(str(file))


def test_dynamic_pt2_file(tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    batch = torch.export.Dim("batch")
    program = torch.export.export(Net(), (X,), dynamic_shapes=({0: batch},))
    torch.export.save(program, file)
    with pytest.raises(UserError, match="input 'x': dimension 0 is dynamic"):
        load_model(str(file))


def onnx_model(batch: int | str = 2) -> Any:
    onnx = pytest.importorskip("onnx", reason="needs the package onnx")
    helper = onnx.helper
    weight = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["h"], "/fc/Gemm", transB=1),
            helper.make_node("Relu", ["h"], ["y"], "/act/Relu"),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [batch, 3])],
        [
            onnx.numpy_helper.from_array(weight, "w"),
            onnx.numpy_helper.from_array(weight[:, 0], "b"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model, weight


def test_onnx_file(tmp_path: Path) -> None:
    model, weight = onnx_model()
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    module = converted(load_model(str(file)))
    expected = np.maximum(X.numpy() @ weight.T + weight[:, 0], 0)
    np.testing.assert_allclose(run(module, X)[0], expected, rtol=1e-6)
    layers = [(op.name, op.properties.get("layer")) for op in module.walk()]
    assert ("mase.linear", StringAttr("fc")) in layers
    assert ("mase.relu", StringAttr("act")) in layers


def test_bad_onnx_files(tmp_path: Path) -> None:
    model, _ = onnx_model("batch")
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"dimension 0 is dynamic \(batch\)"):
        load_model(str(file))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="not a valid ONNX model"):
        load_model(str(file))


def onnx_file(
    folder: Path,
    nodes: list[tuple[Any, ...]],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    constants: dict[str, Any],
    opset: int = 17,
) -> Path:
    """A file of nodes (operator, inputs, outputs, name, attributes)."""
    onnx = pytest.importorskip("onnx", reason="needs the package onnx")
    helper = onnx.helper

    def ports(shapes: dict[str, list[int]]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(
        [
            helper.make_node(kind, ins, outs, name, **attributes)
            for kind, ins, outs, name, attributes in nodes
        ],
        "net",
        ports(inputs),
        ports(outputs),
        [onnx.numpy_helper.from_array(np.array(v), n) for n, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    file = folder / "net.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def test_a_crash_of_torch_mlir_names_the_op(tmp_path: Path) -> None:
    file = onnx_file(
        tmp_path,
        [
            ("Relu", ["x"], ["r"], "/act/Relu", {}),
            ("Einsum", ["r", "r"], ["z"], "/scale/Einsum", {"equation": ",->"}),
            ("Neg", ["z"], ["y"], "/out/Neg", {}),
        ],
        {"x": []},
        {"y": []},
        {},
    )
    with pytest.raises(UserError, match=r"SIG\w+ on onnx\.Einsum in 'scale': write"):
        load_model(str(file))
    # And this process lives.
    model, _ = onnx_model()
    file.write_bytes(model.SerializeToString())
    converted(load_model(str(file)))


def test_shapes_are_computed_before_torch_mlir_sees_them(tmp_path: Path) -> None:
    file = onnx_file(
        tmp_path,
        [
            ("Shape", ["x"], ["shape"], "", {}),
            ("Sub", ["shape", "one"], ["rest"], "", {}),
            ("Concat", ["rest", "one"], ["sizes"], "", {"axis": 0}),
            ("Split", ["x", "sizes"], ["y", "z"], "", {"axis": 0}),
        ],
        {"x": [4]},
        {"y": [3], "z": [1]},
        {"one": np.array([1])},
    )
    y, z = run(converted(load_model(str(file))), X[0])
    np.testing.assert_array_equal(y, X[0, :3])
    np.testing.assert_array_equal(z, X[0, 3:])


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batch_normalization_of_every_opset(tmp_path: Path, opset: int) -> None:
    parameters = {n: np.float32([i + 1, i + 2]) for i, n in enumerate("sbmv")}
    file = onnx_file(
        tmp_path,
        [("BatchNormalization", ["x", *"sbmv"], ["y"], "/bn/BatchNormalization", {})],
        {"x": [1, 2, 2]},
        {"y": [1, 2, 2]},
        parameters,
        opset,
    )
    x = torch.arange(4.0).reshape(1, 2, 2)
    (result,) = run(converted(load_model(str(file))), x)
    scale, bias, mean, variance = map(torch.from_numpy, parameters.values())
    expected = nn.functional.batch_norm(x, mean, variance, scale, bias)
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-6)


FACTORIES = """
import torch
from helper import SIZE

def net():
    torch.manual_seed(0)
    return torch.nn.Linear(SIZE, 2), (torch.zeros(1, SIZE),)

def one_tensor():
    return torch.nn.Linear(SIZE, 2), torch.zeros(1, SIZE)

def module_only():
    return torch.nn.Linear(SIZE, 2)

def broken():
    raise KeyError("weights")

value = 3
"""


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("SIZE = 4")
    file = tmp_path / "my_models.py"
    file.write_text(FACTORIES)
    return file


@pytest.mark.parametrize("name", ["net", "one_tensor"])
def test_factory_in_a_file(factories: Path, name: str) -> None:
    module = converted(load_model(f"{factories}:{name}"))
    assert f"func.func @{name}(%input: tensor<1x4xf32>" in str(module)


def test_factory_in_a_module(factories: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(factories.parent)
    module = converted(load_model("my_models:net"))
    assert "mase.linear" in str(module)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nett", r"has no function 'nett'; did you mean 'net'\?"),
        ("value", "has no function 'value'"),
        ("module_only", r"returned Linear, expected a torch\.nn\.Module and its"),
        ("broken", "broken failed: KeyError: 'weights'"),
    ],
)
def test_bad_factories(factories: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_model(f"{factories}:{name}")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_module_of_ours:net", "cannot import no_such_module_of_ours"),
        ("no_such_file.py:net", r"cannot read 'no_such_file\.py': no such file"),
        ("no_such_file.mlir", r"cannot read 'no_such_file\.mlir'"),
    ],
)
def test_missing_sources(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_model(source)


def test_text_errors(tmp_path: Path) -> None:
    file = tmp_path / "net.mlir"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a model"):
        load_model(str(file))
    text = torch_text(Net(), (X,), "net")
    with pytest.raises(ParseError):
        load_torch_text(text[: len(text) // 2], "net.mlir")
    with pytest.raises(UserError, match=r"weight 'fc\d\.\w+' has no data"):
        load_torch_text(text.partition("{-#")[0], "net.mlir")
