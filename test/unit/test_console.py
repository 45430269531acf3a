"""What people see of a run on a terminal, and what they don't see with --quiet."""

from __future__ import annotations

import fcntl
import io
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mase_opt.driver.main import run as mase_opt
from mase_opt.lib import console
from mase_opt.tools.mase_run import run as mase_run

ROOT = Path(__file__).parents[2]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
NOT_ASCII = re.compile(r"\x1b|[^\x00-\x7f]")
ANY_CURSOR = re.compile(r"\x1b\[\?25h")


MODULE = """
func.func @f(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.5, -0.5, 0.25, 1.0]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.mlir"
    path.write_text(MODULE)
    np.savez(tmp_path / "data.npz", arg0=np.array([[[0.5, -1.0]], [[1.0, 0.0]]]))
    return str(path)


@contextmanager
def on_terminal(
    model: str, *arguments: str, **variables: str
) -> Generator[tuple[subprocess.Popen[bytes], Callable[[str | None], str]]]:
    """A run whose standard error is a terminal, and what reads it: all, or up to."""
    main, program = os.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"}

    def read(until: str | None) -> str:
        text = b""
        while until is None or until.encode() not in text:
            try:
                text += os.read(main, 1 << 16)
            except OSError:  # nobody writes any more
                break
        return text.decode().replace("\r\n", "\n")

    with (
        (Path(model).parent / "stdout").open("wb") as stdout,
        subprocess.Popen(
            [sys.executable, "-m", "mase_opt.tools.mase_opt", *arguments, model],
            stdout=stdout,
            stderr=program,
            env={**environment, "TERM": "xterm", "PYTHONPATH": str(ROOT), **variables},
            cwd=Path(model).parent,
        ) as process,
    ):
        os.close(program)
        yield process, read
    os.close(main)


def shown(model: str, *arguments: str, **variables: str) -> str:
    """What a run writes to the terminal."""
    with on_terminal(model, *arguments, **variables) as (process, read):
        text = read(None)
        assert process.wait() == 0, text
    return text


def printed(model: str) -> str:
    """What a run has written to standard output."""
    return (Path(model).parent / "stdout").read_text()


def screen(text: str) -> list[str]:
    """The lines that stay: of each the last version."""
    lines = (line.rpartition("\r")[2] for line in text.split("\n"))
    return [ESCAPE.sub("", line) for line in lines]


def test_phases_stay_and_the_last_line_says_what_is_done(model: str) -> None:
    flags = ["--calibrate=data=data.npz", "--quantize", "--emit-sv", "--verify-rtl=8"]
    text = shown(model, *flags, "-o", "out")
    assert printed(model) == ""
    lines = screen(text)
    phases = [re.fullmatch(r" +\d+\.\d\d s  (.+)", line) for line in lines]
    assert [match[1] for match in phases if match] == [
        f"read {model}",
        "mase-calibrate",
        "mase-quantize",
        "mase-lower-block-arithmetic",
        "mase-lower-to-lookup",
        "mase-build-adder-graphs",
        "convert-mase-to-hw",
        "export SystemVerilog",
        "verify on 8 samples",
        "write out",
    ]
    assert max(len(line) for line in lines if model not in line) <= 80
    last = next(line for line in reversed(lines) if line)
    vectors = 9 + 8  # with the corners
    assert last == (
        f"verified: interpreter and circuit agree on {vectors} vectors; wrote out"
    )
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("variables", "forbidden"),
    [({}, ANY_CURSOR), ({"NO_COLOR": "1"}, COLOUR), ({"TERM": "dumb"}, NOT_ASCII)],
)
def test_terminals_get_what_they_can_show(
    variables: dict[str, str], forbidden: re.Pattern[str], model: str
) -> None:
    flags = ["--quantize=data=data.npz", "--summarize-quantization", "-o", "out.mlir"]
    text = shown(model, *flags, **variables)
    assert " s  mase-quantize" in text
    assert "Quantization\n" in text
    assert text.splitlines()[-1].endswith("wrote out.mlir")
    assert bool(forbidden.search(text)) == (not variables)


def test_nothing_moves_where_the_result_is_shown(model: str) -> None:
    assert shown(model, "--canonicalize") == ""
    assert "mase.linear" in printed(model)


def test_a_quiet_run_has_its_warnings(model: str) -> None:
    flags = ["--summarize-quantization", "--emit-sv", "--verify-rtl=8", "-o", "out.sv"]
    text = shown(model, "--quantize", "--quiet", *flags)
    assert printed(model) == ""
    assert re.fullmatch("warning: no calibration data: .*\n", text)
    assert (Path(model).parent / "out.sv").exists()


def test_no_terminal_gets_reports_without_phases(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(model).with_name("data.npz")
    flags = [f"--quantize=data={data}", "--emit-sv", "--verify-rtl=8"]
    assert mase_opt([*flags, model]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("//")
    title, *_, last = err.splitlines()
    assert title == "f: latency 0, one sample per cycle"
    assert last == "verified: interpreter and circuit agree on 17 vectors"


def test_an_interrupt_gives_the_cursor_back(model: str) -> None:
    plugin = str(ROOT / "test" / "driver" / "Inputs" / "endless.py")
    flags = ["--load-plugin", plugin, "--test-compute=where=lock", "-o", "out.mlir"]
    with on_terminal(model, *flags) as (process, read):
        assert "\x1b[?25l" in read("started")
        process.send_signal(signal.SIGINT)
        text = read(None)
        assert process.wait() == -signal.SIGINT
    assert text.endswith("\r\x1b[2K\x1b[?25herror: interrupted\n")


def test_quiet_mase_run(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    data = str(Path(model).with_name("data.npz"))
    arguments = [model, "--input", data, "--calibrate", data]
    for quiet in ([], ["--quiet"]):
        assert mase_run([*arguments, *quiet]) == 0
        out, err = capsys.readouterr()
        assert out == "quantized: 2 samples\n"
        assert (" s  run quantized\n" in err) == (not quiet)
    assert err == ""


def test_a_phase_that_fails_is_not_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    times = iter([0.0, 1.5, 1.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))

    def run() -> None:
        with console.phases():
            console.phase("one")
            console.phase("two")
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert capsys.readouterr().err == "   1.50 s  one\n"


def test_lines_are_as_wide_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    main, program = os.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 97, 0, 0))
    monkeypatch.delenv("COLUMNS", raising=False)
    with os.fdopen(program, "w") as terminal, open(os.devnull, "w") as null:
        assert console.line_width(terminal) == 97
        assert console.line_width(null) is None
        assert console.line_width(None) is None
        monkeypatch.setenv("COLUMNS", "60")
        assert console.line_width(terminal) == console.line_width(null) == 60
        monkeypatch.setenv("COLUMNS", "wide")
        assert console.line_width(terminal) == 97
    os.close(main)


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("widgets", [False, True])
def test_notebooks_show_progress_if_they_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kernel: bool, widgets: bool
) -> None:
    # As in a kernel: a shell of this name, its module loaded, no terminal.
    shell = type("ZMQInteractiveShell", (), {})()
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
        monkeypatch.setattr("builtins.get_ipython", lambda: shell, raising=False)
    if widgets:
        (tmp_path / "ipywidgets.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert console.is_watched() == (kernel and widgets)
    with console.quietly(True):
        assert not console.is_watched()
