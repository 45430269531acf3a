"""`mase-run`: run a model on data at any level, and compare the levels."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import sys
import traceback
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from mase_opt.levels import Level, Model
    from mase_opt.lib.interpreters.exact import Array

LEVELS = ("float", "quantized", "lowered", "rtl", "verilog")


class _Parser(argparse.ArgumentParser):
    """Errors in the form that all of mase-opt's errors have."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message} (see --help)", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mase-run",
        description="Run a model on data at one level, or compare all levels.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="any input of mase-opt, or a folder that mase-opt --emit-sv -o wrote",
    )
    parser.add_argument(
        "--input",
        required=True,
        metavar="FILE.npz",
        help="samples: arrays named like the model's arguments, samples along axis 0",
    )
    parser.add_argument(
        "--labels",
        action="store_true",
        help="print accuracy, with the classes in the input file's array labels or y",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--level",
        choices=LEVELS,
        default="quantized",
        help="float, quantized and lowered (accumulators and tables made explicit) run "
        "in the interpreter, rtl is the simulated circuit, verilog is Verilator on the "
        "emitted text (default: quantized)",
    )
    what.add_argument(
        "--compare",
        action="store_true",
        help="run all levels; report how many samples have the same codes at "
        "lowered, rtl and verilog. The exit code is 1 unless all have",
    )
    parser.add_argument(
        "--samples", type=_positive, metavar="N", help="use the first N samples only"
    )
    parser.add_argument(
        "--quantize",
        default="",
        metavar="OPTIONS",
        help='options of mase-quantize for a model file, such as "width=6"',
    )
    parser.add_argument(
        "--calibrate", metavar="FILE.npz", help="data to choose the formats from"
    )
    parser.add_argument(
        "--output", metavar="FILE.npz", help="write the outputs, as numbers"
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def _labels(path: str, count: int) -> Array:
    """The class of each sample. Raises `UserError` if the file has none."""
    import numpy as np

    from mase_opt.lib.errors import UserError

    loaded: Any = np.load(path, allow_pickle=False)
    # A .npy file gives the array itself, which has no names.
    keys: list[str] = getattr(loaded, "files", [])
    key = next((k for k in ("labels", "y") if k in keys), None)
    if key is None:
        raise UserError(
            f"data '{path}' has no array 'labels' or 'y' (it has "
            f"{', '.join(keys) or 'no names'}): add one, or leave --labels out"
        )
    with loaded:
        labels: Array = loaded[key]
    if labels.ndim != 1 or len(labels) < count:
        raise UserError(
            f"data '{path}', array '{key}' has shape {labels.shape}, expected one "
            f"label for each of the {count} samples"
        )
    return labels[:count]


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for; the exit code. Raises `UserError`."""
    from mase_opt.levels import Level, Model
    from mase_opt.lib.errors import UserError

    model = Model(
        arguments.model, quantize=arguments.quantize, calibration=arguments.calibrate
    )
    with _stdout_for_results():
        samples = model.load(arguments.input, arguments.samples)
    if not samples:
        raise UserError(f"'{arguments.model}' takes no input: there is nothing to run")
    labels = None
    if arguments.labels:
        labels = _labels(arguments.input, len(samples[0]))
    if arguments.compare:
        levels = [
            level
            for level in Level
            if level is not Level.FLOAT or not Path(arguments.model).is_dir()
        ]
    else:
        levels = [Level(arguments.level)]
    outputs: dict[Level, list[Array]] = {}
    for level in levels:
        with _stdout_for_results():
            outputs[level] = model.run(level, samples)
        _print_level(model, level, outputs[level], labels)
    if arguments.output is not None:
        _write(arguments.output, model, levels[-1], outputs[levels[-1]])
    if not arguments.compare:
        return 0
    return _print_comparison(outputs)


@contextlib.contextmanager
def _stdout_for_results() -> Generator[None]:
    """What models and libraries print in the block goes to standard error."""
    from mase_opt.lib.standard_output import stdout_to_stderr

    with contextlib.redirect_stdout(sys.stderr), stdout_to_stderr():
        yield


def _print_level(
    model: Model, level: Level, outputs: list[Array], labels: Array | None
) -> None:
    from mase_opt.levels import accuracy

    line = f"{level.value}: {len(outputs[0])} samples"
    if labels is not None:
        scores = model.decode(level, outputs)[0]
        line += f", accuracy {100 * accuracy(scores, labels):.2f} %"
    print(line, flush=True)


def _print_comparison(outputs: dict[Level, list[Array]]) -> int:
    """How many samples agree; 0 if all do."""
    import numpy as np

    from mase_opt.levels import Level

    expected = outputs[Level.LOWERED]
    count = len(expected[0])
    agree = np.ones(count, dtype=bool)
    for level in (Level.RTL, Level.VERILOG):
        for mine, theirs in zip(outputs[level], expected, strict=True):
            agree &= (mine == theirs).reshape(count, -1).all(axis=1)
    total = int(agree.sum())
    print(
        f"agreement: {total} of {count} samples have the same codes at lowered, rtl "
        "and verilog"
    )
    if total == count:
        return 0
    first = int(np.argmin(agree))
    for level in (Level.LOWERED, Level.RTL, Level.VERILOG):
        codes = [array[first].ravel().tolist() for array in outputs[level]]
        print(f"  sample {first}, {level.value}: {codes}")
    return 1


def _write(path: str, model: Model, level: Level, outputs: list[Array]) -> None:
    import io

    import numpy as np

    from mase_opt.lib.atomic import atomic_file

    arrays = {f"out{i}": a for i, a in enumerate(model.decode(level, outputs))}
    # In memory first: a zip archive is written with seeks.
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    with atomic_file(path) as stream:
        stream.buffer.write(archive.getvalue())


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    arguments = _parser().parse_args(argv)
    from mase_opt.supervisor import supervise

    supervise()
    if arguments.debug:
        faulthandler.enable()
    from mase_opt.diagnostics import failure, report_of
    from mase_opt.driver import show_warnings

    show_warnings()
    try:
        code = run(arguments)
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        else:
            report = report_of(error)
            text = report.render("", None) if report else f"error: {failure(error)}\n"
            sys.stderr.write(text)
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
