"""The driver's parts that a command line does not reach easily."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.passes import ModulePass
from xdsl.universe import XDSL_UNIVERSE
from xdsl.utils.arg_spec import ArgSpec

from mase_opt.driver.command_line import DriverParser
from mase_opt.driver.expected import expectations
from mase_opt.driver.main import run as mase_opt
from mase_opt.driver.pass_docs import describe
from mase_opt.frontend.inputs import read_chunks
from mase_opt.frontend.locations import LocatingParser, SourcePlace, place_of
from mase_opt.lib import console, native
from mase_opt.lib.atomic import atomic_directory, atomic_file
from mase_opt.lib.errors import UserError
from mase_opt.lib.target import yosys
from mase_opt.lib.transforms.mase_lower_to_lookup import MaseLowerToLookupPass
from mase_opt.pass_options import build_pass, parse_flag_options
from mase_opt.universe import UNIVERSE


@dataclass(frozen=True)
class OptionsPass(ModulePass):
    """
    Take options
    of every type.

    And do nothing.
    """

    name = "test-options"

    count: int = 8
    """How many."""
    width: int | str = "auto"
    scale: float | None = None
    names: tuple[str, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Nothing."""


def options(text: str) -> OptionsPass:
    spec = ArgSpec("test-options", parse_flag_options(text))
    built = build_pass({"test-options": lambda: OptionsPass}, spec)
    assert isinstance(built, OptionsPass)
    return built


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", OptionsPass()),
        ("count=3 width=4", OptionsPass(count=3, width=4)),
        ("width=auto", OptionsPass(width="auto")),
        ("scale=2", OptionsPass(scale=2.0)),
        ("names=8", OptionsPass(names=("8",))),
        ("names=007,infinity", OptionsPass(names=("007", "infinity"))),
        ("scale=2.50 count=007", OptionsPass(scale=2.5, count=7)),
        ("names=a/b.npz,'c d'", OptionsPass(names=("a/b.npz", "c d"))),
        ("names=fixed<8,4>,mxint8", OptionsPass(names=("fixed<8,4>", "mxint8"))),
    ],
)
def test_options(text: str, expected: OptionsPass) -> None:
    built = options(text)
    assert built == expected
    assert isinstance(built.scale, float | None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count=x", "option 'count' wants int, got x"),
        ("count=1.5", "option 'count' wants int, got 1.5"),
        ("count", "option 'count' has no value: write count=…"),
        ("scale", "option 'scale' has no value: write scale=…"),
        ("names", "option 'names' has no value: write names=…"),
        ("count=1,2", "option 'count' wants int, got 1,2"),
        ("scale=x", "option 'scale' wants float, got x"),
        ("coumt=1", "no option 'coumt'; did you mean 'count'?"),
        ("count=1 count=2", "'count' is given twice"),
        ("names='a", "No closing quotation"),
        ("=3", "write name=value"),
    ],
)
def test_wrong_options(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        options(text)


def test_pass_documentation() -> None:
    doc = describe(OptionsPass)
    assert doc.summary == "Take options of every type."
    assert doc.description == "And do nothing."
    assert [(o.name, o.type, o.default, o.text) for o in doc.options] == [
        ("count", "int", "8", "How many."),
        ("width", "int|str", "auto", ""),
        ("scale", "float|None", "unset", ""),
        ("names", "tuple[str, ...]", "empty", ""),
    ]


def test_every_pass_is_documented() -> None:
    for name, factory in UNIVERSE.all_passes.items():
        doc = describe(factory())
        assert doc.name == name
        assert doc.summary.endswith("."), name
        for option in doc.options:
            assert option.text, f"{name}: option {option.name} has no docstring"


def test_short_flags_reach_our_passes() -> None:
    passes = [*XDSL_UNIVERSE.all_passes, *UNIVERSE.all_passes]
    parser = DriverParser()
    parser.add_pass_flags(passes)
    for name in UNIVERSE.all_passes:
        for flag in (name, name.removeprefix("mase-")):
            parsed = parser.parse([f"--{flag}"])
            assert parsed.pass_flags == [(name, "")], flag


@pytest.mark.parametrize(
    ("line", "samples", "file"),
    [
        ("--verify-rtl 64 m.mlir", 64, "m.mlir"),
        ("--verify-rtl=64 m.mlir", 64, "m.mlir"),
        ("m.mlir --verify-rtl 0", 0, "m.mlir"),
        ("m.mlir --verify-rtl", 256, "m.mlir"),
        ("--verify-rtl m.mlir", 256, "m.mlir"),
        ("--verify-rtl 65", 256, "65"),
    ],
)
def test_number_of_samples(
    line: str, samples: int, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "65").touch()  # a file is an input, whatever its name
    parser = DriverParser()
    parser.add_argument("input_file", nargs="?")
    parser.add_driver_options()
    parser.add_pass_flags([])
    parsed = parser.parse(line.split())
    assert (parsed.verify_rtl, parsed.input_file) == (samples, file)


@pytest.mark.parametrize(
    ("line", "option", "advice"),
    [
        ("--quantize width=4 m.pt2", "width=4", '--quantize="width=4"'),
        ("m.pt2 --quantize width=4", "width=4", '--quantize="width=4"'),
        (
            "--mase-quantize width=4 data-format=fixed<8,4> m.pt2",
            "width=4",
            '--mase-quantize="width=4 data-format=fixed<8,4>"',
        ),
        ("--calibrate data=a.npz --quantize", "data=a.npz", '--calibrate="data=a.npz"'),
    ],
)
def test_options_apart_from_their_flag(line: str, option: str, advice: str) -> None:
    parser = DriverParser()
    parser.add_argument("input_file", nargs="?")
    parser.add_pass_flags(UNIVERSE.all_passes)
    with pytest.raises(UserError) as caught:
        parser.parse(line.split())
    assert str(caught.value) == (
        f"'{option}' is no input: write its flag and a pass's options as one argument, "
        f"{advice}"
    )


def test_locations() -> None:
    ctx = Context()
    ctx.load_dialect(Builtin)
    ctx.allow_unregistered = True
    text = """"a.b"() ({
  "c.d"() : () -> ()
\t"e.f"() : () -> () loc("x":7:8)
}) : () -> ()"""
    module = LocatingParser(ctx, text, "m.mlir", line_offset=10).parse_module()
    outer, inner, explicit = list(module.walk())[1:]
    assert place_of(outer) == SourcePlace("m.mlir", 11, 1)
    assert place_of(inner) == SourcePlace("m.mlir", 12, 3)
    assert place_of(explicit) == SourcePlace("x", 7, 8)


def test_expectations() -> None:
    text = """// expected-error@+2 {{a}}
op // expected-error {{b}}
// expected-error@unknown {{c}}"""
    assert [(e.line, e.text) for e in expectations(text, 4)] == [
        (7, "a"),
        (6, "b"),
        (None, "c"),
    ]
    for wrong in ("// expected-error: a", "// expected-warning {{a}}"):
        with pytest.raises(UserError, match="cannot read"):
            expectations(wrong)


def test_chunks_split_at_marker_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "m.mlir"
    path.write_text('a {x = "// -----"}\n// -----\nb\n')
    chunks = read_chunks(str(path), split=True)
    assert [chunk.text for chunk in chunks] == ['a {x = "// -----"}\n', "\nb\n"]
    assert [chunk.line_offset for chunk in chunks] == [0, 1]


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "out.sv"
    with atomic_file(path) as stream:
        stream.write("one")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as stream:
        stream.write(f"two{1 // 0}")
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.sv", tmp_path / "link.sv"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_file(link) as stream:
        stream.write("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for names in (["a", "b"], ["b", "c"]):
        with atomic_directory(path, lambda folder: True) as folder:
            for name in names:
                (folder / name).write_text(name)
    with (
        pytest.raises(ZeroDivisionError),
        atomic_directory(path, lambda folder: True) as folder,
    ):
        (folder / "d").write_text(f"d{(folder / 'd').write_bytes(b'') // 0}")
    assert sorted(p.name for p in path.iterdir()) == ["b", "c"]
    assert list(tmp_path.iterdir()) == [path]


def test_foreign_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(UserError, match="not from an earlier run"),
        atomic_directory(tmp_path, lambda folder: False),
    ):
        pytest.fail("the block must not run")
    assert (tmp_path / "thesis.tex").exists()


def test_error_about_another_file_is_not_about_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "out"):
        (tmp_path / "input").read_text()


