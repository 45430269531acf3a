"""`mase-run`: run a model on data at any level, and compare the levels."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import sys
import traceback
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mase_opt.lib.standard_output import fill_closed_streams, write_result

if TYPE_CHECKING:
    from mase_opt.lib.interpreters.exact import Array
    from mase_opt.model.model import Level, Model

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
        "quantized, lowered, rtl and verilog. The exit code is 1 unless all have, but "
        "for what layers over blocks lose in their accumulators",
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
        "--load-plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="load formats and dialects from a file that defines UNIVERSE",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="no progress, only warnings and errors"
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for; the exit code. Raises `UserError`."""
    from mase_opt.lib.console import phase
    from mase_opt.lib.data.samples import inputs_of, load_labels, load_samples
    from mase_opt.lib.errors import UserError
    from mase_opt.model.model import Level, load

    levels = _levels(arguments)
    _check_tools(levels)
    if Path(arguments.model).is_dir() and (arguments.quantize or arguments.calibrate):
        raise UserError(
            f"'{arguments.model}' is quantized already: --quantize and --calibrate are "
            "for model files"
        )
    with _working():
        phase(f"read {arguments.model}")
        model = load(arguments.model, plugins=arguments.load_plugin)
        inputs = inputs_of(model.function)
        samples = load_samples(arguments.input, inputs, arguments.samples)
        if levels != [Level.FLOAT]:
            model = _quantized(model, arguments)
    if not samples:
        raise UserError(f"'{arguments.model}' takes no input: there is nothing to run")
    labels = None
    if arguments.labels:
        labels = load_labels(arguments.input, len(samples[0]))
    outputs: dict[Level, list[Array]] = {}
    for level in levels:
        with _working():
            phase(f"run {level.value}")
            outputs[level] = model.results(level, samples)
        _print_level(model, level, outputs[level], labels)
    if arguments.output is not None:
        _write(arguments.output, model, levels[-1], outputs[levels[-1]])
    if not arguments.compare:
        return 0
    return _print_comparison(model, outputs)


def _quantized(model: Model, arguments: argparse.Namespace) -> Model:
    """The model in formats; a model file may hold some already."""
    from mase_opt.pass_options import parse_flag_options

    if arguments.calibrate is not None:
        model = model.calibrate(arguments.calibrate)
    options = parse_flag_options(arguments.quantize)
    if not options and model.is_quantized:
        return model
    return model.apply("mase-quantize", **options)


def _levels(arguments: argparse.Namespace) -> list[Level]:
    """The levels to run, in this order."""
    from mase_opt.model.model import Level

    if not arguments.compare:
        return [Level(arguments.level)]
    has_float = not Path(arguments.model).is_dir()
    return [level for level in Level if has_float or level is not Level.FLOAT]


def _check_tools(levels: Sequence[Level]) -> None:
    """Raise the `UserError` of a level whose tools are missing before anything runs."""
    from mase_opt.lib.errors import UserError
    from mase_opt.lib.simulation import verilator
    from mase_opt.model.model import Level

    if Level.VERILOG in levels and (missing := verilator.available()):
        raise UserError(f"level {Level.VERILOG.value}: {missing}")


@contextlib.contextmanager
def _working() -> Generator[None]:
    """
    What models and libraries print in the block goes to standard error.

    Phases show in it: what is written to standard output meanwhile would mix with them.
    """
    from mase_opt.lib.console import phases
    from mase_opt.lib.standard_output import stdout_to_stderr

    with contextlib.redirect_stdout(sys.stderr), stdout_to_stderr(), phases():
        yield


def _print_level(
    model: Model, level: Level, outputs: list[Array], labels: Array | None
) -> None:
    from mase_opt.model.metrics import accuracy

    line = f"{level.value}: {len(outputs[0])} samples"
    if labels is not None:
        scores = model.numbers(level, outputs)[0]
        line += f", accuracy {100 * accuracy(scores, labels):.2f} %"
    write_result(f"{line}\n")


def _print_comparison(model: Model, outputs: dict[Level, list[Array]]) -> int:
    """How many samples agree; 0 if all do."""
    from mase_opt.model.model import Level
    from mase_opt.model.verify import accumulating_layers

    levels = [Level.QUANTIZED, Level.LOWERED, Level.RTL, Level.VERILOG]
    count = len(outputs[Level.LOWERED][0])
    if layers := accumulating_layers(model.ir):
        same = _agree(outputs, levels[:2]).sum()
        write_result(
            f"accumulators: {same} of {count} samples have the same codes at quantized "
            f"and lowered; accumulators round in {layers}\n"
        )
        levels = levels[1:]
    agree = _agree(outputs, levels)
    total = int(agree.sum())
    write_result(
        f"agreement: {total} of {count} samples have the same codes at "
        f"{', '.join(levels[:-1])} and {levels[-1]}\n"
    )
    if total == count:
        return 0
    first = int(agree.argmin())
    for level in levels:
        codes = [array[first].ravel().tolist() for array in outputs[level]]
        write_result(f"  sample {first}, {level.value}: {codes}\n")
    return 1


def _agree(outputs: dict[Level, list[Array]], levels: Sequence[Level]) -> Array:
    """Which samples have the same codes at all of `levels`."""
    import numpy as np

    expected = outputs[levels[0]]
    agree = np.ones(len(expected[0]), dtype=bool)
    for level in levels[1:]:
        for mine, theirs in zip(outputs[level], expected, strict=True):
            agree &= (mine == theirs).reshape(len(agree), -1).all(axis=1)
    return agree


def _write(path: str, model: Model, level: Level, outputs: list[Array]) -> None:
    import io

    import numpy as np

    from mase_opt.lib.atomic import atomic_file

    arrays = {f"out{i}": a for i, a in enumerate(model.numbers(level, outputs))}
    # In memory first: a zip archive is written with seeks.
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    with atomic_file(path) as stream:
        stream.buffer.write(archive.getvalue())


def run(args: Sequence[str]) -> int:
    """Run `mase-run` with these arguments; the exit code."""
    from mase_opt.driver.main import show_warnings
    from mase_opt.lib.console import quietly
    from mase_opt.model.diagnostics import error_report_of, failure

    show_warnings()
    arguments = _parser().parse_args(args)
    try:
        with quietly(arguments.quiet):
            return _run(arguments)
    except BrokenPipeError:
        return 128 + 13  # nobody reads any more: as if ended by SIGPIPE
    # Models and plug-ins may call sys.exit: that is no success.
    except (Exception, SystemExit) as error:
        if arguments.debug:
            traceback.print_exc()
            return 1
        report = error_report_of(error)
        text = report.render("", None) if report else f"error: {failure(error)}\n"
        sys.stderr.write(text)
        return 1


def main() -> None:
    """Entry point."""
    from mase_opt.driver.supervisor import supervise

    fill_closed_streams()
    supervise()
    if "--debug" in sys.argv:
        faulthandler.enable()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
