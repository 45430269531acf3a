"""
Damaged and hostile inputs of the tools: what they are made of, and what must hold.

A case is a kind of input, its seed, and what the tools are asked to do with it. It is
reproducible: `mutant("data", 17)` gives the same files and arguments every time.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

from mase_opt.driver.main import run as mase_opt
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES
from mase_opt.lib.interpreters.kernels import KERNELS
from mase_opt.tools import mase_run

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("MASE_MUTATION_SEED", "0")

MODEL = """\
func.func @small(%x: tensor<1x4xf32> {mase.name = "x"}) -> tensor<1x3xf32> {
  %w = mase.constant <f32, [0.5, -1.25, 3.0, 0.0, 1.0, 2.0, -0.75, 0.125, 1.5, -2.0,
    0.25, 1.0]> : tensor<3x4xf32>
  %b = mase.constant <f32, [0.5, -0.25, 1.0]> : tensor<3xf32>
  %0 = mase.linear %x, %w, %b {layer = "fc"}
    : (tensor<1x4xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<1x3xf32>
  %1 = mase.relu %0 {layer = "act"} : (tensor<1x3xf32>) -> tensor<1x3xf32>
  %2 = mase.sigmoid %1 {layer = "out"} : (tensor<1x3xf32>) -> tensor<1x3xf32>
  func.return %2 : tensor<1x3xf32>
}
"""
QUANTIZED = """\
#r = #mase.rounding<floor, wrap>
!q = !mase.fixed<8, 4>
!s = !mase.scaled<!mase.fixed<4, 0>, 0.25>
!b = !mase.block<!mase.fixed<4, 2>, e8m0, [2]>
func.func @formats(%x: tensor<1x4x!q> {mase.name = "x"}, %i: tensor<2xi8>)
    -> (tensor<1x2x!q>, tensor<1x4x!s>, tensor<1x4x!b>) {
  %w = mase.constant <i8, [16, -40, 3, 0, 7, 127, -128, 1]> : tensor<2x4x!q>
  %0 = mase.linear %x, %w {layer = "fc", rounding = #r}
    : (tensor<1x4x!q>, tensor<2x4x!q>) -> tensor<1x2x!q>
  %1 = mase.cast %x : (tensor<1x4x!q>) -> tensor<1x4x!s>
  %2 = mase.cast %x : (tensor<1x4x!q>) -> tensor<1x4x!b>
  %3 = mase.max_pool2d %p {kernel = array<i64: 1, 2>, strides = array<i64: 1, 2>,
    padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}
    : (tensor<1x1x1x4x!q>) -> tensor<1x1x1x2x!q>
  %p = mase.reshape %x : (tensor<1x4x!q>) -> tensor<1x1x1x4x!q>
  func.return %0, %1, %2 : tensor<1x2x!q>, tensor<1x4x!s>, tensor<1x4x!b>
}
"""
CONFIG = """\
[passes.quantize]
by = "name"

[passes.quantize.default.config]
data_in = "fixed<8, auto>"
weight = "fixed<6, auto>"
rounding = "floor"

[passes.quantize.fc.config]
name = "integer"
data_in_width = 8
data_in_frac_width = 4
weight_width = 4
weight_frac_width = 3

[passes.quantize.act.config]
bypass = true
"""
PLUGIN = """\
from dataclasses import dataclass

from xdsl.ir import Dialect
from xdsl.irdl import irdl_op_definition
from xdsl.passes import ModulePass
from xdsl.universe import Universe

from mase_opt.dialects.mase.base import UnaryOp
from mase_opt.lib.hardware.codec import decode, encode
from mase_opt.lib.hardware.number import product
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.interpreters import kernels
from mase_opt.lib.interpreters.kernels import kernel

@irdl_op_definition
class SquareOp(UnaryOp):
    name = "extra.square"

@kernel(SquareOp)
def meaning(op, x):
    return kernels.from_exact(op, kernels.exact_mul(x, x), 6)

@template(SquareOp)
def circuit(op, b, x):
    return encode(b, op, [product(b, n, n) for n in decode(b, op.input, x)])

@dataclass(frozen=True)
class Rename(ModulePass):
    name = "rename"
    to: str = "new"

    def apply(self, ctx, op):
        for f in op.ops:
            f.properties["sym_name"] = type(f.sym_name)(self.to)

def model():
    import torch
    return torch.nn.Linear(2, 3), torch.zeros(1, 2)

UNIVERSE = Universe(
    all_dialects={"extra": lambda: Dialect("extra", [SquareOp])},
    all_passes={"rename": lambda: Rename},
)
"""
SQUARE = """\
func.func @f(%x: tensor<2x!mase.fixed<6, 3>>) -> tensor<2x!mase.fixed<8, 3>> {
  %y = extra.square %x {layer = "energy"}
    : (tensor<2x!mase.fixed<6, 3>>) -> tensor<2x!mase.fixed<8, 3>>
  func.return %y : tensor<2x!mase.fixed<8, 3>>
}
"""
TORCH = """\
func.func @t(%x: !torch.vtensor<[1,4],f32>) -> !torch.vtensor<[1,2],f32> {
  %w = torch.vtensor.literal(dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 3.0]]>
    : tensor<2x4xf32>) : !torch.vtensor<[2,4],f32>
  %none = torch.constant.none
  %0 = torch.aten.linear %x, %w, %none : !torch.vtensor<[1,4],f32>,
    !torch.vtensor<[2,4],f32>, !torch.none -> !torch.vtensor<[1,2],f32>
  %1 = torch.aten.relu %0 : !torch.vtensor<[1,2],f32> -> !torch.vtensor<[1,2],f32>
  return %1 : !torch.vtensor<[1,2],f32>
}
"""
OPTIONS = [
    "--quantize=width=6",
    "--quantize=format=fixed<8,4> rounding=floor",
    "--quantize=format=mxint8 accumulator=fixed<32,20>",
    "--quantize=weight-format=scaled<fixed<4,0>,auto> per=channel",
    "--calibrate=data=x.npz samples=3",
    "--prune=sparsity=0.5",
    "--convert-mase-to-hw=max-logic-depth=3",
    "--lower-to-lookup",
    "--summarize-quantization",
    "--canonicalize",
    "--emit-sv",
    "--verify-rtl=2",
    "--split",
    "-p",
    "mase-quantize{width=4},canonicalize",
    "-t",
    "mlir",
    "--print-op-generic",
    "--split-input-file",
    "--verify-diagnostics",
    "-o",
    "out.mlir",
    "m.mlir",
]
NUMBERS = (
    "0 -1 1 7 64 65 255 -128 1000 65536 2147483648 9223372036854775807 "
    "18446744073709551616 99999999999 1e300 -1e-300 nan inf 0x7FC00000 0.5"
).split()
TOKEN = re.compile(rb"\s+|[\w.+-]+|.", re.DOTALL)


@dataclass
class Mutant:
    """What the tools are given."""

    kind: str
    arguments: list[str]
    """Of `mase-run` if it begins with that, else of `mase-opt`."""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    check: Callable[[str], None] | None = None
    """Looks at the standard output of a run that succeeds."""

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


# ---- damage -----------------------------------------------------------------------


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut out, repeated, inserted or put elsewhere."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        place = rng.randrange(len(data) + 1)
        length = rng.choice([1, 1, 2, 4, 8, 64])
        match rng.randrange(8):
            case 0 | 1 | 2 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 3:
                data[place : place + length] = rng.randbytes(length)
            case 4:
                del data[place : place + length]
            case 5:
                data[place:place] = data[place : place + length]
            case 6:
                del data[place:]
            case _:
                other = rng.randrange(len(data) + 1)
                data[place:place] = data[other : other + length]
    return bytes(data)


def rewritten(rng: random.Random, content: bytes) -> bytes:
    """Tokens replaced, dropped, repeated, exchanged or nested hundreds of times."""
    tokens = TOKEN.findall(content)
    words = [i for i, t in enumerate(tokens) if not t.isspace()]
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place, other = rng.choice(words), rng.choice(words)
        match rng.randrange(9):
            case 0 | 1 | 2:
                numbers = [i for i in words if re.match(rb"-?\d", tokens[i])]
                tokens[rng.choice(numbers or words)] = rng.choice(NUMBERS).encode()
            case 3:
                tokens[place] = b""
            case 4:
                tokens[place] *= 2
            case 5:
                tokens[place], tokens[other] = tokens[other], tokens[place]
            case 6:
                tokens[place] = tokens[other]
            case 7:
                lines = b"".join(tokens).split(b"\n")
                del lines[rng.randrange(len(lines))]
                tokens = TOKEN.findall(b"\n".join(lines)) or [b"x"]
                words = [i for i, t in enumerate(tokens) if not t.isspace()] or [0]
            case _:
                tokens[place] *= rng.choice([3, 600])
    return b"".join(tokens)


def either(rng: random.Random, content: bytes) -> bytes:
    return (damaged if rng.random() < 0.3 else rewritten)(rng, content)


# ---- inputs -----------------------------------------------------------------------


def arrays(compressed: bool) -> bytes:
    stream = io.BytesIO()
    values = np.linspace(-2, 2, 20, dtype=np.float32).reshape(5, 4)
    save = np.savez_compressed if compressed else np.savez
    save(stream, x=values, labels=np.array([0, 1, 2, 1, 0]))
    return stream.getvalue()


def corpus() -> list[str]:
    """Modules in the mase dialect: all of the tests' inputs that are not large."""
    files = sorted((ROOT / "test").rglob("*.mlir"))
    chunks = [
        chunk
        for file in files
        for chunk in file.read_text(encoding="utf-8").split("// -----")
    ]
    # Comments would take most of the damage.
    found = [re.sub(r"^//.*\n", "", chunk, flags=re.MULTILINE) for chunk in chunks]
    return [c for c in found if "mase." in c and "func.func" in c and len(c) < 4000]