def test_start_up_imports_nothing_heavy() -> None:
    code = (
        "import sys; from mase_opt.driver.main import run; assert run(['-']) == 0; "
        "print(sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'numpy', 'torch', 'torch_mlir', 'pycde', 'circt', 'rich'}), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input="func.func @f() {\n  func.return\n}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.strip() == "[]"


MODEL = """\
func.func @f(%x: tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 2, 3, 4]> : tensor<2x2x!mase.fixed<8, 4>>
  %0 = mase.linear %x, %w : (tensor<1x2x!mase.fixed<8, 4>>,
    tensor<2x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
  %1 = mase.OP : REST
  func.return %1 : tensor<1x2x!mase.fixed<8, 4>>
}
"""
TYPE = "tensor<1x2x!mase.fixed<8, 4>>"
SOFTMAX = ("softmax %0 {axis = 1 : i64}", f"({TYPE}) -> {TYPE}")
DIVISION = ("div %0, %x", f"({TYPE}, {TYPE}) -> {TYPE}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--emit-sv"],
        ["--build-adder-graphs=effort=3", "--emit-sv"],
        ["-p", "mase-build-adder-graphs,convert-mase-to-hw,canonicalize"],
    ],
)
@pytest.mark.parametrize(
    ("op", "problem"),
    [
        (SOFTMAX, "mase.softmax: no circuit of its own"),
        (DIVISION, "mase.div: the divisor is not a constant: multiply by a reciprocal"),
    ],
)
def test_legality_comes_before_the_search(
    arguments: list[str],
    op: tuple[str, str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def solve(*_: object, **__: object) -> None:
        pytest.fail("searched for an adder graph")

    monkeypatch.setattr(native, "solve", solve)
    monkeypatch.setattr(native, "AVAILABLE", True)
    file = tmp_path / "m.mlir"
    file.write_text(MODEL.replace("OP", op[0]).replace("REST", op[1]))
    assert mase_opt([*arguments, str(file)]) == 1
    error = capsys.readouterr().err
    assert f"function f cannot become hardware:\n  {problem}" in error


def test_own_mistakes_are_bugs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def apply(self: ModulePass, ctx: Context, op: ModuleOp) -> None:
        {}["gone"]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MaseLowerToLookupPass, "apply", apply)
    Path("m.mlir").write_text("func.func @f() {\n  func.return\n}\n")
    assert mase_opt(["--lower-to-lookup", "m.mlir"]) == 1
    assert capsys.readouterr().err.startswith(
        "m.mlir: error: pass 'mase-lower-to-lookup': internal error: KeyError: 'gone'\n"
        "note: this is a bug; --debug shows where\n"
        "note: reproducer: mase-opt-reproducer-mase-lower-to-lookup.mlir"
    )


def test_missing_tools_are_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(yosys, "available", lambda: "Yosys is not installed: get it")
    assert mase_opt(["--emit-sv", "--synth", "nowhere.mlir"]) == 1
    error = "error: --synth: Yosys is not installed: get it\n"
    assert capsys.readouterr() == ("", error)


TORCH = """\
func.func @f(%x: !torch.vtensor<[1,2],f32>) -> !torch.vtensor<[1,2],f32> {
  %0 = "torch.aten.relu"(%x) {mase.layer = "act"}
    : (!torch.vtensor<[1,2],f32>) -> !torch.vtensor<[1,2],f32>
  func.return %0 : !torch.vtensor<[1,2],f32>
}
"""


@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        # What works on the mase dialect finds it.
        (
            ["--quantize=data=x.npz"],
            ["convert-torch-to-mase", "mase-quantize"],
        ),
        (
            ["-p", 'canonicalize,mase-quantize{data="x.npz"}'],
            ["convert-torch-to-mase", "canonicalize", "mase-quantize"],
        ),
        (
            ["--fold-batch-norm", "--canonicalize"],
            ["convert-torch-to-mase", "mase-fold-batch-norm", "canonicalize"],
        ),
        (
            ["--canonicalize", "--convert-torch-to-mase", "--quantize=data=x.npz"],
            ["canonicalize", "convert-torch-to-mase", "mase-quantize"],
        ),
        # What does not may want to see the torch dialect.
        (["--canonicalize"], ["canonicalize"]),
        ([], []),
    ],
)
def test_the_import_comes_first_where_it_is_needed(
    flags: list[str],
    steps: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(console, "phase", ran.append)
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=[[[0.5, -1.0]]])
    file = Path("m.mlir")
    file.write_text(TORCH)
    assert mase_opt([*flags, "m.mlir"]) == 0
    assert ran == ["read m.mlir", *steps, "print"]
    out = capsys.readouterr().out
    assert ("torch.aten.relu" in out) == ("convert-torch-to-mase" not in steps)
    # Nothing is imported twice: the text is in the mase dialect already.
    if "mase.relu" in out:
        ran.clear()
        file.write_text(out)
        assert mase_opt(["--fold-batch-norm", "m.mlir"]) == 0
        assert ran == ["read m.mlir", "mase-fold-batch-norm", "print"]


def test_parts_of_a_file_are_imported_as_they_need_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.mlir"
    mase = MODEL.replace("OP", "relu %0").replace("REST", f"({TYPE}) -> {TYPE}")
    file.write_text(f"{mase}// -----\n{TORCH}")
    assert mase_opt(["--split-input-file", "--fold-batch-norm", str(file)]) == 0
    assert capsys.readouterr().out.count("mase.relu") == 2