TODO = [
    [],
    ["--canonicalize", "--cse"],
    ["--quantize"],
    ["--quantize=width=4", "--emit-sv"],
    ["--quantize", "--emit-sv", "--verify-rtl=2"],
    ["--emit-sv", "--verify-rtl=2"],
    ["--convert-mase-to-hw=max-logic-depth=2"],
    ["--lower-block-arithmetic", "--lower-to-lookup"],
    ["--build-adder-graphs"],
    ["--calibrate=samples=2", "--equalize", "--clip"],
    ["--fold-batch-norm", "--prune=sparsity=0.5"],
    ["--calibrate=samples=2", "--smooth", "--quantize", "--correct-bias"],
    ["--summarize-quantization"],
]


def text(rng: random.Random, sources: list[str]) -> Mutant:
    """mase-dialect text: printed, quantized, or made hardware."""
    source = rng.choice([MODEL, QUANTIZED, rng.choice(sources)])
    files = {"m.mlir": either(rng, source.encode())}
    todo = rng.choice(TODO)
    check = None if todo else lambda out: same_again(out, "m.mlir")
    return Mutant("text", [*todo, "m.mlir"], files, check)


def same_again(out: str, name: str) -> None:
    """What is printed is what is read, and prints the same."""
    Path(name).write_text(out, encoding="utf-8")
    code, again, error = run(["mase-opt", name])
    assert (code, again) == (0, out), f"printed IR is another: {error}"


def data(rng: random.Random) -> Mutant:
    """`.npz` and `.npy` files."""
    if rng.random() < 0.6:
        name, content = "x.npz", arrays(rng.random() < 0.5)
    else:
        stream = io.BytesIO()
        dtype = rng.choice(["<f4", "<f8", "<i4", ">f4", "?", "<f2"])
        np.save(stream, np.arange(20).reshape(5, 4).astype(dtype))
        name, content = "x.npy", stream.getvalue()
    content = damaged(rng, content)
    files = {"m.mlir": MODEL.encode(), name: content}
    if rng.random() < 0.2:
        return Mutant("data", [f"--calibrate=data={name}", "m.mlir"], files)
    labels = ["--labels"] if name == "x.npz" and rng.random() < 0.5 else []
    arguments = ["mase-run", "m.mlir", "--input", name, "--level=float", *labels]
    arguments += ["--output", "out.npz"]
    return Mutant("data", arguments, files, lambda _: as_numpy_reads(name))


def as_numpy_reads(name: str) -> None:
    """The outputs are those of the numbers that NumPy finds in the file."""
    loaded = np.load(name, allow_pickle=False)
    if not isinstance(loaded, np.ndarray):
        key = "x" if "x" in loaded.files else loaded.files[0]
        with zipfile.ZipFile(name) as archive:
            archive.read(f"{key}.npy")  # with its checksum
        loaded = loaded[key]
    assert np.isfinite(loaded).all(), "numbers that are none were accepted"
    np.savez("clean.npz", x=loaded.reshape(-1, 4).astype(np.float32))
    command = ["mase-run", "m.mlir", "--input", "clean.npz", "--level=float"]
    assert run([*command, "--output", "clean_out.npz"])[0] == 0
    with np.load("out.npz") as one, np.load("clean_out.npz") as other:
        assert np.array_equal(one["out0"], other["out0"]), "read as other numbers"


def config(rng: random.Random) -> Mutant:
    """The TOML file of `mase-quantize`."""
    files = {"m.mlir": MODEL.encode(), "c.toml": either(rng, CONFIG.encode())}
    return Mutant("config", ["--quantize=config=c.toml", "m.mlir"], files)


def options(rng: random.Random) -> Mutant:
    """Command lines."""
    chosen = rng.choices(OPTIONS, k=rng.randrange(1, 5))
    index = rng.randrange(len(chosen))
    changed = either(rng, chosen[index].encode()).decode("utf-8", "replace")
    chosen[index] = changed.replace("\0", "")
    if "m.mlir" not in chosen:
        chosen.append("m.mlir")
    files = {"m.mlir": MODEL.encode(), "x.npz": arrays(False)}
    return Mutant("options", chosen, files)


def plugin(rng: random.Random) -> Mutant:
    """Python of the user's: a plug-in or a factory."""
    files = {"p.py": rewritten(rng, PLUGIN.encode()), "m.mlir": SQUARE.encode()}
    if rng.random() < 0.1:
        line = rng.choice([b"sys.exit(0)", b"raise SystemExit", b"exit()"])
        files["p.py"] = PLUGIN.encode() + b"\nimport sys\n" + line
    if rng.random() < 0.1:
        return Mutant("plugin", ["p.py:model"], files)
    todo = rng.choice([["--rename=to=g"], ["--emit-sv", "--verify-rtl=2"]])
    return Mutant("plugin", ["--load-plugin=p.py", *todo, "m.mlir"], files)


def emitted(rng: random.Random, original: dict[str, bytes]) -> Mutant:
    """A folder that `mase-opt --emit-sv -o` wrote."""
    files = {f"sv/{name}": content for name, content in original.items()}
    files["x.npz"] = arrays(False)
    name = rng.choice(["manifest.json"] * 3 + ["circuit.mlir", "model.mlir"])
    files[f"sv/{name}"] = either(rng, original[name])
    level = rng.choice(["quantized", "rtl", "rtl"])
    arguments = ["mase-run", "sv", "--input=x.npz", f"--level={level}"]
    if name != "manifest.json":
        return Mutant("emitted", arguments, files)
    arguments.append("--output=out.npz")
    return Mutant("emitted", arguments, files, lambda _: as_emitted(original))


def as_emitted(original: dict[str, bytes]) -> None:
    """A manifest that is accepted changes no output."""
    for name, content in original.items():
        Path("sv", name).write_bytes(content)
    command = ["mase-run", "sv", "--input=x.npz", "--level=quantized"]
    assert run([*command, "--output=right.npz"])[0] == 0
    with np.load("out.npz") as one, np.load("right.npz") as other:
        assert np.array_equal(one["out0"], other["out0"]), "another result"


def emitted_folder(folder: Path) -> dict[str, bytes]:
    """The files of a small circuit."""
    (folder / "m.mlir").write_text(MODEL, encoding="utf-8")
    with contextlib.chdir(folder):
        code, _, error = run(
            "mase-opt --quantize=width=6 --convert-mase-to-hw=max-logic-depth=2 "
            "--emit-sv m.mlir -o sv".split()
        )
    assert code == 0, error
    files = (path for path in (folder / "sv").iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files}


def torch_text(rng: random.Random) -> Mutant:
    """torch-dialect text."""
    files = {"m.mlir": either(rng, TORCH.encode())}
    return Mutant("torch_text", ["--convert-torch-to-mase", "m.mlir"], files)


def onnx(rng: random.Random, original: bytes) -> Mutant:
    """An ONNX model."""
    files = {"m.onnx": damaged(rng, original)}
    return Mutant("onnx", ["--convert-torch-to-mase", "m.onnx"], files)


def onnx_model() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    weight = np.arange(8, dtype=np.float32).reshape(4, 2)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="fc"),
        helper.make_node("Relu", ["y"], ["z"], name="act"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
    outputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2])]
    graph = helper.make_graph(
        nodes, "g", inputs, outputs, [numpy_helper.from_array(weight, "w")]
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(
        graph, opset_imports=opset, ir_version=8
    ).SerializeToString()


def pt2(rng: random.Random, original: bytes) -> Mutant:
    """A program that `torch.export.save` wrote."""
    files = {"m.pt2": damaged(rng, original)}
    return Mutant("pt2", ["--convert-torch-to-mase", "m.pt2"], files)


def pt2_program() -> bytes:
    import torch

    program = torch.export.export(torch.nn.Linear(4, 2), (torch.zeros(1, 4),))
    stream = io.BytesIO()
    torch.export.save(program, stream)
    return stream.getvalue()


# ---- running ----------------------------------------------------------------------


def run(command: Sequence[str]) -> tuple[int, str, str]:
    """A tool in this process: exit code, standard output and error."""
    tool, arguments = (
        (mase_run.run, command[1:])
        if command[0] == "mase-run"
        else (mase_opt, command[command[0] == "mase-opt" :])
    )
    out, error = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
        warnings.catch_warnings(),
        # What a plug-in registers goes with it.
        patch.dict(KERNELS),
        patch.dict(TEMPLATES),
    ):
        warnings.simplefilter("always")
        try:
            code = tool(list(arguments))
        except SystemExit as end:  # --help, --version
            code = end.code if isinstance(end.code, int) else 1
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return code, out.buffer.getvalue().decode(), error.getvalue()


def complaints(mutant: Mutant, folder: Path) -> str | None:
    """What is wrong with how the tools take a mutant; None if nothing is."""
    mutant.write(folder)
    before = set(folder.rglob("*"))
    with contextlib.chdir(folder):
        try:
            code, out, error = run(mutant.arguments)
        except Exception as escaped:
            return f"{type(escaped).__name__} escaped: {escaped}"
        if code not in (0, 1):
            return f"exit code {code}: {error}"
        for words in ("Traceback", "this is a bug", "internal error"):
            if words in error:
                return error
        if code == 0:
            try:
                if mutant.check is not None:
                    mutant.check(out)
            except AssertionError as wrong:
                return f"silently wrong: {wrong}"
            return None
    written = {
        path
        for path in set(folder.rglob("*")) - before
        # Of a plug-in that fails there is a reproducer.
        if "__pycache__" not in path.parts and "-reproducer-" not in path.name
    }
    if out or written:
        return f"partial output: {out[:200]!r} {sorted(map(str, written))}"
    if "error:" not in error:
        return f"no word of what is wrong: {error!r}"
    return None


def hunt(
    kind: str,
    make: Callable[[random.Random], Mutant],
    cases: range,
    folder: Path,
) -> Iterator[str]:
    """What is wrong with some of the mutants of a kind, which `make` makes."""
    for case in cases:
        mutant = make(random.Random(f"{SEED} {kind} {case}"))
        place = folder / f"{mutant.kind}{case}"
        place.mkdir()
        if complaint := complaints(mutant, place):
            command = " ".join(map(repr, mutant.arguments))
            yield f"{place}: {command}\n  {complaint}"
        else:
            shutil.rmtree(place)
